//! Gates: every planted regression is found and named, and no change is no alarm.

use crate::synthetic::{keyed, plan_of, write_run_of};
use rlnet_reports::gate::{Check, GateVerdict, Limits, Question, compare, decide};
use rlnet_reports::metrics::BranchPolicy;
use rlnet_suites::{Branch, Cell, CellSpec, Condition, Gate, Outcome, Plan, Ranking, gate::NIGHTLY};
use std::fs;
use std::path::Path;

const SUITE: &str = r#"
schema = 1
name = "nights"
title = "Nights"
description = "One network, measured every night."
[data]
dataset = "shapes"
[network]
arch = "resnet8-w8"
[[train]]
name = "net"
stage = "teacher"
[evaluation]
corruptions = ["fog", "snow"]
severities = [1, 2]
attacks = ["fgsm", "pgd"]
headline = "pgd"
"#;

const IMAGES: u32 = 2000;

/// What a night does to one row.
type Plant = dyn Fn(&mut Outcome);

fn rows(_: &Cell, conditions: &[Condition], plant: &Plant) -> Vec<Outcome> {
    let mut rows = Vec::new();
    for condition in conditions {
        let ease = match condition {
            Condition::Clean | Condition::AugMix => 0.85,
            Condition::Corruption { .. } | Condition::Frame { .. } => 0.7,
            Condition::Attack(_) | Condition::Certify(_) => 0.4,
        };
        for branch in [Branch::Clean, Branch::Adversarial] {
            for image in 0..IMAGES {
                let own = keyed(&[branch.name(), &condition.to_string()], image.into());
                let margin = (ease - 0.7 * keyed(&["image"], image.into()) - 0.3 * own) as f32;
                let attacked = matches!(condition, Condition::Attack(_));
                let mut row = Outcome {
                    image,
                    branch,
                    condition: condition.clone(),
                    label: 1,
                    prediction: u16::from(margin > 0.0),
                    rounded: u16::from(margin > 0.0),
                    margin,
                    loss: 0.5,
                    norm: if attacked { 8.0 / 255.0 } else { 0.0 },
                    forwards: 1,
                    backwards: if attacked { 20 } else { 0 },
                    unstable: 0,
                    unusable: 0,
                    ranking: Ranking::default(),
                };
                plant(&mut row);
                rows.push(row);
            }
        }
    }
    rows
}

fn night(dir: &Path, plan: &Plan, plant: &Plant) {
    write_run_of(
        dir,
        plan,
        |_| true,
        |cell, conditions| rows(cell, conditions, plant),
    );
}

/// Replaces text in the records of all finished cells.
fn patch(dir: &Path, from: &str, to: &str) {
    for cell in fs::read_dir(dir.join("cells")).expect("cells") {
        let file = cell.expect("a cell").path().join("cell.json");
        let text = fs::read_to_string(&file).expect("a record");
        fs::write(&file, text.replace(from, to)).expect("written");
    }
}

/// A verdict on a night after a quiet one.
fn judged(plan: &Plan, plant: &Plant, patched: (&str, &str)) -> GateVerdict {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (base, current) = (folder.path().join("base"), folder.path().join("current"));
    night(&base, &plan_of(SUITE, &[]), &|_| {});
    night(&current, plan, plant);
    patch(&current, patched.0, patched.1);
    compare(&base, &current, &nightly()).expect("comparable")
}

fn nightly() -> Gate {
    Gate::parse(NIGHTLY, "nightly").expect("sound")
}

const NOTHING: (&str, &str) = ("\u{0}", "");

/// Weights of another checksum.
const RETRAINED: (&str, &str) = ("\"weights of net\"", "\"other weights of net\"");

#[test]
fn a_night_without_change_passes() {
    let verdict = judged(&plan_of(SUITE, &[]), &|_| {}, NOTHING);
    assert!(!verdict.tripped(), "{:?}", verdict.reasons);
    assert!(verdict.changes.is_empty());
    assert!(verdict.markdown().contains("passed"));
    assert!(verdict.checks.len() > 8);
    assert!(verdict.junit().contains("failures=\"0\""));
}

