//! Bundles: packed, audited, tampered with, and put on a board.

use crate::archives::refused;
use crate::support::{CommandOutput, Sandbox, TINY, edit_rows, id};
use rlnet_reports::bundle::{self, MANIFEST, Manifest};
use rlnet_suites::Condition;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PGD: &str = "plain/pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=3";

/// A run of two networks and its bundle, made once for all tests of this process.
fn whole() -> &'static Sandbox {
    static MADE: OnceLock<Sandbox> = OnceLock::new();
    MADE.get_or_init(|| {
        let sandbox = Sandbox::new();
        sandbox.write("s.toml", TINY);
        let small = [
            "run",
            "s.toml",
            "--out",
            "out",
            "--set",
            "evaluation.models=[\"teacher\", \"plain\"]",
            "--set",
            "evaluation.corruptions=[\"contrast\"]",
        ];
        sandbox.ok(&small);
        sandbox.ok("bundle out --images 20 --out whole.zip --submitter Somebody");
        sandbox
    })
}

fn model(sandbox: &Sandbox, name: &str) -> String {
    let file = format!("out/cells/{}/model.safetensors", id(sandbox, "out", name));
    sandbox.path(&file).display().to_string()
}

/// An audit of a bundle by both models.
fn audit(bundle: &Path, more: &[&str]) -> CommandOutput {
    let sandbox = whole();
    let (teacher, plain) = (model(sandbox, "teacher"), model(sandbox, "plain"));
    let file = bundle.display().to_string();
    sandbox.run(
        &[
            &["audit", &file, "--model", &teacher, "--model", &plain, "--json"],
            more,
        ]
        .concat(),
    )
}

/// The checks of an audit that came to this verdict.
fn those(output: &CommandOutput, verdict: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let checks = told["checks"].as_array().expect("checks").iter();
    let found = checks.filter(|check| check["verdict"] == verdict);
    found
        .map(|check| check["what"].as_str().expect("a name").to_owned())
        .collect()
}

/// A copy of the whole bundle, changed by somebody who also makes its checksums right again (or does not).
fn tampered(sandbox: &Sandbox, careful: bool, change: impl FnOnce(&Path)) -> PathBuf {
    let folder = sandbox.path("unpacked");
    fs::create_dir(&folder).expect("a folder");
    let mut manifest = bundle::unpack(&whole().path("whole.zip"), &folder)
        .expect("a bundle")
        .manifest;
    change(&folder);
    if careful {
        for (name, record) in &mut manifest.files {
            if let Ok(bytes) = fs::read(folder.join(name)) {
                record.blake3 = rlnet_suites::io::checksum(&bytes);
                record.bytes = bytes.len() as u64;
            }
        }
    }
    put(&folder.join(MANIFEST), &json!(manifest));
    let out = sandbox.path("tampered.zip");
    bundle::archive(&folder, &out).expect("packed");
    out
}

fn put(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_vec_pretty(value).expect("JSON")).expect("written");
}

/// A cell of an unpacked bundle.
fn cell_in(folder: &Path, name: &str) -> PathBuf {
    folder.join("cells").join(id(whole(), "out", name))
}

