//! Networks that differ only in how many ReLUs they keep.

use crate::synthetic::{IMAGES, outcomes, plan_of, write_run};
use rlnet_reports::Analysis;
use rlnet_reports::metrics::reduction::{Knee, Sweep, SweepLine};
use rlnet_reports::metrics::{BranchPolicy, Measure};
use rlnet_reports::{Format, Runs, render};
use rlnet_suites::{Branch, Condition, Plan};
use std::path::Path;

/// The synthetic suite with students at four reductions, and one of another seed at a fifth.
fn sweep_plan() -> Plan {
    let mut text = include_str!("synthetic/suite.toml").to_owned();
    let mut stages = String::new();
    for (times, seed) in [(20, 0), (2, 0), (4, 0), (10, 0), (6, 1)] {
        stages += &format!(
            "[[train]]\nname = \"mask-{times}x\"\nstage = \"mask\"\nteacher = \"teacher\"\nbudget = \"{times}x\"\n\n\
             [[train]]\nname = \"rlnet-{times}x\"\nstage = \"student\"\nmask = \"mask-{times}x\"\nwith.seed = {seed}\n\n"
        );
    }
    text = text.replace("[evaluation]", &format!("{stages}[evaluation]"));
    let names = [2, 4, 6, 10, 20].map(|times| format!("\"rlnet-{times}x\", "));
    text = text.replace("models = [", &format!("models = [{}", names.concat()));
    plan_of(&text, &["evaluation.corruptions=[\"fog\"]"])
}

fn line(sweep: &Sweep, measure: Measure, policy: BranchPolicy) -> &SweepLine {
    let mut lines = sweep.lines.iter();
    let found = lines.find(|line| line.measure == measure && line.policy == policy);
    found.expect("a line")
}

fn analysis(folder: &Path, plan: &Plan, finished: impl Fn(&str) -> bool) -> Analysis {
    write_run(folder, plan, |cell| finished(&cell.name));
    let runs = Runs::load(&[folder.to_owned()]).expect("a run");
    Analysis::of(runs).expect("an analysis")
}

#[test]
fn a_sweep_is_students_of_one_teacher_that_differ_only_in_their_relus() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = sweep_plan();
    let analysis = analysis(folder.path(), &plan, |_| true);
    let [sweep] = analysis.sweeps.as_slice() else {
        panic!("{} sweeps", analysis.sweeps.len())
    };
    assert_eq!(
        (sweep.name.as_str(), sweep.reference.as_str(), sweep.from_teacher),
        ("rlnet", "teacher", true)
    );
    let names: Vec<&str> = sweep.points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(
        names,
        ["teacher", "rlnet-2x", "rlnet-4x", "rlnet-10x", "rlnet-20x"]
    );
    assert!((sweep.points[4].reduction - 20.0).abs() < 0.05);

    // Recount one difference from the rows.
    let right = |cell: &str| -> u64 {
        let cell = plan.cells.iter().find(|known| known.name == cell).expect(cell);
        let rows = outcomes(&plan, cell, &[Condition::Clean], IMAGES);
        let own = rows
            .iter()
            .filter(|row| row.branch == Branch::Clean && row.label == row.prediction);
        own.count() as u64
    };
    let clean = line(sweep, Measure::Ca, BranchPolicy::Oracle);
    let (share, difference) = clean.values[4].as_ref().expect("measured");
    let (own, teacher) = (right("rlnet-20x/clean"), right("teacher/clean"));
    assert_eq!(share.right, own);
    let expected = (own as f64 - teacher as f64) / f64::from(IMAGES);
    let difference = difference.as_ref().expect("compared");
    assert!((difference.value - expected).abs() < 1e-12);
    // The invented networks keep their skill up to 8x and lose it beyond 10x.
    assert!(expected < -0.1, "{expected}");
    assert_eq!(clean.knee, Knee::Between(3, 4));
}

#[test]
fn the_report_draws_it_and_says_where_it_falls() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path(), &sweep_plan(), |_| true);
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    let page = std::fs::read_to_string(&rendered.index).expect("the page");
    assert!(page.contains("id=\"table-reduction\"") && page.contains("id=\"table-knees\""));
    assert!(page.contains("within 2.0 points up to 10.0\u{d7}, more lost at 20.0\u{d7}"));
    for file in [
        "figures/relus.svg",
        "figures/relus.png",
        "tables/reduction.csv",
        "tables/knees.md",
    ] {
        assert!(rendered.folder.join(file).is_file(), "{file}");
    }
    let csv = std::fs::read_to_string(rendered.folder.join("tables/reduction.csv")).expect("CSV");
    // Five networks, read two ways, below one line of headings.
    assert_eq!(csv.lines().count(), 11, "{csv}");
}

#[test]
fn an_unfinished_sweep_shows_what_is_there_and_claims_no_knee() {
    let folder = tempfile::tempdir().expect("a folder");
    let analysis = analysis(folder.path(), &sweep_plan(), |name| name != "rlnet-4x/clean");
    let sweep = &analysis.sweeps[0];
    let clean = line(sweep, Measure::Ca, BranchPolicy::Oracle);
    assert!(clean.values[2].is_none() && clean.values[3].is_some());
    assert_eq!(clean.knee, Knee::Unknown);
    assert_ne!(
        line(sweep, Measure::AdvA, BranchPolicy::Oracle).knee,
        Knee::Unknown
    );
}