#[test]
fn two_percent_of_flipped_decisions_are_found_and_listed() {
    // Every 50th image is wrong when clean and through the clean branch.
    let plant = |row: &mut Outcome| {
        if row.condition == Condition::Clean && row.branch == Branch::Clean && row.image.is_multiple_of(50) {
            row.prediction = 0;
            row.margin = -row.margin.abs();
        }
    };
    let verdict = judged(&plan_of(SUITE, &[]), &plant, RETRAINED);
    assert!(verdict.tripped());
    let [reason] = verdict.reasons.as_slice() else {
        panic!("{:?}", verdict.reasons)
    };
    assert!(
        reason.starts_with("net, clean branch, CA:") || reason.starts_with("net, oracle, CA:"),
        "{reason}"
    );
    assert!(reason.contains("weaker model: weights of net"), "{reason}");
    assert!(!reason.contains("attack") && !reason.contains("data"), "{reason}");
    let check = verdict
        .checks
        .iter()
        .find(|check| check.tripped())
        .expect("tripped");
    let (worse, better) = check.flipped();
    assert!(better.is_empty() && worse.iter().all(|image| image.is_multiple_of(50)) && worse.len() > 20);
    assert!(verdict.markdown().contains("images that got worse: "));
    let junit = verdict.junit();
    assert!(junit.contains("failures=\"1\"") && junit.contains("<failure message=\"net, "));
    assert_eq!(junit.matches("<testcase").count(), verdict.checks.len());
}

#[test]
fn names_break_neither_markdown_nor_junit() {
    let mut verdict = judged(&plan_of(SUITE, &[]), &|_| {}, NOTHING);
    for check in &mut verdict.checks {
        check.question.model = "a|b\n<img src=x> & \"c\"".to_owned();
    }
    let markdown = verdict.markdown();
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 2 + verdict.checks.len(), "{markdown}");
    let bars = |line: &&str| line.replace("\\|", "").matches('|').count() == 12;
    assert!(rows.iter().all(bars) && !markdown.contains("<img"), "{markdown}");
    let junit = verdict.junit();
    assert!(
        junit.contains("a|b&lt;img src=x&gt; &amp; &quot;c&quot;."),
        "{junit}"
    );
    assert_eq!(junit.lines().count(), 5 + verdict.checks.len(), "{junit}");
}

#[test]
fn a_weakened_attack_is_told_from_a_stronger_model() {
    // The same weights under the same name of attack: it stops at half the radius.
    let plant = |row: &mut Outcome| {
        if matches!(&row.condition, Condition::Attack(spec) if spec.name() == "pgd") {
            row.norm = 4.0 / 255.0;
            row.backwards = 10;
            if row.image.is_multiple_of(12) {
                row.prediction = 1;
            }
        }
    };
    let verdict = judged(&plan_of(SUITE, &[]), &plant, NOTHING);
    assert!(verdict.tripped());
    for reason in &verdict.reasons {
        assert!(
            reason.contains("AdvA") && reason.contains("weaker attack"),
            "{reason}"
        );
        assert!(
            reason.contains("8.00/255 to 4.00/255") && reason.contains("20.0 to 10.0"),
            "{reason}"
        );
    }
    // Asked for with fewer steps: the specification says so.
    let fewer = SUITE.replace("\"pgd\"", "\"pgd:steps=5\"");
    let helped = |row: &mut Outcome| {
        if matches!(&row.condition, Condition::Attack(spec) if spec.name() == "pgd")
            && row.image.is_multiple_of(12)
        {
            row.prediction = 1;
        }
    };
    let verdict = judged(&plan_of(&fewer, &[]), &helped, NOTHING);
    assert!(verdict.tripped());
    for reason in &verdict.reasons {
        assert!(
            reason.contains("weaker attack") && reason.contains("steps=20 to pgd"),
            "{reason}"
        );
    }
}

