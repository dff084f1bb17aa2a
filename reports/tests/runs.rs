//! Runs as they lie on disks: unfinished, damaged, several at once, or none at all.

use crate::synthetic::{plan, write_run};
use rlnet_reports::{Runs, write_records};
use rlnet_suites::Outcome;
use std::fs;
use std::path::Path;

/// A suite small enough to be written in no time.
const SMALL: [&str; 2] = [
    "evaluation.corruptions=[\"fog\"]",
    "evaluation.attacks=[\"fgsm\"]",
];

fn error(dirs: &[&Path]) -> String {
    let dirs: Vec<_> = dirs.iter().map(|dir| (*dir).to_owned()).collect();
    Runs::load(&dirs).expect_err("refused").to_string()
}

fn sets<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], &["evaluation.headline=fgsm"], more].concat()
}

#[test]
fn what_is_not_a_run_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = error(&[folder.path()]);
    assert!(
        said.contains("is not a run") && said.contains("plan.json"),
        "{said}"
    );
    fs::write(folder.path().join("plan.json"), "{\"schema\": 1").expect("write");
    let said = error(&[folder.path()]);
    assert!(said.contains("plan.json: not readable"), "{said}");
}

#[test]
fn unfinished_cells_are_listed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan(&sets(&[]));
    write_run(folder.path(), &plan, |cell| !cell.name.ends_with("/fog"));
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    let missing: Vec<&str> = runs
        .missing()
        .iter()
        .map(|(_, cell)| cell.name.as_str())
        .collect();
    assert_eq!(missing, ["teacher/fog", "rlnet/fog", "senet/fog"]);
    assert_eq!(runs.records().len() + 3, plan.cells.len());
}

#[test]
fn a_run_that_has_only_begun_can_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_run(folder.path(), &plan(&sets(&[])), |_| false);
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    assert!(runs.records().is_empty());
    assert_eq!(runs.models.len(), 3);
}

#[test]
fn damaged_files_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan(&sets(&[]));
    write_run(folder.path(), &plan, |_| true);
    let cell = plan
        .cells
        .iter()
        .find(|cell| cell.name == "rlnet/clean")
        .expect("the cell");
    let file = folder
        .path()
        .join("cells")
        .join(&cell.id.0)
        .join("outcomes.parquet");
    write_records::<Outcome>(&file, &[]).expect("written");
    let said = error(&[folder.path()]);
    assert!(
        said.contains(&cell.id.0) && said.contains("holds 0 rows where cell.json says 1000"),
        "{said}"
    );
    fs::remove_file(&file).expect("removed");
    let said = error(&[folder.path()]);
    assert!(
        said.contains("cannot read") && said.contains("outcomes.parquet"),
        "{said}"
    );
}

#[test]
fn runs_on_other_images_are_not_joined() {
    let (a, b) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
    write_run(a.path(), &plan(&sets(&[])), |_| false);
    write_run(b.path(), &plan(&sets(&["data.test=100"])), |_| false);
    let said = error(&[a.path(), b.path()]);
    assert!(said.contains("different images"), "{said}");
}

#[test]
fn a_network_measured_twice_is_one_model_and_a_namesake_is_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dirs = ["first", "again", "seeded"].map(|name| folder.path().join(name));
    let same = plan(&sets(&[]));
    let other = plan(&sets(&["train.rlnet.with.seed=7"]));
    for (dir, plan) in dirs.iter().zip([&same, &same, &other]) {
        write_run(dir, plan, |_| true);
    }
    let runs = Runs::load(&dirs).expect("runs");
    let names: Vec<&str> = runs.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["teacher", "rlnet", "senet", "rlnet (seeded)"]);
    // Shared cells are counted once: the other seed changes one network and its three evaluations.
    assert_eq!(runs.records().len(), same.cells.len() + 4);
}
