//! Adversarial images stay with their cell: what they are made of, and that none is made twice.

use crate::archives::plan;
use crate::support::{Sandbox, TINY, id, rows};
use rlnet_suites::{Branch, CellRecord};
use std::collections::BTreeMap;
use std::path::PathBuf;

const OWN: &str = "pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=3";
const REPLAYED: &str = "apgd-ce:eps=8/255,reference_rng=true,restarts=1,steps=3";

/// Epochs enough that some images are right: only those are attacked.
fn suite() -> String {
    TINY.replace("train = 200", "train = 480")
        .replace("batch = 32", "batch = 16")
        .replace("epochs = 2", "epochs = 8")
        .replace(
            "models = [\"rlnet\", \"plain\"]",
            "models = [\"teacher\", \"rlnet\"]",
        )
        .replace("baseline = \"plain\"\n", "")
        .replace(
            "corruptions = [\"gaussian_noise\", \"contrast\"]",
            "corruptions = []",
        )
        .replace(
            "attacks = [\"fgsm\", \"pgd:steps=3\"]",
            "attacks = [\"pgd:steps=3\", \"pgd:steps=3,surrogate=teacher\", \"pgd:steps=3,branch=clean\", \
             \"pgd:steps=3,branch=all\", \"pgd:steps=3,surrogate=teacher,branch=all\", \
             \"apgd-ce:steps=3,reference_rng=true\", \"apgd-ce:steps=3,reference_rng=true,surrogate=teacher\"]",
        )
}

fn cell(sandbox: &Sandbox, out: &str, name: &str) -> PathBuf {
    sandbox.path(&format!("{out}/cells/{}", id(sandbox, out, name)))
}

/// The cells whose images a cell was shown, by their names.
fn images_of(sandbox: &Sandbox, out: &str, name: &str) -> Vec<String> {
    let text = std::fs::read(cell(sandbox, out, name).join("cell.json")).expect("a record");
    let record: CellRecord = serde_json::from_slice(&text).expect("JSON");
    let names = plan(sandbox, out).cells;
    let name_of = |id| {
        names
            .iter()
            .find(|cell| cell.id == id)
            .map(|cell| cell.name.clone())
    };
    record
        .provenance
        .images_of
        .into_iter()
        .filter_map(name_of)
        .collect()
}

#[test]
fn an_attack_is_made_once_and_what_is_wrong_from_the_start_never() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", suite());
    sandbox.ok("run s.toml --out kept --only rlnet");
    sandbox.ok("run s.toml --out kept");
    // The same trainings, attacked without a memory.
    let mut copy = std::process::Command::new("cp");
    let copied = copy.args(["-r", "kept", "fresh"]).current_dir(sandbox.path(""));
    assert!(copied.status().expect("cp").success());
    let attacked: Vec<String> = plan(&sandbox, "kept")
        .cells
        .iter()
        .filter(|cell| cell.name.contains("pgd"))
        .map(|cell| cell.name.clone())
        .collect();
    for name in &attacked {
        std::fs::remove_dir_all(cell(&sandbox, "fresh", name)).expect("a cell");
    }
    sandbox.ok("run s.toml --out fresh --set evaluation.save_images=false");

    sources_are_named(&sandbox);
    assert_eq!(attacked.len(), 4 + 7);
    for name in &attacked {
        same_rows_without_memory(&sandbox, name);
        only_right_images_are_attacked(&sandbox, name);
    }
    damaged_and_discarded_images_take_no_row_along(&sandbox, &attacked);
}

/// What is made anew, what is taken from others, and from which it may be.
fn sources_are_named(sandbox: &Sandbox) {
    // The name of a cell: parameters stand in alphabetical order.
    let named = |model: &str, branch: &str, more: &str| {
        let own = OWN.replace(",eps", &format!("{branch},eps"));
        format!("{model}/{own}{more}")
    };
    let surrogate = ",surrogate=teacher";
    for (name, from) in [
        (named("teacher", "", ""), vec![]),
        (named("teacher", ",branch=clean", ""), vec![""]),
        (named("rlnet", ",branch=clean", ""), vec![""]),
        (named("rlnet", "", surrogate), vec!["", ",branch=clean"]),
        (named("rlnet", ",branch=all", ""), vec![]),
        (named("rlnet", ",branch=all", surrogate), vec![",branch=all"]),
        // Its draws depend on which other images are there.
        (format!("rlnet/{REPLAYED},surrogate=teacher"), vec![]),
    ] {
        let model = if name.contains("surrogate") {
            "teacher"
        } else {
            name.split('/').next().expect("a model")
        };
        let told = images_of(sandbox, "kept", &name);
        let may: Vec<String> = from.iter().map(|branch| named(model, branch, "")).collect();
        assert_eq!(told.is_empty(), from.is_empty(), "{name}: {told:?}");
        assert!(told.iter().all(|other| may.contains(other)), "{name}: {told:?}");
        assert!(images_of(sandbox, "fresh", &name).is_empty(), "{name}");
    }
}