#[test]
fn drifted_data_and_changed_numerics_are_named() {
    let mut plan = plan_of(SUITE, &[]);
    for cell in &mut plan.cells {
        cell.data.checksum = "other images".into();
    }
    let relabelled = |row: &mut Outcome| {
        if row.image.is_multiple_of(40) {
            row.label = 2;
        }
    };
    let verdict = judged(&plan, &relabelled, NOTHING);
    let said = verdict.reasons.join("\n");
    assert!(
        said.contains("drifted data: 50 images have another label"),
        "{said}"
    );
    assert!(
        said.contains("checksum of the data synthetic to other images"),
        "{said}"
    );
    assert!(!said.contains("model:") && !said.contains("attack:"), "{said}");
    // The same weights on more threads: margins move a little, answers flip both ways.
    let jittered = |row: &mut Outcome| {
        row.margin += 1e-5;
        if row.image.is_multiple_of(500) {
            row.prediction = 1 - row.prediction;
        }
    };
    let verdict = judged(
        &plan_of(SUITE, &[]),
        &jittered,
        ("\"threads\": 2", "\"threads\": 4"),
    );
    let said = verdict.reasons.join("\n");
    assert!(
        said.contains("net: changed numerics: 4 of 2000 clean images"),
        "{said}"
    );
    assert!(
        verdict
            .changes
            .iter()
            .any(|change| change.what == "threads 2 to 4")
    );
}

#[test]
fn what_is_no_longer_measured_trips_the_gate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (base, current) = (folder.path().join("base"), folder.path().join("current"));
    let plan = plan_of(SUITE, &[]);
    night(&base, &plan, &|_| {});
    let unfinished = |cell: &Cell| cell.name != "net/fog";
    write_run_of(&current, &plan, unfinished, |cell, conditions| {
        rows(cell, conditions, &|_| {})
    });
    let verdict = compare(&base, &current, &nightly()).expect("comparable");
    let said = verdict.reasons.join("\n");
    assert!(
        said.contains("NPA: measured before, now missing or unfinished"),
        "{said}"
    );
}

#[test]
fn a_changed_attack_is_named_though_no_test_trips() {
    let fewer = SUITE.replace("\"pgd\"", "\"pgd:steps=5\"");
    let verdict = judged(&plan_of(&fewer, &[]), &|row| row.margin += 0.0, NOTHING);
    let changed = |verdict: &GateVerdict, what: &str| {
        let mut changes = verdict.changes.iter();
        changes.any(|change| change.what.starts_with("attack pgd:") && change.what.contains(what))
    };
    assert!(changed(&verdict, "steps=20 to pgd"), "{:?}", verdict.changes);
    let text = verdict.markdown();
    assert!(
        text.contains("AdvA is of pgd:") && !text.contains("are the same in both runs"),
        "{text}"
    );
    assert!(text.contains("PGD-20, 8/255, now PGD-5, 8/255"), "{text}");
    assert!(verdict.json()["changes"].to_string().contains("steps=5"));
    // One attack takes the place of one: the other is missing, and said to be.
    let both = SUITE.replace("[\"fgsm\", \"pgd\"]", "[\"pgd\", \"pgd:steps=50\"]");
    let only = SUITE.replace("[\"fgsm\", \"pgd\"]", "[\"pgd\"]");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (base, current) = (folder.path().join("base"), folder.path().join("current"));
    night(&base, &plan_of(&both, &[]), &|_| {});
    night(&current, &plan_of(&only, &[]), &|_| {});
    let verdict = compare(&base, &current, &nightly()).expect("comparable");
    assert!(
        changed(&verdict, "steps=50 is no longer made"),
        "{:?}",
        verdict.changes
    );
    let said = verdict.reasons.join("\n");
    assert!(
        said.contains("PGD-50, 8/255: measured before, now missing"),
        "{said}"
    );
    let verdict = compare(&current, &base, &nightly()).expect("comparable");
    assert!(changed(&verdict, "steps=50 is new"), "{:?}", verdict.changes);
}

