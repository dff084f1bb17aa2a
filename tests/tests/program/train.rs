//! One stage by hand: the same cells as a suite's, to the byte; gone on with; refused.

use crate::support::{Sandbox, TINY, captured, id, walk};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// What all stages of the suite TINY share, as options.
const SHARED: [&str; 8] = [
    "--batch",
    "32",
    "--epochs",
    "2",
    "--attack",
    "pgd:steps=2,alpha=5/255",
    "--threads",
    "1",
];

const TEACHER: [&str; 10] = [
    "train",
    "teacher",
    "--dataset",
    "shapes",
    "--train",
    "200",
    "--test",
    "40",
    "--arch",
    "resnet8-w4",
];

/// Trains a stage, and gives what it says of itself.
fn train(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&output.stdout).expect("JSON")
}

fn text<'a>(output: &'a Value, key: &str) -> &'a str {
    output[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {output}"))
}

#[test]
fn three_stages_by_hand_are_the_cells_of_an_equal_suite() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.ok("run s.toml --threads 1 --out suite --only rlnet");
    let teacher = [&TEACHER[..], &SHARED, &["--out", "hand"]].concat();
    let teacher = train(&sandbox, &teacher);
    let folder = text(&teacher, "path");
    // Beside what it builds on, unless told otherwise.
    let mask = ["train", "mask", "--teacher", folder, "--budget", "4x"];
    let mask = train(&sandbox, &[&mask[..], &SHARED].concat());
    let student = ["train", "student", "--mask", text(&mask, "model")];
    let student = [&student[..], &SHARED].concat();
    let rlnet = train(&sandbox, &student);
    for (made, name) in [(&teacher, "teacher"), (&mask, "mask"), (&rlnet, "rlnet")] {
        assert_eq!(text(made, "cell"), id(&sandbox, "suite", name), "{name}");
    }
    assert_eq!(sandbox.results("hand"), sandbox.results("suite"));
    // Each knows of the other's work.
    let again = sandbox.ok("run s.toml --out hand --only rlnet");
    assert!(again.stderr.contains("0 cells computed"), "{}", again.stderr);
    let again = sandbox.ok(&student);
    assert!(again.stderr.contains("nothing was computed"), "{}", again.stderr);
    assert!(
        again.stdout.contains("evaluate:   rlnet eval hand/cells/"),
        "{}",
        again.stdout
    );
    named_in_a_run_and_grown_into_a_suite(&sandbox, &student, &rlnet);
    // Elsewhere the stage brings what it builds on along.
    let elsewhere = [
        "train",
        "student",
        "--mask",
        text(&mask, "path"),
        "--out",
        "elsewhere",
    ];
    let elsewhere = train(&sandbox, &[&elsewhere[..], &SHARED].concat());
    assert_eq!(text(&elsewhere, "cell"), text(&rlnet, "cell"));
    assert_eq!(sandbox.results("elsewhere"), sandbox.results("suite"));
    masks_from_elsewhere(&sandbox, folder, &mask, &rlnet);
}

/// The student of a run by its name there, and the suite that says what the commands did.
fn named_in_a_run_and_grown_into_a_suite(sandbox: &Sandbox, student: &[&str], rlnet: &Value) {
    // By its name in a run, whose plan (and report) stays the suite's.
    let named = ["train", "student", "--mask", "suite:mask"];
    let named = train(sandbox, &[&named[..], &SHARED].concat());
    assert_eq!(
        (text(&named, "cell"), &named["found"]),
        (text(rlnet, "cell"), &Value::Bool(true))
    );
    id(sandbox, "suite", "rlnet/clean");
    // The suite that says this is a suite: its stages are done, its measurements are not.
    let written = sandbox.ok(&[student, &["--print-suite"]].concat()).stdout;
    sandbox.write("grown.toml", &written);
    let tables = sandbox
        .ok(&[student, &["--print-suite", "--json"]].concat())
        .stdout;
    let tables: Value = serde_json::from_str(&tables).expect("JSON");
    assert!(
        tables["train"].is_array() && tables["data"]["dataset"] == "shapes",
        "{tables}"
    );
    let grown = sandbox.ok("run grown.toml --out hand");
    assert!(
        grown.stderr.contains("2 cells computed, 3 done before"),
        "{}",
        grown.stderr
    );
}