#[test]
fn an_honest_bundle_is_clean_and_the_same_bytes_every_time() {
    let sandbox = whole();
    let bundle = sandbox.path("whole.zip");
    let output = audit(&bundle, &[]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(those(&output, "ok").len(), 13, "{}", output.stdout);
    sandbox.ok("bundle out --images 20 --out twice.zip --submitter Somebody");
    assert_eq!(
        fs::read(&bundle).expect("one"),
        fs::read(sandbox.path("twice.zip")).expect("two")
    );
    // Unpacked, it is a run that reports are made of.
    let folder = sandbox.path("as-a-run");
    fs::create_dir(&folder).expect("a folder");
    bundle::unpack(&bundle, &folder).expect("a bundle");
    sandbox.ok("report as-a-run --format json");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for name in crate::support::walk(&folder) {
        let text = String::from_utf8_lossy(&fs::read(&name).expect("a file")).into_owned();
        assert!(
            !text.contains(&format!("\"machine\": \"{}, ", host.trim())),
            "{name}"
        );
    }
}

#[test]
fn without_models_and_without_data_what_cannot_be_looked_at_is_said() {
    let sandbox = whole();
    let output = sandbox.run("audit whole.zip --json");
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(those(&output, "not-checked"), ["model", "replay", "preflight"]);
    let output = audit(&sandbox.path("whole.zip"), &["--model", &model(sandbox, "mask")]);
    assert_eq!(
        (output.code, those(&output, "finding")),
        (1, vec!["model".to_owned()]),
        "{}",
        output.stdout
    );
}

#[test]
fn a_flipped_row_is_caught_however_careful_the_hand() {
    for (cell, careful) in [("plain/clean", false), ("plain/clean", true), (PGD, true)] {
        let sandbox = Sandbox::new();
        let file = tampered(&sandbox, careful, |folder| {
            edit_rows(&cell_in(folder, cell), |rows| {
                let row = rows
                    .iter_mut()
                    .find(|row| row.prediction != row.label)
                    .expect("a wrong answer");
                (row.prediction, row.rounded, row.margin) = (row.label, row.label, row.margin.abs());
            });
        });
        let output = audit(&file, &[]);
        assert_eq!(output.code, 1, "{}", output.stderr);
        let found = those(&output, "finding");
        let expected: &[&str] = if careful { &["tables", "draw"] } else { &["files"] };
        assert!(
            expected
                .iter()
                .all(|check| found.iter().any(|found| found == check)),
            "{found:?}"
        );
    }
}

#[test]
fn a_swapped_image_is_caught() {
    let sandbox = Sandbox::new();
    let examples = bundle::examples(&rlnet_suites::CellId(id(whole(), "out", PGD)));
    let file = tampered(&sandbox, true, |folder| {
        let path = folder.join(&examples);
        let mut bytes = fs::read(&path).expect("examples");
        // The last two of the images, which come last in the file.
        let image = 4 * 3 * 32 * 32;
        let at = bytes.len() - 2 * image;
        let (one, two) = bytes[at..].split_at_mut(image);
        one.swap_with_slice(two);
        fs::write(path, bytes).expect("written");
    });
    let output = audit(&file, &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        those(&output, "finding").contains(&"ball".to_owned()),
        "{}",
        output.stdout
    );
}

#[test]
fn another_radius_is_caught() {
    let sandbox = Sandbox::new();
    // Of both networks; no other attack has this step.
    let (from, to) = ("alpha=2/255,eps=8/255", "alpha=2/255,eps=4/255");
    let file = tampered(&sandbox, true, |folder| {
        let mut texts = vec!["plan.json".to_owned()];
        for name in [PGD.to_owned(), PGD.replace("plain", "teacher")] {
            edit_rows(&cell_in(folder, &name), |rows| {
                let condition: Condition = rows[0]
                    .condition
                    .to_string()
                    .replace(from, to)
                    .parse()
                    .expect("a condition");
                rows.iter_mut()
                    .for_each(|row| row.condition.clone_from(&condition));
            });
            let cell = id(whole(), "out", &name);
            texts.extend([
                format!("cells/{cell}/cell.json"),
                format!("sample/{cell}.safetensors"),
            ]);
        }
        for name in texts {
            let mut bytes = fs::read(folder.join(&name)).expect("a file");
            // The texts are of one length, so that a header of safetensors stays one.
            for at in 0..bytes.len() - from.len() {
                if bytes[at..].starts_with(from.as_bytes()) {
                    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                }
            }
            fs::write(folder.join(&name), bytes).expect("written");
        }
    });
    let output = audit(&file, &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let found = those(&output, "finding");
    for check in ["rows", "cells", "ball"] {
        assert!(found.contains(&check.to_owned()), "{check}: {}", output.stdout);
    }
}

#[test]
fn another_model_is_caught() {
    let sandbox = whole();
    let file = sandbox.path("whole.zip").display().to_string();
    let forced = format!("plain={}", model(sandbox, "plain"));
    let output = sandbox.run(&["audit", &file, "--model", &forced, "--json"]);
    assert_eq!(output.code, 0, "{}", output.stdout);
    // The same name with other weights: they answer otherwise.
    let forced = format!("plain={}", model(sandbox, "teacher"));
    let output = sandbox.run(&["audit", &file, "--model", &forced, "--json"]);
    assert_eq!(output.code, 1);
    let found = those(&output, "finding");
    assert!(
        found.contains(&"model".to_owned()) && found.contains(&"replay".to_owned()),
        "{}",
        output.stdout
    );
}

#[test]
fn removed_cut_and_edited_files_are_caught() {
    let rows = format!("cells/{}/outcomes.parquet", id(whole(), "out", "plain/clean"));
    let remove = |folder: &Path| fs::remove_file(folder.join(&rows)).expect("removed");
    let cut = |folder: &Path| {
        let bytes = fs::read(folder.join(&rows)).expect("rows");
        fs::write(folder.join(&rows), &bytes[..bytes.len() / 2]).expect("cut");
    };
    let edit = |folder: &Path| {
        let path = folder.join("tables/main.json");
        let mut table: Value = serde_json::from_slice(&fs::read(&path).expect("a table")).expect("JSON");
        table["rows"][0]["adva"]["value"] = 0.9.into();
        put(&path, &table);
    };
    type Case<'a> = (&'a dyn Fn(&Path), bool, &'a [&'a str]);
    let changes: [Case<'_>; 4] = [
        (&remove, false, &["files", "rows"]),
        (&cut, false, &["files", "rows"]),
        (&cut, true, &["rows"]),
        (&edit, true, &["tables"]),
    ];
    for (change, careful, expected) in changes {
        let sandbox = Sandbox::new();
        let output = audit(&tampered(&sandbox, careful, change), &[]);
        assert_eq!(
            (output.code, those(&output, "finding")),
            (1, expected.iter().map(|c| (*c).to_owned()).collect())
        );
    }
    // The archive itself.
    let sandbox = Sandbox::new();
    let bytes = fs::read(whole().path("whole.zip")).expect("a bundle");
    let file = sandbox.write("cut.zip", &bytes[..bytes.len() / 2]);
    refused(&audit(&file, &[]), &["cut.zip", "not a bundle"]);
    refused(&audit(&sandbox.path("none.zip"), &[]), &["none.zip"]);
}

