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

/// A student that trains what its dropped units compute: its ReLUs are those of one that does not, its MACs are more by its
/// dropped units, and what is exported of it answers as it does.
#[test]
fn a_student_with_trained_dropped_units_is_counted_and_exported_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let model = |out: &str, more: &[&str]| {
        let run = ["run", "s.toml", "--threads", "1", "--out", out, "--only", "rlnet"];
        sandbox.ok(&[&run[..], more].concat());
        let file = sandbox.path(&format!(
            "{out}/cells/{}/model.safetensors",
            id(&sandbox, out, "rlnet")
        ));
        let file = file.display().to_string();
        let info = sandbox.ok(&["model", "info", &file, "--json"]).stdout;
        let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
        (file, info)
    };
    let (_, plain) = model("plain", &[]);
    let (file, info) = model("out", &["--set", "training.dropped=affine"]);
    for name in ["teacher", "mask"] {
        assert_eq!(id(&sandbox, "out", name), id(&sandbox, "plain", name), "{name}");
    }
    assert_ne!(id(&sandbox, "out", "rlnet"), id(&sandbox, "plain", "rlnet"));
    let number = |info: &serde_json::Value, key: &str| info[key].as_u64().expect(key);
    let (kept, total) = (number(&info, "relus_kept"), number(&info, "relus_total"));
    assert_eq!(
        (kept, total),
        (number(&plain, "relus_kept"), number(&plain, "relus_total"))
    );
    let macs = |info: &serde_json::Value| number(&info["model"], "macs");
    assert_eq!(macs(&info), macs(&plain) + total - kept);
    assert!(plain["model"].get("dropped").is_none());
    assert_eq!(info["model"]["dropped"], "affine");

    let own = ["--dataset", "shapes", "--limit", "17"];
    let branch = [&own[..], &["--branch", "clean"]].concat();
    assert_eq!(eval(&sandbox, &file, "own", &branch).code, 0);
    let said = |out: &str, model: &str| -> Vec<(u32, u16, f64)> {
        let rows = rows(&sandbox, out, &format!("{model}/clean"));
        rows.iter()
            .map(|row| (row.image, row.prediction, f64::from(row.margin)))
            .collect()
    };
    let name = &id(&sandbox, "out", "rlnet");
    let wanted = said("own", name);
    assert_eq!(wanted.len(), 17);
    for (format, exported) in [("torchscript", "net.pt"), ("onnx", "net.onnx")] {
        sandbox.ok(&format!(
            "export {file} --format {format} --branch clean --out {exported}"
        ));
        assert_eq!(eval(&sandbox, exported, format, &own).code, 0);
        for (got, want) in said(format, "net").iter().zip(&wanted) {
            assert_eq!((got.0, got.1), (want.0, want.1), "{format}");
            assert!((got.2 - want.2).abs() < 1e-3, "{format}: {got:?} and {want:?}");
        }
    }
    // Only a student trains them.
    let teacher = [
        "run",
        "s.toml",
        "--out",
        "no",
        "--set",
        "train.teacher.with.dropped=affine",
    ];
    refused(&sandbox.run(&teacher), &["s.toml", "only a stage student"]);
}
