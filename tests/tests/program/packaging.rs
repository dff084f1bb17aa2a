//! `harness/setup/portable.py`: the program on a machine that has a Python with libtorch, but no cargo
//! and no network.

use crate::support::{CommandOutput, Sandbox, binary, walk};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of `harness/setup`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../harness/setup")
        .join(name)
}

/// A Python package that stands for PyTorch: its version, and this project's libtorch.
fn torch(sandbox: &Sandbox, version: &str) -> PathBuf {
    let file = sandbox.write(
        &format!("{version}/torch/__init__.py"),
        format!("__version__ = '{version}'\n"),
    );
    let folder = file.parent().expect("its folder");
    let libtorch = std::env::var_os("LIBTORCH").filter(|path| !path.is_empty());
    let libtorch = libtorch.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.libtorch"),
        PathBuf::from,
    );
    symlink(libtorch.join("lib"), folder.join("lib")).expect("a link");
    folder.parent().expect("its parent").to_path_buf()
}

pub fn python(sandbox: &Sandbox, script: &Path, torch: Option<&Path>, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).current_dir(sandbox.path(""));
    if let Some(torch) = torch {
        command.env("PYTHONPATH", torch);
    }
    let output = command.output().expect("python3");
    CommandOutput {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_program_travels_in_parts_and_runs_on_another_libtorch() {
    let sandbox = Sandbox::new();
    sandbox.write("data/note.txt", "as it was");
    let rlnet = binary().display().to_string();
    let packed = python(
        &sandbox,
        &script("portable.py"),
        None,
        &[
            "pack", "parts", "--binary", &rlnet, "--data", "data", "--level", "0", "--size", "7M",
        ],
    );
    assert_eq!(packed.code, 0, "{}", packed.stderr);
    assert!(
        sandbox.path("parts/rlnet.tar.xz.001").exists(),
        "{}",
        packed.stdout
    );

    let unpacked = python(
        &sandbox,
        &script("portable.py"),
        None,
        &["unpack", "parts", "--to", "there"],
    );
    assert_eq!(unpacked.code, 0, "{}", unpacked.stderr);
    let note = std::fs::read_to_string(sandbox.path("there/data/note.txt")).expect("data");
    assert_eq!(note, "as it was");

    let there = sandbox.path("there/portable.py");
    let ask = ["model", "info", "resnet8-w4", "--budget", "2x", "--json"];
    let run = [["run", "--"].as_slice(), &ask].concat();
    let output = python(&sandbox, &there, Some(&torch(&sandbox, "2.11.0")), &run);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(output.stdout, sandbox.ok(&ask).stdout);

    let old = python(&sandbox, &there, Some(&torch(&sandbox, "2.4.1")), &run);
    assert_eq!(old.code, 2);
    assert!(
        old.stderr.contains("torch 2.4.1") && old.stderr.contains("2.11."),
        "{}",
        old.stderr
    );
    let unchecked = python(&sandbox, &there, None, &["check"]);
    assert_eq!(unchecked.code, 2);
    assert!(unchecked.stderr.contains("--checks"), "{}", unchecked.stderr);
}

#[test]
fn a_large_file_is_cut_and_joined_and_damage_is_named() {
    let sandbox = Sandbox::new();
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) / 7) as u8).collect();
    let file = sandbox.write("weights", &bytes);
    let ok = |arguments: &[&str]| {
        let output = python(&sandbox, &script("portable.py"), None, arguments);
        assert_eq!(output.code, 0, "{arguments:?}: {}", output.stderr);
    };
    ok(&["split", "weights", "--size", "30K"]);
    std::fs::remove_file(&file).expect("removed");
    ok(&["join", "weights"]);
    assert_eq!(std::fs::read(&file).expect("joined"), bytes);

    std::fs::remove_file(&file).expect("removed");
    std::fs::write(sandbox.path("weights.002"), "short").expect("damage");
    let output = python(&sandbox, &script("portable.py"), None, &["join", "weights"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("weights.002"), "{}", output.stderr);
    assert!(!file.exists(), "nothing half-joined");

    sandbox.write("weights.sha256", "no checksum here");
    let output = python(&sandbox, &script("portable.py"), None, &["join", "weights"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("weights.sha256"), "{}", output.stderr);
}

#[test]
fn a_release_has_the_same_bytes_twice() {
    let sandbox = Sandbox::new();
    let rlnet = binary().display().to_string();
    let archives = ["one", "two"].map(|out| {
        let arguments = ["dist", out, "--binary", &rlnet, "--level", "0"];
        let written = python(&sandbox, &script("portable.py"), None, &arguments);
        assert_eq!(written.code, 0, "{}", written.stderr);
        let files = walk(&sandbox.path(out));
        assert_eq!(files.len(), 1, "{files:?}");
        std::fs::read(&files[0]).expect("an archive")
    });
    assert!(archives[0] == archives[1], "two archives of one program differ");
}