#[test]
fn a_gate_without_anything_to_test_lets_nothing_through() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (base, current) = (folder.path().join("base"), folder.path().join("current"));
    let plan = plan_of(SUITE, &[]);
    let begun = |dir: &Path, finished: &dyn Fn(&Cell) -> bool| {
        write_run_of(dir, &plan, finished, |cell, conditions| {
            rows(cell, conditions, &|_| {})
        });
    };
    begun(&base, &|cell| cell.name == "net");
    night(&current, &plan, &|_| {});
    let error = compare(&base, &current, &nightly())
        .expect_err("nothing to test")
        .to_string();
    assert!(
        error.contains("the older run has not finished net/clean"),
        "{error}"
    );
    // What the older run has finished is tested, and what it has not is named.
    let other = folder.path().join("other");
    begun(&other, &|cell| cell.name != "net/fog");
    let verdict = compare(&other, &current, &nightly()).expect("comparable");
    assert_eq!(verdict.unfinished, ["net/fog"]);
    assert!(verdict.markdown().contains("has not finished it: net/fog"));
    // A model that was not trained here has no branches before its first rows.
    let mut imported = plan.clone();
    imported
        .cells
        .retain(|cell| matches!(cell.spec, CellSpec::Evaluate(_)));
    let nothing = folder.path().join("nothing");
    write_run_of(&nothing, &imported, |_| false, |_, _| Vec::new());
    let error = compare(&nothing, &current, &nightly()).expect_err("nothing to test");
    assert!(
        error
            .to_string()
            .contains("the older run has not finished net/clean")
    );
    // A gate whose rules are about no model of the runs.
    let gate = NIGHTLY.replace("[[rule]]", "[[rule]]\nmodels = [\"nobody\"]");
    let gate = Gate::parse(&gate, "of nobody").expect("sound");
    let error = compare(&current, &current, &gate)
        .expect_err("nothing to test")
        .to_string();
    assert!(error.contains("no rule of gate nightly"), "{error}");
}

/// A pair of nights in which a share of the images flips, either way alike: a network
/// retrained to the same quality.
fn quiet(seed: u64, flipped: f64) -> Vec<Question> {
    let policies = [Branch::Clean, Branch::Adversarial].map(BranchPolicy::Fixed);
    let mut questions = Vec::new();
    for policy in policies {
        for measure in ["CA", "AdvA", "fog", "snow", "fgsm"] {
            let key = [policy.label(), measure.to_owned(), seed.to_string()];
            let draw = |what: &str, image: u32| keyed(&[&key[0], &key[1], &key[2], what], image.into());
            let right = |image| f64::from(u8::from(draw("image", image) < 0.6));
            let (mut old, mut new) = (Vec::new(), Vec::new());
            for image in 0..1000 {
                // Flips are drawn for each night from the same network.
                let night = |what| {
                    let flips = draw(what, image) < flipped;
                    if flips { 1.0 - right(image) } else { right(image) }
                };
                old.push(night("old"));
                new.push(night("new"));
            }
            questions.push(Question {
                model: "net".into(),
                policy,
                measure: measure.into(),
                conditions: (Vec::new(), Vec::new()),
                images: (0..1000).collect(),
                old,
                new,
                limits: Limits {
                    drop: Some(0.0),
                    rise: Some(0.0),
                },
            });
        }
    }
    questions
}