/// A cell attacked without other cells' images: the same identity and the same bytes of rows.
fn same_rows_without_memory(sandbox: &Sandbox, name: &str) {
    let (kept, fresh) = (cell(sandbox, "kept", name), cell(sandbox, "fresh", name));
    assert!(kept.join("adversarial.safetensors").exists(), "{name}");
    assert!(!fresh.join("adversarial.safetensors").exists(), "{name}");
    assert_eq!(kept.file_name(), fresh.file_name());
    assert_eq!(
        rows(sandbox, "kept", name),
        rows(sandbox, "fresh", name),
        "{name}"
    );
}

/// An image that is wrong as it is costs its one pass, and stays as it is.
fn only_right_images_are_attacked(sandbox: &Sandbox, name: &str) {
    let (model, _) = name.split_once('/').expect("a model");
    let clean: BTreeMap<(Branch, u32), bool> = rows(sandbox, "kept", &format!("{model}/clean"))
        .iter()
        .map(|row| ((row.branch, row.image), row.prediction == row.label))
        .collect();
    let mut right = 0;
    for row in rows(sandbox, "kept", name) {
        if clean[&(row.branch, row.image)] {
            // As it is, each step of what is followed, and the verdict.
            let followed = if name.contains("branch=all") { 2 } else { 1 };
            let paid = (row.forwards, row.backwards);
            assert!(
                name.contains("apgd") || paid == (2 + 3 * followed, 3 * followed),
                "{name}: {paid:?}"
            );
            // (What the surrogate has wrong as it is takes no step.)
            assert!(
                row.backwards > 0 || name.contains("surrogate"),
                "{name}, image {}",
                row.image
            );
            assert!(row.norm > 0.0 || name.contains("apgd"));
            right += 1;
        } else {
            assert_eq!(
                (row.forwards, row.backwards),
                (1, 0),
                "{name}, image {}",
                row.image
            );
            assert_eq!(row.norm, 0.0);
            assert_ne!(row.prediction, row.label);
            assert_ne!(row.rounded, row.label);
        }
    }
    assert!(
        (2..46).contains(&right),
        "{name}: {right} of 48 right show nothing"
    );
}

/// Damaged images are found by a look at everything.
fn damaged_and_discarded_images_take_no_row_along(sandbox: &Sandbox, attacked: &[String]) {
    let damaged = cell(sandbox, "kept", &attacked[1]).join("adversarial.safetensors");
    let mut bytes = std::fs::read(&damaged).expect("a file");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&damaged, bytes).expect("a file");
    let whole = rows(sandbox, "kept", &attacked[1]);
    assert!(
        sandbox
            .ok("run s.toml --out kept")
            .stdout
            .contains("nothing was computed")
    );
    assert!(damaged.exists());
    let verified = sandbox.run("run s.toml --out kept --verify");
    assert_eq!(verified.code, 1);
    assert!(verified.stderr.contains("adversarial images") && verified.stderr.contains("rows stay"));
    assert!(!damaged.exists());
    assert!(
        sandbox
            .ok("run s.toml --out kept")
            .stdout
            .contains("nothing was computed")
    );
    assert_eq!(rows(sandbox, "kept", &attacked[1]), whole);
    // Images that were discarded are not looked for.
    let thrown = cell(sandbox, "kept", &attacked[0]).join("adversarial.safetensors");
    std::fs::remove_file(&thrown).expect("a file");
    let again = sandbox.ok("run s.toml --out kept");
    assert!(!again.stderr.contains("damaged"), "{}", again.stderr);
    assert!(!thrown.exists());
    let replay = sandbox.run(&[
        "attack",
        "replay",
        &thrown.parent().expect("a cell").display().to_string(),
    ]);
    assert_eq!(replay.code, 2);
    assert!(replay.stderr.contains("--discard-images"), "{}", replay.stderr);
}