/// With a teacher beside it, a mask is taken without its weights; from a file, likewise. Then SNL's, and a published one.
fn masks_from_elsewhere(sandbox: &Sandbox, folder: &str, mask: &Value, rlnet: &Value) {
    let with_mask = ["train", "student", "--teacher", folder, "--mask"];
    let units = sandbox
        .ok(&[&with_mask[..], &[text(mask, "path"), "--dry-run"]].concat())
        .stdout;
    assert!(units.contains("1 of 3 cells to do in hand"), "{units}");
    assert!(!units.contains(text(rlnet, "cell")), "{units}");
    sandbox.ok(&[
        "export",
        text(mask, "model"),
        "--format",
        "mask",
        "--out",
        "mask.safetensors",
    ]);
    let imported = ["mask.safetensors", "--epochs", "1", "--threads", "1"];
    let imported = train(sandbox, &[&with_mask[..], &imported].concat());
    let info = |model: &Value| {
        let info = sandbox
            .ok(&["model", "info", text(model, "model"), "--json"])
            .stdout;
        let info: Value = serde_json::from_str(&info).expect("JSON");
        info["model"]["layers"].clone()
    };
    assert_eq!(info(&imported), info(mask));
    // SNL's search, and a published list.
    let snl = [
        "train",
        "snl",
        "--teacher",
        folder,
        "--budget",
        "4x",
        "--epochs",
        "1",
    ];
    let snl = train(sandbox, &[&snl[..], &["--threads", "1"]].concat());
    let kept = |model: &Value| {
        let layers = info(model);
        let layers = layers.as_array().expect("layers").iter();
        layers
            .map(|layer| layer["kept"].as_u64().expect("a count"))
            .sum::<u64>()
    };
    assert_eq!(kept(&snl), kept(mask));
    let listed = [
        "train",
        "mask",
        "--teacher",
        folder,
        "--budget",
        "ResNet18_c100_relu50k",
    ];
    let listed = sandbox.ok(&[&listed[..], &["--print-suite"]].concat()).stdout;
    assert!(
        listed.contains("allocation = \"published:ResNet18_c100_relu50k\""),
        "{listed}"
    );
}

