//! `harness/setup/portable.py`: the program on a machine that has a Python with libtorch, but no cargo
//! and no network.

use crate::harness::{Place, Said, binary};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/setup/portable.py")
}

/// A Python package that stands for PyTorch: its version, and this project's libtorch.
fn torch(place: &Place, version: &str) -> PathBuf {
    let file = place.write(
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

fn python(place: &Place, script: &Path, torch: Option<&Path>, arguments: &[&str]) -> Said {
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).current_dir(place.path(""));
    if let Some(torch) = torch {
        command.env("PYTHONPATH", torch);
    }
    let output = command.output().expect("python3");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_program_travels_in_parts_and_runs_on_another_libtorch() {
    let place = Place::new();
    place.write("data/note.txt", "as it was");
    let rlnet = binary().display().to_string();
    let packed = python(
        &place,
        &script(),
        None,
        &[
            "pack", "parts", "--binary", &rlnet, "--data", "data", "--level", "0", "--size", "7M",
        ],
    );
    assert_eq!(packed.code, 0, "{}", packed.stderr);
    assert!(place.path("parts/rlnet.tar.xz.001").exists(), "{}", packed.stdout);

    let unpacked = python(&place, &script(), None, &["unpack", "parts", "--to", "there"]);
    assert_eq!(unpacked.code, 0, "{}", unpacked.stderr);
    let note = std::fs::read_to_string(place.path("there/data/note.txt")).expect("data");
    assert_eq!(note, "as it was");

    let there = place.path("there/portable.py");
    let ask = ["model", "info", "resnet8-w4", "--budget", "2x", "--json"];
    let run = [["run", "--"].as_slice(), &ask].concat();
    let said = python(&place, &there, Some(&torch(&place, "2.11.0")), &run);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.stdout, place.ok(&ask).stdout);

    let old = python(&place, &there, Some(&torch(&place, "2.4.1")), &run);
    assert_eq!(old.code, 2);
    assert!(
        old.stderr.contains("torch 2.4.1") && old.stderr.contains("2.11."),
        "{}",
        old.stderr
    );
    let unchecked = python(&place, &there, None, &["check"]);
    assert_eq!(unchecked.code, 2);
    assert!(unchecked.stderr.contains("--checks"), "{}", unchecked.stderr);
}

#[test]
fn a_large_file_is_cut_and_joined_and_damage_is_named() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) / 7) as u8).collect();
    let file = place.write("weights", &bytes);
    let ok = |arguments: &[&str]| {
        let said = python(&place, &script(), None, arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
    };
    ok(&["split", "weights", "--size", "30K"]);
    std::fs::remove_file(&file).expect("removed");
    ok(&["join", "weights"]);
    assert_eq!(std::fs::read(&file).expect("joined"), bytes);

    std::fs::remove_file(&file).expect("removed");
    std::fs::write(place.path("weights.002"), "short").expect("damage");
    let said = python(&place, &script(), None, &["join", "weights"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("weights.002"), "{}", said.stderr);
    assert!(!file.exists(), "nothing half-joined");

    place.write("weights.sha256", "no checksum here");
    let said = python(&place, &script(), None, &["join", "weights"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("weights.sha256"), "{}", said.stderr);
}
