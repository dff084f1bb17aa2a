//! What a command may write and where: never over its own input, into a cell, over a good run's plan;
//! and what cannot be written is said before the work, with one exit code.

use crate::errors::refused;
use crate::harness::{Place, Said, said, untrained, walk};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

const ASK: [&str; 4] = ["--dataset", "shapes", "--limit", "20"];

fn eval(place: &Place, model: &str, out: &str, more: &[&str]) -> Said {
    place.run(&[&["eval", model, "--out", out], more].concat())
}

#[test]
fn a_command_does_not_write_over_what_it_reads() {
    let place = Place::new();
    let own = untrained(&place, "own.safetensors");
    let before = fs::read(place.path(own)).expect("a model");
    std::os::unix::fs::symlink(place.path(own), place.path("soft.safetensors")).expect("a link");
    fs::hard_link(place.path(own), place.path("hard.safetensors")).expect("a link");
    for out in [own, "./own.safetensors", "soft.safetensors", "hard.safetensors"] {
        for format in ["mask", "safetensors"] {
            let said = place.run(&["export", own, "--format", format, "--out", out]);
            refused(&said, 2, &["--out", out, "would be lost"]);
        }
    }
    place.ok(&["export", own, "--format", "mask", "--out", "mask.safetensors"]);
    let mask = fs::read(place.path("mask.safetensors")).expect("a mask");
    for out in [own, "mask.safetensors"] {
        let said = place.run(&["import", "mask.safetensors", "--model", own, "--out", out]);
        refused(&said, 2, &["would be lost"]);
    }
    assert_eq!(fs::read(place.path(own)).expect("a model"), before);
    assert_eq!(fs::read(place.path("mask.safetensors")).expect("a mask"), mask);
    let picture = ["corrupt", "preview", "--image", "p.png", "--out", "p.png"];
    place.write("p.png", b"a picture");
    refused(&place.run(&picture), 2, &["would be lost"]);

    // A cell's files are as they were written: nothing is put beside them either.
    place.write("run/cells/0123456789abcdef/cell.json", "{}");
    fs::copy(
        place.path(own),
        place.path("run/cells/0123456789abcdef/model.safetensors"),
    )
    .expect("a copy");
    std::os::unix::fs::symlink(
        place.path("run/cells/0123456789abcdef/model.safetensors"),
        place.path("inside.safetensors"),
    )
    .expect("a link");
    for out in [
        "run/cells/0123456789abcdef/mask.safetensors",
        "inside.safetensors",
    ] {
        let said = place.run(&["export", own, "--format", "mask", "--out", out]);
        refused(&said, 2, &["a cell of a run"]);
    }
    assert_eq!(walk(&place.path("run")).len(), 2);
}

#[test]
fn a_model_nobody_can_use_leaves_a_good_runs_plan_and_a_fresh_folder_alone() {
    let place = Place::new();
    let own = untrained(&place, "own.safetensors");
    place.ok(&[&["eval", own, "--out", "good"][..], &ASK].concat());
    let files = || {
        walk(&place.path("good"))
            .into_iter()
            .map(|file| (fs::read(&file).expect("a file"), file))
    };
    let before: Vec<_> = files().collect();
    place.write("text.pt", "hello");
    for out in ["good", "fresh"] {
        refused(
            &eval(&place, "text.pt", out, &ASK),
            2,
            &["text.pt", "TorchScript"],
        );
        // Five classes: the preflight has something to say.
        let said = eval(&place, own, out, &["--dataset", "textures", "--limit", "20"]);
        refused(&said, 2, &["--allow classes"]);
        let said = eval(&place, own, out, &[&ASK[..], &["--branch", "natural"]].concat());
        refused(&said, 2, &["no branch natural"]);
    }
    assert_eq!(files().collect::<Vec<_>>(), before);
    assert!(!place.path("fresh").exists());

    // A plan of which nothing is done has no report, and takes none away.
    let plan = fs::read_to_string(place.path("good/plan.json")).expect("a plan");
    let parsed: rlnet_suites::Plan = serde_json::from_str(&plan).expect("JSON");
    place.write(
        "good/plan.json",
        plan.replace(&parsed.cells[0].id.0, "0000000000000000"),
    );
    let page = || fs::read(place.path("good/report/index.html")).expect("a page");
    let before = page();
    refused(
        &place.run(&["report", "good"]),
        2,
        &["none of the 1 cells", "good"],
    );
    assert_eq!(page(), before);
}

#[test]
fn stdout_that_refuses_is_an_error_and_a_reader_that_left_is_none() {
    let place = Place::new();
    for arguments in [
        &["suite", "schema"][..],
        &["attack", "list"],
        &["--version"],
        &["model", "list", "--json"],
    ] {
        let mut command = place.command(arguments);
        command.stdout(File::create("/dev/full").expect("a device"));
        let full = said(command.output().expect("a process"));
        refused(&full, 1, &["stdout", "No space left"]);
        let mut command = place.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        drop(child.stdout.take());
        let left = said(child.wait_with_output().expect("an end"));
        assert_eq!((left.code, left.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_bad_input_everywhere() {
    let place = Place::new();
    let own = untrained(&place, "own.safetensors");
    place.ok(&[&["eval", own, "--out", "good"][..], &ASK].concat());
    place.write("s.toml", crate::harness::TINY);
    place.write("file", "in the way");
    let folders: [&[&str]; 5] = [
        &["eval", own, "--dataset", "shapes", "--limit", "20"],
        &["run", "s.toml"],
        &["train", "teacher", "--dataset", "shapes", "--arch", "resnet8-w2"],
        &["corrupt", "shapes", "--names", "contrast", "--limit", "5"],
        &["report", "good"],
    ];
    for command in folders {
        for out in ["file", "file/below", "/proc/nowhere"] {
            let said = place.run(&[command, &["--out", out]].concat());
            refused(&said, 2, &[out]);
            let advice = ["name a folder", "another place"];
            assert!(
                advice.iter().any(|word| said.stderr.contains(word)),
                "{}",
                said.stderr
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
            let said = place.run(&[command, &[option, out]].concat());
            refused(&said, 2, &[out, why]);
        }
        fs::create_dir_all(place.path("folder.png")).expect("a folder");
        refused(
            &place.run(&[command, &[option, "folder.png"]].concat()),
            2,
            &["it is a folder"],
        );
    }
    // Renaming a finished file over a device would replace the device.
    let said = place.run(&["export", own, "--format", "mask", "--out", "/dev/null"]);
    refused(&said, 2, &["device"]);
    assert!(!Path::new("/dev/null").is_file());
    assert_eq!(fs::read(place.path("file")).expect("a file"), b"in the way");
}
