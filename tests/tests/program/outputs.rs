//! What a command may write and where: never over its own input, into a cell, over a good run's plan;
//! and what cannot be written is said before the work, with one exit code.

use crate::errors::refused;
use crate::support::{CommandOutput, Sandbox, captured, untrained, walk};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

const ASK: [&str; 4] = ["--dataset", "shapes", "--limit", "20"];

fn eval(sandbox: &Sandbox, model: &str, out: &str, more: &[&str]) -> CommandOutput {
    sandbox.run(&[&["eval", model, "--out", out], more].concat())
}

#[test]
fn a_command_does_not_write_over_what_it_reads() {
    let sandbox = Sandbox::new();
    let own = untrained(&sandbox, "own.safetensors");
    let before = fs::read(sandbox.path(own)).expect("a model");
    std::os::unix::fs::symlink(sandbox.path(own), sandbox.path("soft.safetensors")).expect("a link");
    fs::hard_link(sandbox.path(own), sandbox.path("hard.safetensors")).expect("a link");
    for out in [own, "./own.safetensors", "soft.safetensors", "hard.safetensors"] {
        for format in ["mask", "safetensors"] {
            let output = sandbox.run(&format!("export {own} --format {format} --out {out}"));
            refused(&output, 2, &["--out", out, "would be lost"]);
        }
    }
    sandbox.ok(&format!("export {own} --format mask --out mask.safetensors"));
    let mask = fs::read(sandbox.path("mask.safetensors")).expect("a mask");
    for out in [own, "mask.safetensors"] {
        let output = sandbox.run(&format!("import mask.safetensors --model {own} --out {out}"));
        refused(&output, 2, &["would be lost"]);
    }
    assert_eq!(fs::read(sandbox.path(own)).expect("a model"), before);
    assert_eq!(fs::read(sandbox.path("mask.safetensors")).expect("a mask"), mask);
    let picture = ["corrupt", "preview", "--image", "p.png", "--out", "p.png"];
    sandbox.write("p.png", b"a picture");
    refused(&sandbox.run(&picture), 2, &["would be lost"]);

    // A cell's files are as they were written: nothing is put beside them either.
    sandbox.write("run/cells/0123456789abcdef/cell.json", "{}");
    fs::copy(
        sandbox.path(own),
        sandbox.path("run/cells/0123456789abcdef/model.safetensors"),
    )
    .expect("a copy");
    std::os::unix::fs::symlink(
        sandbox.path("run/cells/0123456789abcdef/model.safetensors"),
        sandbox.path("inside.safetensors"),
    )
    .expect("a link");
    for out in [
        "run/cells/0123456789abcdef/mask.safetensors",
        "inside.safetensors",
    ] {
        let output = sandbox.run(&format!("export {own} --format mask --out {out}"));
        refused(&output, 2, &["a cell of a run"]);
    }
    assert_eq!(walk(&sandbox.path("run")).len(), 2);
}

#[test]
fn a_model_nobody_can_use_leaves_a_good_runs_plan_and_a_fresh_folder_alone() {
    let sandbox = Sandbox::new();
    let own = untrained(&sandbox, "own.safetensors");
    sandbox.ok(&[&["eval", own, "--out", "good"][..], &ASK].concat());
    let files = || {
        walk(&sandbox.path("good"))
            .into_iter()
            .map(|file| (fs::read(&file).expect("a file"), file))
    };
    let before: Vec<_> = files().collect();
    sandbox.write("text.pt", "hello");
    for out in ["good", "fresh"] {
        refused(
            &eval(&sandbox, "text.pt", out, &ASK),
            2,
            &["text.pt", "TorchScript"],
        );
        // Five classes: the preflight has something to say.
        let output = eval(&sandbox, own, out, &["--dataset", "textures", "--limit", "20"]);
        refused(&output, 2, &["--allow classes"]);
        let output = eval(&sandbox, own, out, &[&ASK[..], &["--branch", "natural"]].concat());
        refused(&output, 2, &["no branch natural"]);
    }
    assert_eq!(files().collect::<Vec<_>>(), before);
    assert!(!sandbox.path("fresh").exists());

    // A plan of which nothing is done has no report, and takes none away.
    let plan = fs::read_to_string(sandbox.path("good/plan.json")).expect("a plan");
    let parsed: rlnet_suites::Plan = serde_json::from_str(&plan).expect("JSON");
    sandbox.write(
        "good/plan.json",
        plan.replace(&parsed.cells[0].id.0, "0000000000000000"),
    );
    let page = || fs::read(sandbox.path("good/report/index.html")).expect("a page");
    let before = page();
    refused(&sandbox.run("report good"), 2, &["none of the 1 cells", "good"]);
    assert_eq!(page(), before);
}

#[test]
fn stdout_that_refuses_is_an_error_and_a_reader_that_left_is_none() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["suite", "schema"][..],
        &["attack", "list"],
        &["--version"],
        &["model", "list", "--json"],
    ] {
        let mut command = sandbox.command(arguments);
        command.stdout(File::create("/dev/full").expect("a device"));
        let full = captured(command.output().expect("a process"));
        refused(&full, 1, &["stdout", "No space left"]);
        let mut command = sandbox.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        drop(child.stdout.take());
        let left = captured(child.wait_with_output().expect("an end"));
        assert_eq!((left.code, left.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_bad_input_everywhere() {
    let sandbox = Sandbox::new();
    let own = untrained(&sandbox, "own.safetensors");
    sandbox.ok(&[&["eval", own, "--out", "good"][..], &ASK].concat());
    sandbox.write("s.toml", crate::support::TINY);
    sandbox.write("file", "in the way");
    let folders: [&[&str]; 5] = [
        &["eval", own, "--dataset", "shapes", "--limit", "20"],
        &["run", "s.toml"],
        &["train", "teacher", "--dataset", "shapes", "--arch", "resnet8-w2"],
        &["corrupt", "shapes", "--names", "contrast", "--limit", "5"],
        &["report", "good"],
    ];
    for command in folders {
        for out in ["file", "file/below", "/proc/nowhere"] {
            let output = sandbox.run(&[command, &["--out", out]].concat());
            refused(&output, 2, &[out]);
            let advice = ["name a folder", "another place"];
            assert!(
                advice.iter().any(|word| output.stderr.contains(word)),
                "{}",
                output.stderr
            );
        }
    }
    let files: [(&[&str], &str); 4] = [
        (&["export", own, "--format", "mask"], "--out"),
        (
            &[
                "import",
                concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/teacher.pth"),
                "--arch",
                "resnet8-w2",
            ],
            "--out",
        ),
        (&["corrupt", "preview", "--dataset", "shapes"], "--out"),
        (&["compare", "good", "good"], "--junit"),
    ];
    for (command, option) in files {
        for (out, why) in [
            ("file/below.png", "is a file, not a folder"),
            ("nowhere/a.png", "there is no folder nowhere"),
            ("/proc/a.png", "another place"),
        ] {
            let output = sandbox.run(&[command, &[option, out]].concat());
            refused(&output, 2, &[out, why]);
        }
        fs::create_dir_all(sandbox.path("folder.png")).expect("a folder");
        refused(
            &sandbox.run(&[command, &[option, "folder.png"]].concat()),
            2,
            &["it is a folder"],
        );
    }
    // Renaming a finished file over a device would replace the device.
    let output = sandbox.run(&format!("export {own} --format mask --out /dev/null"));
    refused(&output, 2, &["device"]);
    assert!(!Path::new("/dev/null").is_file());
    assert_eq!(fs::read(sandbox.path("file")).expect("a file"), b"in the way");
}