#[test]
fn a_stage_that_was_killed_goes_on_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    let stage = |out: &'static str| {
        let own = ["--batch", "8", "--epochs", "6", "--threads", "1", "--out", out];
        [&TEACHER[..], &own].concat()
    };
    train(&sandbox, &stage("whole"));
    let mut child = sandbox.command(&stage("cut"));
    let child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("a process");
    // The first epoch is saved; five are left.
    let saved = || {
        walk(&sandbox.path("cut/work"))
            .iter()
            .any(|file| file.ends_with("state.safetensors"))
    };
    while !saved() && child.try_wait().expect("a process").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a kill");
    assert_ne!(captured(child.wait_with_output().expect("an end")).code, 0);
    // A stop between two steps says how to go on.
    let limited = sandbox.run(&[&stage("cut")[..], &["--minutes", "0.0001"]].concat());
    assert_eq!(limited.code, 3, "{}", limited.stderr);
    assert!(limited.stderr.contains("to resume: "), "{}", limited.stderr);
    let done = train(&sandbox, &stage("cut"));
    assert_eq!(sandbox.results("whole"), sandbox.results("cut"));
    let record = std::fs::read(sandbox.path(text(&done, "path")).join("cell.json")).expect("a record");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    assert!(
        record["provenance"]["resumed"].as_u64() > Some(0),
        "it was never cut off"
    );
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let quick = ["--epochs", "1", "--threads", "1"];
    let teacher = [
        "train",
        "teacher",
        "--dataset",
        "shapes",
        "--train",
        "64",
        "--test",
        "8",
    ];
    let small = ["--arch", "resnet8-w2", "--out", "out"];
    let teacher = train(&sandbox, &[&teacher[..], &small, &quick].concat());
    let teacher = text(&teacher, "path");
    let mask = ["train", "mask", "--teacher", teacher, "--budget", "4x"];
    let mask = train(&sandbox, &[&mask[..], &quick].concat());
    let mask = text(&mask, "path");
    std::fs::copy(
        sandbox.path(teacher).join("model.safetensors"),
        sandbox.path("alone.safetensors"),
    )
    .expect("a copy");
    let of = |budget: &'static str| ["mask", "--teacher", teacher, "--budget", budget];
    let (fine, large, lots) = (of("4x"), of("99999k"), of("lots"));
    // Few images: drawing them all takes longer than to see what is wrong.
    let fresh = |option, value| {
        let few = ["teacher", "--dataset", "shapes", "--train", "64", "--test", "8"];
        [&few[..], &[option, value]].concat()
    };
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["teacher", "mask", "student", "snl"]),
        (&["teacher"], &["--dataset", "rlnet data list"]),
        (&["teacher", "--dataset", "shape"], &["did you mean `shapes`?"]),
        (&fresh("--arch", "resnet17"), &["resnet17"]),
        (
            &fresh("--norm", "duo"),
            &[
                "possible values: single, dual, triple",
                "similar value exists: 'dual'",
            ],
        ),
        (&fresh("--attack", "square"), &["cannot train with square"]),
        (&fresh("--set", "epoch=3"), &["did you mean `epochs`?"]),
        (
            &fresh("--epochs", "0"),
            &["epochs is 0; allowed: a whole number from 1"],
        ),
        (&["mask", "--budget", "4x"], &["--teacher"]),
        (
            &["mask", "--teacher", "nowhere", "--budget", "4x"],
            &["nowhere", "a cell's folder"],
        ),
        (
            &["mask", "--teacher", "alone.safetensors", "--budget", "4x"],
            &["alone.safetensors", "in no cell", "rlnet train"],
        ),
        (
            &["mask", "--teacher", mask, "--budget", "4x"],
            &["it is a mask stage", "rlnet train teacher"],
        ),
        (&large, &["keeps 99999000 ReLUs", "this network has"]),
        (&lots, &["lots", "published list"]),
        (
            &[&fine[..], &["--arch", "resnet8-w4"]].concat(),
            &["--arch resnet8-w4", "has resnet8-w2"],
        ),
        (
            &[&fine[..], &["--dataset", "cifar10"]].concat(),
            &["--dataset cifar10", "has shapes"],
        ),
        (
            &[&fine[..], &["--train", "65"]].concat(),
            &["--train 65", "has 64"],
        ),
        (
            &["student", "--mask", teacher],
            &["it is a teacher stage", "rlnet train mask"],
        ),
        (
            &["student", "--mask", "alone.safetensors"],
            &["no teacher", "--teacher CELL"],
        ),
        (
            &["student", "--teacher", teacher, "--mask", "alone.safetensors"],
            &["alone.safetensors", "not a mask"],
        ),
        (&["student", "--teacher", teacher], &["needs a mask"]),
    ];
    let before = walk(&sandbox.path("out/cells"));
    for (arguments, hints) in cases {
        let output = sandbox.run(&[&["train"], *arguments].concat());
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
        for hint in *hints {
            assert!(
                output.stderr.contains(hint),
                "{arguments:?}: no {hint:?} in {}",
                output.stderr
            );
        }
    }
    assert_eq!(walk(&sandbox.path("out/cells")), before);
    assert!(!sandbox.path("out/train").exists());
    // A teacher of images that are others now: not the cell that would be made.
    let record = std::fs::read_to_string(sandbox.path(teacher).join("cell.json")).expect("a record");
    let sum = "9c5361ea76c99106bfd8166a5ef3031df0c24600";
    let (_, id) = teacher.rsplit_once('/').expect("a cell's folder");
    assert!(record.contains(sum) && record.contains(id));
    let old = record.replace(sum, "0").replace(id, "feedfacefeedface");
    sandbox.write("old/cells/feedfacefeedface/cell.json", old);
    let old = [
        "train",
        "mask",
        "--teacher",
        "old/cells/feedfacefeedface",
        "--budget",
        "4x",
    ];
    let output = sandbox.run(&old);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(
        output.stderr.contains("other images of shapes"),
        "{}",
        output.stderr
    );
}
