//! A model by any of its names: its file, its cell's folder, RUN:NAME; and what is no model.

use crate::errors::refused;
use crate::support::{Sandbox, captured, id, untrained};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// The checkpoint of each night has another file name; its reports have one model.
#[test]
fn a_name_of_ones_own_stands_in_reports() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "epoch_41.safetensors");
    let ask = ["--dataset", "shapes", "--limit", "20", "--name", "wrn"];
    let output = sandbox.ok(&[&["eval", "epoch_41.safetensors"][..], &ask].concat());
    assert!(output.stdout.contains("wrn"), "{}", output.stdout);
    assert!(!id(&sandbox, "out/eval-wrn", "wrn/clean").is_empty());
    // The next night has another file; without the name the two runs have no model in common.
    untrained(&sandbox, "epoch_42.safetensors");
    let next = [
        "eval",
        "epoch_42.safetensors",
        "--dataset",
        "shapes",
        "--limit",
        "20",
        "--out",
        "next",
    ];
    sandbox.ok(&next);
    refused(
        &sandbox.run("compare out/eval-wrn next"),
        2,
        &["has wrn, the newer one epoch_42", "rlnet eval --name"],
    );
    sandbox.ok(&[&next[..6], &["--out", "named", "--name", "wrn"]].concat());
    sandbox.ok("compare out/eval-wrn named");
    let bad = sandbox.run("eval epoch_41.safetensors --dataset shapes --name a/b");
    refused(&bad, 2, &["--name", "letters"]);
}

/// A checkpoint does not say how its images were normalised; what is assumed is printed.
#[test]
fn import_prints_the_normalisation_it_assumes() {
    let sandbox = Sandbox::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/teacher.pth");
    let import = ["import", file, "--arch", "resnet8-w2", "--out", "m.safetensors"];
    let assumed = sandbox
        .ok(&[&import[..], &["--dataset", "shapes"]].concat())
        .stdout;
    assert!(
        assumed.contains("normalisation: mean ") && assumed.contains("assumed"),
        "{assumed}"
    );
    let more = [
        "--dataset",
        "shapes",
        "--mean",
        "0.5,0.5,0.5",
        "--std",
        "0.25,0.25,0.25",
    ];
    let given = sandbox.ok(&[&import[..], &more].concat()).stdout;
    let line = "normalisation: mean 0.5000,0.5000,0.5000, deviation 0.2500,0.2500,0.2500";
    assert!(given.contains(line) && !given.contains("assumed"), "{given}");
}

#[test]
fn a_cell_stands_for_its_model_in_every_command() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[
        "train",
        "teacher",
        "--dataset",
        "shapes",
        "--train",
        "64",
        "--test",
        "20",
        "--arch",
        "resnet8-w2",
        "--norm",
        "single",
        "--set",
        "views=[\"clean\"]",
        "--epochs",
        "1",
        "--batch",
        "32",
        "--out",
        "rv",
    ]);
    let cell = format!("rv/cells/{}", id(&sandbox, "rv", "teacher"));
    let file = format!("{cell}/model.safetensors");
    let ask = ["--dataset", "shapes", "--limit", "20"];
    let info = json(&sandbox, &["model", "info", &file]);
    let mut answers = Vec::new();
    for (number, name) in [file.as_str(), &cell, "rv:teacher"].into_iter().enumerate() {
        assert_eq!(json(&sandbox, &["model", "info", name]), info, "{name}");
        let out = format!("e{number}");
        answers.push(json(
            &sandbox,
            &[&["eval", name, "--out", &out][..], &ask].concat(),
        ));
        let mask = format!("m{number}.safetensors");
        let exported = json(&sandbox, &["export", name, "--format", "mask", "--out", &mask]);
        assert_eq!(exported["file"], mask.as_str());
        let cut = format!("c{number}.safetensors");
        sandbox.ok(&format!("import {mask} --model {name} --out {cut}"));
        assert_eq!(
            id(&sandbox, &out, &format!("{}/clean", &cell[9..])),
            id(&sandbox, "e0", &format!("{}/clean", &cell[9..]))
        );
        let taught = [
            "--attack",
            "pgd:steps=1,surrogate=teacher",
            "--surrogate",
            &format!("teacher={name}"),
        ];
        sandbox.ok(&[&["eval", &file, "--out", "taught"][..], &ask, &taught].concat());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");

    let script = json(
        &sandbox,
        &["export", &cell, "--format", "torchscript", "--out", "x.pt"],
    );
    assert_eq!(script["file"], "x.pt");
    refused(
        &sandbox.run("model info x.pt"),
        2,
        &["x.pt", "TorchScript", "rlnet eval evaluates it"],
    );
    // A name that libtorch cannot be given is a name all the same.
    let name = OsStr::from_bytes(b"odd-\xff.pt");
    fs::copy(sandbox.path("x.pt"), sandbox.path("").join(name)).expect("a copy");
    let mut command = sandbox.command("eval --out odd --dataset shapes --limit 20");
    let odd = captured(command.arg(name).output().expect("a process"));
    assert_eq!(odd.code, 0, "{}", odd.stderr);

    for (name, hints) in [
        ("rv", &["this folder is not a finished cell", "RUN:NAME"][..]),
        ("rv:techer", &["did you mean `teacher`"]),
        ("nowhere:teacher", &["there is no such file"]),
        (
            &format!(
                "e0/cells/{}",
                id(&sandbox, "e0", &format!("{}/clean", &cell[9..]))
            ),
            &["is an evaluation"],
        ),
    ] {
        for command in [
            &["eval", name, "--dataset", "shapes"][..],
            &["export", name, "--format", "mask", "--out", "no"],
            &["model", "info", name],
        ] {
            refused(&sandbox.run(command), 2, hints);
        }
    }
    // Planned is not done.
    fs::remove_dir_all(sandbox.path(&cell)).expect("removed");
    refused(
        &sandbox.run("model info rv:teacher"),
        2,
        &["planned and not done"],
    );
}

#[test]
fn what_eval_takes_attack_show_shows() {
    let sandbox = Sandbox::new();
    let shown = sandbox.ok("attack show adaptive:eps=4/255").stdout;
    assert!(
        shown.contains("agnostic") && shown.contains("eps=4/255"),
        "{shown}"
    );
    let asked = json(&sandbox, &["attack", "show", "diagnosis"]);
    let unbounded = asked
        .as_array()
        .expect("attacks")
        .iter()
        .find(|attack| attack["name"] == "unbounded");
    assert!(
        unbounded.expect("it")["attack"]
            .as_str()
            .is_some_and(|spec| spec.starts_with("pgd:")),
        "{asked}"
    );
    refused(&sandbox.run("attack show adaptiv"), 2, &["adaptiv"]);
}