#[test]
fn a_division_says_which_of_its_rules_are_broken() {
    let sandbox = whole();
    sandbox.ok("bundle out --images 2 --out ruled.zip --division closed-small --only plain/*");
    let output = sandbox.run("audit ruled.zip --json");
    assert_eq!(
        (output.code, those(&output, "finding")),
        (1, vec!["division".to_owned()]),
        "{}",
        output.stdout
    );
    let told: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let checks = told["checks"].as_array().expect("checks");
    let detail = checks
        .iter()
        .find(|check| check["what"] == "division")
        .expect("the check")["detail"]
        .to_string();
    for part in [
        "2 images are drawn",
        "shapes is not one",
        "test images",
        "main attack",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    refused(&sandbox.run("bundle out --division clsed"), &["closed"]);
}

#[test]
fn a_board_ranks_what_was_audited_and_marks_what_was_not() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("board");
    fs::create_dir(&folder).expect("a folder");
    fs::copy(whole().path("whole.zip"), folder.join("whole.zip")).expect("a copy");
    sandbox.write("board/broken.zip", b"PK not a bundle");
    let page = |sandbox: &Sandbox| {
        let output = sandbox.ok("board board --json");
        let told: Value = serde_json::from_str(&output.stdout).expect("JSON");
        (
            told,
            fs::read_to_string(sandbox.path("board/index.html")).expect("a page"),
        )
    };
    let (told, text) = page(&sandbox);
    let rows = told["groups"][0]["table"]["rows"]
        .as_array()
        .expect("rows")
        .clone();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["audit"] == "not audited"), "{rows:?}");
    assert!(
        told["published"]["rows"].as_array().expect("rows").is_empty(),
        "shapes were published by nobody"
    );
    assert!(
        text.contains("broken.zip") && text.contains("not audited") && text.contains("Somebody"),
        "{text}"
    );
    // 40 images tell two networks of seconds apart hardly ever: both may have both ranks.
    let output = audit(&folder.join("whole.zip"), &["--record"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let (told, _) = page(&sandbox);
    let rows = told["groups"][0]["table"]["rows"]
        .as_array()
        .expect("rows")
        .clone();
    assert!(rows.iter().all(|row| row["audit"] == "audited"), "{rows:?}");
    assert!(
        rows.iter()
            .all(|row| row["rank"].as_str().is_some_and(|rank| !rank.is_empty())),
        "{rows:?}"
    );
    // An audit of other bytes is none.
    let other = whole().path("other.zip");
    whole().ok("bundle out --images 5 --out other.zip");
    fs::copy(other, folder.join("whole.zip")).expect("another");
    let (told, _) = page(&sandbox);
    assert!(
        told["groups"][0]["table"]["rows"][0]["audit"]
            .as_str()
            .is_some_and(|audit| audit.contains("other bytes"))
    );
    // With no bundle at all there are the published numbers.
    fs::create_dir(sandbox.path("empty")).expect("a folder");
    let output = sandbox.ok("board empty --json");
    assert!(output.stdout.contains("SENet"), "{}", output.stdout);
}

/// The manifest is what the module says.
#[test]
fn the_manifest_names_every_file_with_its_checksum() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle::unpack(&whole().path("whole.zip"), folder.path()).expect("a bundle");
    let Manifest {
        schema,
        files,
        sample,
        statement,
        ..
    } = &bundle.manifest;
    assert_eq!(
        (*schema, sample.images.len(), statement.submitter.as_str()),
        (1, 20, "Somebody")
    );
    assert!(bundle.faults.is_empty());
    for name in [
        "plan.json",
        "sample/originals.png",
        "tables/main.json",
        "cards/plain.json",
    ] {
        assert!(files.contains_key(name), "{name}");
    }
}
