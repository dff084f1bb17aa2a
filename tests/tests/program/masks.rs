//! A mask out of a model, into a file, into another model.

use crate::archives::{eval, plan, refused};
use crate::support::{Sandbox, TINY, id, rows};

#[test]
fn a_mask_goes_out_and_comes_back() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.ok("run s.toml --out out --only mask");
    let file = |name: &str| {
        let path = sandbox.path(&format!(
            "out/cells/{}/model.safetensors",
            id(&sandbox, "out", name)
        ));
        path.display().to_string()
    };
    let (teacher, masked) = (file("teacher"), file("mask"));
    let export = |model: &str, out: &str| {
        let output = sandbox.ok(&format!("export {model} --format mask --out {out} --json"));
        let mut header: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        let file = header.as_object_mut().and_then(|header| header.remove("file"));
        assert_eq!(file, Some(out.into()));
        header
    };
    let info = |model: &str| {
        let output = sandbox.ok(&["model", "info", model, "--json"]);
        serde_json::from_str::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let header = export(&masked, "a.safetensors");
    let (kept, total) = (header["kept"].as_u64(), header["total"].as_u64());
    assert_eq!(kept.map(|kept| kept * 4), total, "the budget is 4x");
    let import =
        |mask: &str, into: &str, out: &str| sandbox.run(&format!("import {mask} --model {into} --out {out}"));
    // Into its own model: nothing changes, neither counts nor answers.
    assert_eq!(import("a.safetensors", &masked, "same.safetensors").code, 0);
    assert_eq!(info("same.safetensors"), info(&masked));
    let ask = ["--dataset", "shapes", "--limit", "12"];
    for (model, out) in [(masked.as_str(), "was"), ("same.safetensors", "is")] {
        assert_eq!(eval(&sandbox, model, out, &ask).code, 0);
    }
    let answers = |out: &str| rows(&sandbox, out, &plan(&sandbox, out).cells[0].name);
    assert_eq!(answers("was"), answers("is"));
    // Into the all-ReLU teacher, and out again: the same file.
    assert_eq!(info(&teacher)["relus_kept"], total.expect("a total"));
    assert_eq!(import("a.safetensors", &teacher, "cut.safetensors").code, 0);
    assert_eq!(info("cut.safetensors")["relus_kept"], kept.expect("a count"));
    assert_eq!(export("cut.safetensors", "b.safetensors"), header);
    let bytes = |name: &str| std::fs::read(sandbox.path(name)).expect("a file");
    assert_eq!(bytes("a.safetensors"), bytes("b.safetensors"));
    assert_eq!(eval(&sandbox, "cut.safetensors", "cut", &ask).code, 0);
    assert_eq!(eval(&sandbox, &teacher, "whole", &ask).code, 0);
    assert_ne!(
        answers("cut"),
        answers("whole"),
        "the teacher lost three ReLUs in four"
    );

    // What is no mask of this network.
    sandbox.write("cut-short.safetensors", &bytes("a.safetensors")[..200]);
    refused(
        &import("cut-short.safetensors", &teacher, "no.safetensors"),
        &["cut-short.safetensors"],
    );
    refused(
        &import(&teacher, &teacher, "no.safetensors"),
        &["model.safetensors"],
    );
    refused(&import("nowhere", &teacher, "no.safetensors"), &["nowhere"]);
    assert!(!sandbox.path("no.safetensors").exists());
}

/// A student with the units of a search on other images, of another number of classes: the search's
/// mask to the unit, and not its own data's.
#[test]
fn units_searched_on_another_data_set_are_taken_as_they_are() {
    let sandbox = Sandbox::new();
    let suite = [
        "run",
        "ablation-mask-source",
        "--set",
        "scale=smoke",
        "--set",
        "data.train=64",
    ];
    for student in ["near", "own"] {
        sandbox.ok(&[&suite[..], &["--out", "out", "--only", student]].concat());
    }
    let mask = |name: &str| {
        let model = sandbox.path(&format!(
            "out/cells/{}/model.safetensors",
            id(&sandbox, "out", name)
        ));
        let model = model.display().to_string();
        let info = sandbox.ok(&["model", "info", &model, "--json"]);
        let info: serde_json::Value = serde_json::from_str(&info.stdout).expect("JSON");
        let classes = info["model"]["classes"].as_array().expect("classes").len();
        let file = format!("{name}.safetensors");
        sandbox.ok(&format!("export {model} --format mask --out {file}"));
        (classes, std::fs::read(sandbox.path(&file)).expect("a mask"))
    };
    let (own, searched, near, taken) = (mask("mask"), mask("mask-near"), mask("near"), mask("own"));
    assert_eq!((own.0, searched.0, near.0), (10, 5, 10));
    assert_eq!(near.1, searched.1, "the search's units");
    assert_eq!(taken.1, own.1);
    assert_ne!(near.1, own.1, "two searches kept the same units");
}
