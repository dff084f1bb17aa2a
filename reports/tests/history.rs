//! A series of nights: what is added, kept, and found.

use crate::synthetic::nights::night;
use rlnet_reports::history::{self, FILE, HistoryRow};
use rlnet_reports::{read_records, write_records};
use std::fs;

#[test]
fn the_step_is_dated_and_the_series_outlives_its_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path();
    for number in 0..9 {
        night(dir, number, 0.80);
    }
    let quiet = history::update(dir).expect("a series");
    assert_eq!(quiet.added.len(), 9);
    assert!(quiet.steps().is_empty(), "{:?}", quiet.steps());
    for number in 9..12 {
        night(dir, number, 0.74);
    }
    fs::remove_dir_all(dir.join("night-00")).expect("deleted");
    let found = history::update(dir).expect("a series");
    assert_eq!(found.added, ["night-09", "night-10", "night-11"]);
    let line = found
        .lines
        .iter()
        .find(|line| line.name.ends_with("CA"))
        .expect("CA");
    assert_eq!(
        (line.points.len(), line.points[0].night.as_str()),
        (12, "night-00")
    );
    let steps = found.steps();
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert!(
        steps[0].starts_with("net, single branch, CA: ")
            && steps[0].contains("from night-09, commit 0123456789ab"),
        "{steps:?}"
    );
    let files = found.draw(dir).expect("drawn");
    let svg = fs::read_to_string(&files[0]).expect("a drawing");
    assert!(svg.contains("net, single branch, CA") && image::open(&files[1]).is_ok());
    // Nothing new: nothing is written.
    let before = fs::read(dir.join(FILE)).expect("the series");
    assert!(history::update(dir).expect("a series").added.is_empty());
    assert_eq!(fs::read(dir.join(FILE)).expect("the series"), before);
}

/// A series of a version that did not say what numbers were measured on goes on.
#[test]
fn nights_of_earlier_versions_belong_to_the_one_set_of_their_number() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path();
    night(dir, 0, 0.80);
    night(dir, 1, 0.80);
    history::update(dir).expect("a series");
    let mut rows = read_records::<HistoryRow>(&dir.join(FILE)).expect("rows");
    assert!(
        rows.iter()
            .all(|row| row.set.contains("images 0-999 of data synthetic"))
    );
    rows.iter_mut().for_each(|row| row.set.clear());
    write_records(&dir.join(FILE), &rows).expect("written");
    night(dir, 2, 0.80);
    let found = history::update(dir).expect("a series");
    let [line] = found.lines.as_slice() else {
        panic!("{:?}", found.lines)
    };
    assert_eq!(
        (line.name.as_str(), line.points.len()),
        ("net, single branch, CA", 3)
    );
}

#[test]
fn a_folder_without_runs_is_refused_and_a_damaged_night_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = history::update(folder.path()).expect_err("refused").to_string();
    assert!(said.contains("put run folders into it"), "{said}");
    night(folder.path(), 0, 0.8);
    fs::write(folder.path().join(FILE), "no Parquet").expect("written");
    let said = history::update(folder.path()).expect_err("damaged").to_string();
    assert!(
        said.contains(FILE) && said.contains("added anew") && !said.contains("cell"),
        "{said}"
    );
    fs::remove_file(folder.path().join(FILE)).expect("removed");
    fs::create_dir(folder.path().join("night-01")).expect("a folder");
    fs::write(folder.path().join("night-01/plan.json"), "{").expect("written");
    let found = history::update(folder.path()).expect("a series");
    assert_eq!(found.added, ["night-00"]);
    assert!(
        found.left_out[0].starts_with("night-01: "),
        "{:?}",
        found.left_out
    );
}