#[test]
fn two_hundred_quiet_runs_keep_the_level_and_planted_effects_are_found_as_often_as_stated() {
    let gate = nightly();
    let quiet_nights: Vec<Vec<Question>> = (0..200).map(|seed| quiet(seed, 0.05)).collect();
    let alarms = |level: f64, smallest: f64| {
        let nights = quiet_nights.iter().filter(|night| {
            let limits = Limits {
                drop: Some(smallest),
                rise: Some(smallest),
            };
            let night = night.iter().map(|question| Question {
                limits,
                ..question.clone()
            });
            decide(night.collect(), level).iter().any(Check::tripped)
        });
        nights.count()
    };
    // The gate as it comes: its level, and the smallest of its effects.
    let found = alarms(gate.level, 0.5);
    assert!(found as f64 <= 200.0 * gate.level, "{found} alarms in 200 nights");
    // Without a smallest effect, ten tests a night, only the level stands between chance and
    // alarm: with a true rate of 5 %, 18 or fewer of 200 are alarms with 99 % probability.
    let found = alarms(0.05, 0.0);
    assert!(found <= 18, "{found} alarms in 200 nights");
    // Planted effects of the stated size are found as often as stated.
    let stated = decide(quiet_nights[0].clone(), gate.level)[0].smallest_effect();
    let found = quiet_nights.iter().enumerate().filter(|(number, night)| {
        let mut night = (*night).clone();
        // Right answers turn wrong; as many as make the whole share `stated`.
        let of_right = stated * night[0].old.len() as f64 / night[0].old.iter().sum::<f64>();
        for (image, share) in night[0].new.iter_mut().enumerate() {
            if *share == 1.0 && keyed(&["planted", &number.to_string()], image as u64) < of_right {
                *share = 0.0;
            }
        }
        decide(night, gate.level)[0].moved()
    });
    let found = found.count();
    assert!(
        (140..=190).contains(&found),
        "{found} of 200 planted effects of {stated}"
    );
    // A worse network does trip: the level is not kept by silence.
    let mut worse = quiet(0, 0.05);
    for share in worse[0].new.iter_mut().take(200) {
        *share = 0.0;
    }
    assert!(decide(worse, gate.level)[0].tripped());
}

#[test]
fn an_evaluation_of_the_same_weights_that_makes_more_passes_trips_and_so_does_a_slower_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let plan = plan_of(SUITE, &[]);
    for dir in [&old, &new] {
        night(dir, &plan, &|_| {});
    }
    assert!(!compare(&old, &new, &nightly()).expect("a verdict").tripped());
    let change = |name: &str, change: &dyn Fn(&mut rlnet_suites::Provenance)| {
        let cell = plan.cells.iter().find(|cell| cell.name == name).expect(name);
        let file = new.join("cells").join(&cell.id.0).join("cell.json");
        let text = fs::read_to_string(&file).expect("a record");
        let mut record: rlnet_suites::CellRecord = serde_json::from_str(&text).expect("a record");
        change(&mut record.provenance);
        fs::write(&file, serde_json::to_string(&record).expect("json")).expect("written");
    };
    for dir in [&old, &new] {
        for cell in &plan.cells {
            let file = dir.join("cells").join(&cell.id.0).join("cell.json");
            let text = fs::read_to_string(&file).expect("a record");
            let mut record: rlnet_suites::CellRecord = serde_json::from_str(&text).expect("a record");
            (record.provenance.forwards, record.provenance.seconds) = (1000, 60.0);
            fs::write(&file, serde_json::to_string(&record).expect("json")).expect("written");
        }
    }
    change("net/clean", &|provenance| provenance.forwards = 1001);
    change("net/fog", &|provenance| provenance.seconds = 130.0);
    change("net/snow", &|provenance| provenance.seconds = 110.0);
    let verdict = compare(&old, &new, &nightly()).expect("a verdict");
    assert_eq!(verdict.reasons.len(), 2, "{:?}", verdict.reasons);
    assert!(verdict.reasons[0].contains("net/clean: 1000 forward and backward passes before, 1001 now"));
    assert!(
        verdict.reasons[1]
            .contains("net/fog: 60 seconds before, 130 now: 116.7 % more, the gate allows 100 %")
    );
}
