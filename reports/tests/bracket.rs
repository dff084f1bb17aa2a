//! Certified <= robust <= attacked on six images, every number counted by hand.

use crate::synthetic::{plan_of, write_run_of};
use rlnet_reports::metrics::BranchPolicy;
use rlnet_reports::metrics::bracket::{brackets, contradictions};
use rlnet_reports::sections::{Content, SECTIONS, shown};
use rlnet_reports::{Analysis, Runs};
use rlnet_suites::{Branch, Cell, Condition, Outcome, Ranking};

const SUITE: &str = r#"
schema = 1
name = "tiny"
title = "Six images"
description = "Counted by hand."
[data]
dataset = "shapes"
[network]
arch = "resnet8-w8"
[[train]]
name = "two"
stage = "teacher"
[evaluation]
corruptions = []
attacks = ["fgsm:eps=1/255", "fgsm:eps=8/255", "fgsm:norm=l2"]
certify = ["certify:eps=2/255,method=crown"]
"#;

/// A letter an image and branch: certified, open, broken by the search for a proof.
fn verdicts(branch: Branch) -> &'static str {
    match branch {
        Branch::Clean => "ccoobb",
        _ => "cocobb",
    }
}

/// What an attack leaves right, and how long its perturbations are.
fn left(condition: &Condition) -> (&'static str, f32) {
    match condition {
        Condition::Attack(spec) if spec.eps() == Some(1.0 / 255.0) => ("111010", 1.0 / 255.0),
        // Outside the ball, and in another norm: they count for nothing here.
        Condition::Attack(spec) if spec.norm().name() == "linf" => ("000000", 8.0 / 255.0),
        Condition::Attack(_) => ("000000", 0.001),
        _ => ("111111", 0.0),
    }
}

fn rows(_: &Cell, conditions: &[Condition]) -> Vec<Outcome> {
    let mut rows = Vec::new();
    for condition in conditions {
        for branch in [Branch::Clean, Branch::Adversarial] {
            for image in 0..6_usize {
                let (right, norm) = left(condition);
                let mut right = right.as_bytes()[image] == b'1';
                let mut margin = if right { 1.0 } else { -1.0 };
                if matches!(condition, Condition::Certify(_)) {
                    let verdict = verdicts(branch).as_bytes()[image];
                    right = verdict != b'b';
                    margin = if verdict == b'c' { 0.5 } else { -0.5 };
                }
                let prediction = if right { 3 } else { 4 };
                rows.push(Outcome {
                    image: image as u32,
                    branch,
                    condition: condition.clone(),
                    label: 3,
                    prediction,
                    rounded: prediction,
                    margin,
                    loss: 1.0,
                    norm,
                    forwards: 1,
                    backwards: 0,
                    unusable: 0,
                    ranking: Ranking::default(),
                    unstable: 10 * image as u32,
                });
            }
        }
    }
    rows
}

fn analysis(rows: impl Fn(&Cell, &[Condition]) -> Vec<Outcome>) -> Analysis {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_run_of(folder.path(), &plan_of(SUITE, &[]), |_| true, rows);
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    Analysis::of(runs).expect("an analysis")
}

#[test]
fn the_bracket_counts_what_is_proven_and_what_nothing_broke() {
    let analysis = analysis(rows);
    let matrix = analysis.matrix("two").expect("measured");
    let counts = |policy| {
        let found = brackets(matrix, policy);
        let [bracket] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(bracket.attacks.len(), 2, "those in the same norm");
        let right = [&bracket.certified, &bracket.attacked, &bracket.open].map(|share| share.right);
        (right, bracket.unstable.expect("bounded images"))
    };
    // Images 0 and 1 are certified, 2 and 3 open, 4 and 5 broken; the small attack breaks 3 too.
    assert_eq!(counts(BranchPolicy::Fixed(Branch::Clean)), ([2, 3, 1], 15.0));
    // Image 0 in both branches; 1 and 2 in one of them.
    assert_eq!(counts(BranchPolicy::Worst), ([1, 3, 2], 15.0));
    assert_eq!(contradictions(matrix, &[Branch::Clean, Branch::Adversarial]), []);
    let shown = shown(&analysis, SECTIONS, false).expect("sections");
    let table = shown.iter().find_map(|(section, content)| match content {
        Content::Table(table) if section.id == "certified" => Some(table),
        _ => None,
    });
    // Two branches, the oracle's reading and the worst of branches.
    assert_eq!(table.expect("a table").rows.len(), 4);
}

/// What another verifier proves of an open image counts as certified; of a broken one it changes nothing.
#[test]
fn what_another_verifier_proves_is_certified() {
    use rlnet_suites::external::{ExternalEvaluation, FOLDER};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan_of(SUITE, &[]);
    write_run_of(folder.path(), &plan, |_| true, rows);
    let is_certificate = |cell: &&Cell| cell.name.contains("certify");
    let cell = plan.cells.iter().find(is_certificate).expect("a certificate");
    let found = ExternalEvaluation {
        cell: cell.id.clone(),
        source: "another verifier".to_owned(),
        checksum: "0123456789abcdef".to_owned(),
        images: 3,
        broken: Vec::new(),
        proven: vec![(2, Branch::Clean), (5, Branch::Clean)],
    };
    let external = folder.path().join(FOLDER);
    std::fs::create_dir(&external).expect("a folder");
    let bytes = serde_json::to_vec(&found).expect("JSON");
    std::fs::write(external.join("a.json"), bytes).expect("a file");
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    let analysis = Analysis::of(runs).expect("an analysis");
    let matrix = analysis.matrix("two").expect("measured");
    let certified = |policy| brackets(matrix, policy)[0].certified.right;
    assert_eq!(certified(BranchPolicy::Fixed(Branch::Clean)), 3);
    assert_eq!(certified(BranchPolicy::Worst), 2);
    let shown = shown(&analysis, SECTIONS, false).expect("sections");
    let table = shown.iter().find_map(|(section, content)| match content {
        Content::Table(table) if section.id == "external" => Some(table),
        _ => None,
    });
    assert_eq!(table.expect("a table").rows.len(), 1);
}

#[test]
fn a_certified_image_that_is_broken_in_its_ball_is_a_contradiction() {
    let forged = |cell: &Cell, conditions: &[Condition]| {
        let mut rows = rows(cell, conditions);
        for row in &mut rows {
            // The attack whose radius is larger found a point inside the certified ball.
            let found = row.image == 1 && row.branch == Branch::Clean;
            if found && matches!(&row.condition, Condition::Attack(spec) if spec.eps() == Some(8.0 / 255.0)) {
                row.norm = 2.0 / 255.0;
            }
        }
        rows
    };
    let analysis = analysis(forged);
    let matrix = analysis.matrix("two").expect("measured");
    let found = contradictions(matrix, &[Branch::Clean, Branch::Adversarial]);
    let [one] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((one.image, one.branch), (1, Branch::Clean));
    assert_eq!(one.attack.eps(), Some(8.0 / 255.0));
}
