//! Metrics on four images, every number counted by hand.

use crate::synthetic::{plan_of, write_run_of};
use rlnet_reports::metrics::{BranchPolicy, Measure};
use rlnet_reports::{Analysis, Runs};
use rlnet_suites::{AttackSpec, Branch, Cell, Condition, Outcome, Ranking};

const SUITE: &str = r#"
schema = 1
name = "tiny"
title = "Four images"
description = "Counted by hand."
[data]
dataset = "shapes"
[network]
arch = "resnet8-w8"
[[train]]
name = "two"
stage = "teacher"
[[train]]
name = "one"
stage = "teacher"
norm = "single"
views = ["clean"]
[evaluation]
baseline = "one"
corruptions = ["fog", "snow"]
severities = [1, 2]
attacks = ["fgsm"]
"#;

/// Which of the images 0 to 3 are right; listed from the last, as rows need no order.
fn right(model: &str, branch: Branch, condition: &str) -> [bool; 4] {
    let word = match (model, branch, condition) {
        ("two", Branch::Clean, "clean") => "1110",
        ("two", Branch::Clean, "fog/1") => "1111",
        ("two", Branch::Clean, "fog/2") => "1000",
        ("two", Branch::Clean, "snow/1") => "1100",
        ("two", Branch::Clean, "fgsm:eps=8/255") => "0100",
        ("two", Branch::Adversarial, "clean") => "1010",
        ("two", Branch::Adversarial, "fog/1") => "1000",
        ("two", Branch::Adversarial, "fgsm:eps=8/255") => "1100",
        ("one", _, "clean") => "1100",
        ("one", _, "fog/1") => "1111",
        _ => "0000",
    };
    std::array::from_fn(|i| word.as_bytes()[i] == b'1')
}

fn rows(cell: &Cell, conditions: &[Condition]) -> Vec<Outcome> {
    let branches = match cell.model.as_str() {
        "two" => &[Branch::Clean, Branch::Adversarial][..],
        _ => &[Branch::Single],
    };
    let mut rows = Vec::new();
    for condition in conditions {
        for branch in branches {
            let right = right(&cell.model, *branch, &condition.to_string());
            for image in (0..4_u32).rev() {
                let is_right = right[image as usize];
                rows.push(row(image, *branch, condition, is_right, 0.0));
            }
        }
    }
    rows
}

fn row(image: u32, branch: Branch, condition: &Condition, right: bool, norm: f32) -> Outcome {
    Outcome {
        image,
        branch,
        condition: condition.clone(),
        label: 3,
        prediction: if right { 3 } else { 4 },
        rounded: if right { 3 } else { 4 },
        margin: if right { 1.0 } else { -1.0 },
        loss: 1.0,
        norm,
        forwards: 1,
        backwards: 0,
        unstable: 0,
        unusable: 0,
        ranking: Ranking::default(),
    }
}

fn analysis(rows: impl Fn(&Cell, &[Condition]) -> Vec<Outcome>) -> Analysis {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_run_of(folder.path(), &plan_of(SUITE, &[]), |_| true, rows);
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    Analysis::of(runs).expect("an analysis")
}

#[test]
fn every_reading_has_the_triple_counted_by_hand() {
    let analysis = analysis(rows);
    for (model, policy, ca, npa, adva) in [
        ("two", BranchPolicy::Oracle, 3, 7.0 / 16.0, 2),
        ("two", BranchPolicy::Fixed(Branch::Clean), 3, 7.0 / 16.0, 1),
        ("two", BranchPolicy::Fixed(Branch::Adversarial), 2, 1.0 / 16.0, 2),
        // Clean: images 0 and 2. Corrupted: only image 0 under fog/1. Attacked: only image 1.
        ("two", BranchPolicy::Worst, 2, 1.0 / 16.0, 1),
        ("one", BranchPolicy::Fixed(Branch::Single), 2, 4.0 / 16.0, 0),
    ] {
        let triple = analysis.triple(model, policy).expect("measured");
        let count = |share: &rlnet_reports::metrics::Known<rlnet_reports::metrics::Estimate>| {
            let share = share.as_ref().expect("measured");
            (share.right, share.answers)
        };
        assert_eq!(count(&triple.ca), (ca, 4), "{model} {policy:?}");
        assert_eq!(count(&triple.adva), (adva, 4), "{model} {policy:?}");
        let found = triple.natural.npa.as_ref().expect("measured");
        assert!(
            (found.value - npa).abs() < 1e-12,
            "{model} {policy:?}: {}",
            found.value
        );
        assert_eq!((found.answers, found.images), (16, 4));
        let mce = triple.natural.mce().expect("measured");
        assert!((mce.value - (1.0 - npa)).abs() < 1e-12);
        assert_eq!(mce.right, 16 - found.right);
    }
    // With one branch, every reading is that branch.
    let one = analysis.triple("one", BranchPolicy::Worst).expect("measured");
    assert_eq!(one.policy, BranchPolicy::Fixed(Branch::Single));
}

/// All images are of class 3, and every wrong answer says 4.
#[test]
fn confusions_count_the_branch_trained_for_each_kind_of_image() {
    use rlnet_reports::metrics::confusion::{Confusion, share};
    let analysis = analysis(rows);
    let two = analysis.matrix("two").expect("a grid");
    let [clean, attacked] = ["clean", "fgsm"].map(|text| vec![text.parse::<Condition>().expect(text)]);
    let fog: Vec<Condition> = ["fog/1", "fog/2"].map(|text| text.parse().expect(text)).into();
    for (conditions, taken) in [(&clean, 1), (&attacked, 2), (&fog, 3)] {
        let matrix = Confusion::of(two, conditions).expect("measured");
        assert_eq!(
            (matrix.classes(), matrix.count(3, 4)),
            (5, taken),
            "{conditions:?}"
        );
        assert_eq!(matrix.pairs(), [(3, 4)]);
        let answers = 4 * conditions.len() as u64;
        let found = share(two, conditions, 3, 4).expect("measured");
        assert_eq!((found.right, found.answers, found.images), (taken, answers, 4));
        assert!((found.value - matrix.share(3, 4)).abs() < 1e-12);
    }
    assert!(share(two, &clean, 4, 3).is_none(), "no image is of class 4");
    assert!(Confusion::of(two, &["snow/5".parse().expect("a condition")]).is_none());
}

#[test]
fn corruptions_and_severities_are_means_of_whole_counts() {
    let analysis = analysis(rows);
    let two = &analysis
        .triple("two", BranchPolicy::Oracle)
        .expect("measured")
        .natural;
    let one = &analysis
        .triple("one", BranchPolicy::Oracle)
        .expect("measured")
        .natural;
    assert_eq!(
        (two.corruptions["fog"].right, two.corruptions["fog"].answers),
        (5, 8)
    );
    assert_eq!(
        (two.corruptions["snow"].right, two.corruptions["snow"].answers),
        (2, 8)
    );
    assert_eq!((two.severities[&1].right, two.severities[&2].right), (6, 1));
    // Fog: (3/8) / (4/8). Snow: (6/8) / (8/8). Their mean is 3/4.
    let relative = two.mce_relative_to(one).expect("measured");
    assert!((relative - 0.75).abs() < 1e-12, "{relative}");
}

#[test]
fn comparisons_are_paired_by_image() {
    let analysis = analysis(rows);
    let find = |policy, measure| {
        let found = analysis
            .comparisons
            .iter()
            .find(|c| c.policy == policy && c.measure == measure);
        found.expect("compared")
    };
    // Clean: the two disagree on image 2 alone. Attacked: on images 0 and 1, 2 / 2^2 = 0.5.
    let ca = find(BranchPolicy::Oracle, Measure::Ca);
    assert_eq!((ca.difference.value, ca.difference.p), (0.25, 1.0));
    let adva = find(BranchPolicy::Oracle, Measure::AdvA);
    assert_eq!((adva.difference.value, adva.difference.p), (0.5, 0.5));
    assert_eq!(adva.verdict(), "not distinguishable");
    // Worst of branches, clean: 2 of 4 against 2 of 4, right on image 2 instead of image 1.
    let worst = find(BranchPolicy::Worst, Measure::Ca);
    assert_eq!((worst.difference.value, worst.difference.p), (0.0, 1.0));
    assert!(
        worst
            .difference
            .test
            .contains("only this model right on 1, only the baseline on 1")
    );
    assert_eq!(analysis.comparisons.len(), 6);
}

#[test]
fn the_oracle_gap_is_what_the_best_branch_lacks() {
    let analysis = analysis(rows);
    assert_eq!(analysis.gaps.len(), 1);
    let gap = &analysis.gaps[0];
    assert_eq!(
        (gap.model.as_str(), gap.best),
        ("two", BranchPolicy::Fixed(Branch::Clean))
    );
    assert_eq!(gap.values(), [0.0, 0.0, 0.25]);
}

#[test]
fn attacks_that_help_or_leave_their_ball_are_flagged() {
    assert_eq!(
        analysis(rows)
            .flags
            .iter()
            .filter(|flag| flag.code != "at-chance")
            .count(),
        0
    );
    let absurd = |_: &Cell, conditions: &[Condition]| {
        let mut rows = Vec::new();
        for condition in conditions {
            let attacked = matches!(condition, Condition::Attack(_));
            for branch in [Branch::Single, Branch::Clean, Branch::Adversarial] {
                rows.extend((0..20).map(|image| row(image, branch, condition, attacked, 0.5)));
            }
        }
        rows
    };
    let analysis = analysis(absurd);
    let codes: Vec<&str> = analysis.flags.iter().map(|flag| flag.code).collect();
    // Wrong on every clean image: no better than guessing.
    assert_eq!(codes.iter().filter(|code| **code == "at-chance").count(), 2);
    // Two branches of the one network, one of the other; and each network's attack.
    assert_eq!(codes.iter().filter(|code| **code == "attack-helps").count(), 3);
    assert_eq!(
        codes.iter().filter(|code| **code == "outside-the-ball").count(),
        2
    );
}

#[test]
fn joint_accuracy_and_overlap_are_counted_image_by_image() {
    use rlnet_reports::metrics::{joint, overlap::Broken};
    let analysis = analysis(rows);
    let two = analysis.matrix("two").expect("measured");
    let of = |texts: &[&str]| -> Vec<Condition> {
        let parsed = texts.iter().map(|text| text.parse().expect("a condition"));
        parsed.collect()
    };
    let clean = BranchPolicy::Fixed(Branch::Clean);
    let count = |policy, texts: &[&str]| {
        let found = joint::joint(two, policy, &of(texts)).expect("measured");
        (found.right, found.images)
    };
    // Clean branch: clean 1110, snow/1 1100, fog/2 1000, fgsm 0100.
    assert_eq!(count(clean, &["clean", "snow/1"]), (2, 4));
    assert_eq!(count(clean, &["clean", "snow/1", "fog/2"]), (1, 4));
    assert_eq!(count(clean, &["clean", "fgsm"]), (1, 4));
    assert_eq!(count(clean, &["clean", "fgsm", "fog/2"]), (0, 4));
    // Oracle: clean 1110 through the clean branch, fgsm 1100 through the adversarial one.
    assert_eq!(count(BranchPolicy::Oracle, &["clean", "fgsm"]), (2, 4));
    let [fgsm, fog] = &of(&["fgsm", "fog/2"])[..] else {
        panic!("two conditions")
    };
    // Right when clean: 0, 1, 2. fgsm breaks 0 and 2, fog/2 breaks 1 and 2.
    let broken = |condition| Broken::of(two, clean, condition).expect("measured");
    let overlap = broken(fgsm).overlap(&broken(fog));
    assert_eq!((overlap.both, overlap.first, overlap.second), (1, 1, 1));
}

#[test]
fn the_smallest_break_of_all_attacks_makes_a_monotone_curve() {
    use rlnet_reports::metrics::smallest_perturbation;
    let suite = SUITE.replace(
        "attacks = [\"fgsm\"]",
        "attacks = [\"fgsm:eps=2/255\", \"fgsm:eps=8/255\"]",
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Image 3 is wrong when clean. The small attack breaks image 0; the large one, badly
    // tuned, does not, but breaks image 1.
    let rows = |_: &Cell, conditions: &[Condition]| {
        let mut rows = Vec::new();
        for condition in conditions {
            let (right, norm) = match condition {
                Condition::Attack(spec) if spec.eps().is_some_and(|eps| eps < 0.01) => ("0110", 2.0 / 255.0),
                Condition::Attack(_) => ("1010", 8.0 / 255.0),
                _ => ("1110", 0.0),
            };
            for branch in [Branch::Single, Branch::Clean, Branch::Adversarial] {
                let right = right.bytes().zip(0..);
                rows.extend(right.map(|(r, image)| row(image, branch, condition, r == b'1', norm)));
            }
        }
        rows
    };
    write_run_of(
        folder.path(),
        &plan_of(&suite, &["evaluation.headline=fgsm"]),
        |_| true,
        rows,
    );
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    let analysis = Analysis::of(runs).expect("an analysis");
    let grid = analysis.matrix("one").expect("measured");
    let curves = smallest_perturbation::curves(grid, BranchPolicy::Fixed(Branch::Single));
    let points: Vec<(f64, u64)> = curves[0]
        .points
        .iter()
        .map(|(radius, share)| ((255.0 * radius).round(), share.right))
        .collect();
    // Alone the large attack would leave 2 of 4: more than the small one's break allows.
    assert_eq!(points, [(0.0, 3), (2.0, 2), (8.0, 1)]);
    // Distances 2/255, 8/255, never, 0: the median lies between the two sizes.
    let median = 255.0 * curves[0].median.expect("half are broken");
    assert!((median - 5.0).abs() < 1e-4, "{median}");
}

/// What `radius` says of an image is never more than the size at which another attack of the run broke it. An attack
/// around another image says nothing of this one.
#[test]
fn no_radius_lies_above_one_at_which_another_attack_broke_the_image() {
    use rlnet_reports::metrics::smallest_perturbation::{curves, minima};
    let suite = SUITE.replace(
        "attacks = [\"fgsm\"]",
        "attacks = [\"fgsm\", \"pgd\", \"fmn\", \"radius\", \"pgd:base=fog/2\"]",
    );
    // In 255ths, of images 1 to 3; image 0 is wrong when clean.
    let size = |spec: &AttackSpec| match spec.name() {
        "radius" => [Some(6.0), Some(10.0), None],
        "fmn" => [Some(7.0), Some(9.0), None],
        "pgd" if spec.base().is_some() => [Some(1.0), Some(1.0), Some(1.0)],
        "pgd" => [Some(3.0), None, None],
        _ => [None, None, None],
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = |_: &Cell, conditions: &[Condition]| {
        let mut rows = Vec::new();
        for condition in conditions {
            let broken = match condition {
                Condition::Attack(spec) => size(spec),
                _ => [None, None, None],
            };
            let broken: Vec<Option<f32>> = std::iter::once(Some(0.0)).chain(broken).collect();
            for branch in [Branch::Single, Branch::Clean, Branch::Adversarial] {
                rows.extend((broken.iter().zip(0..)).map(|(size, image)| {
                    row(
                        image,
                        branch,
                        condition,
                        size.is_none(),
                        size.unwrap_or(0.0) / 255.0,
                    )
                }));
            }
        }
        rows
    };
    let plan = plan_of(&suite, &["evaluation.headline=fgsm"]);
    write_run_of(folder.path(), &plan, |_| true, rows);
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    let analysis = Analysis::of(runs).expect("an analysis");
    let grid = analysis.matrix("one").expect("measured");
    let policy = BranchPolicy::Fixed(Branch::Single);
    let medians: Vec<(&str, f64)> = minima(grid, policy)
        .iter()
        .map(|found| {
            (
                found.attack.name(),
                255.0 * found.quartiles[1].expect("two images are broken"),
            )
        })
        .map(|(name, median)| (name, (median * 1000.0).round() / 1000.0))
        .collect();
    // Of 0, 7, 9 and none; and of 0, 3 (by PGD), 9 (by FMN) and none.
    assert_eq!(medians, [("fmn", 8.0), ("radius", 6.0)]);
    // Image 3 stands at every radius.
    let all = curves(grid, policy);
    let last = &all[0].points.last().expect("radii").1;
    assert_eq!((last.right, last.images), (1, 4));
}

#[test]
fn classes_and_every_definition_of_mce_agree_with_hand_counts() {
    use rlnet_reports::metrics::mce::{Base, Definition, Over};
    let analysis = analysis(rows);
    let classes = rlnet_reports::metrics::classes::by_class(
        analysis.matrix("two").expect("measured"),
        BranchPolicy::Oracle,
        &[Condition::Clean],
    );
    // All four images are of class 3.
    let classes = classes.expect("measured");
    assert_eq!((classes.len(), classes[&3].right), (1, 3));
    let two = analysis.errors("two", BranchPolicy::Oracle).expect("measured");
    let one = analysis.errors("one", BranchPolicy::Oracle).expect("measured");
    // Fog and snow: errors 3/8 and 6/8 against 4/8 and 8/8; clean 1/4 against 2/4.
    let of = |relative| Definition {
        base: Base::Baseline,
        over: Over::Benchmark,
        relative,
    };
    let fog = 9;
    let snow = 7;
    let ce = |relative, at| of(relative).ce(at, &two.profile, Some(&one.profile));
    assert_eq!(ce(false, fog), Ok(0.75));
    assert_eq!(ce(false, snow), Ok(0.75));
    // (6/8 - 1/4) / (8/8 - 2/4) = 1; on fog the baseline loses nothing.
    assert_eq!(ce(true, snow), Ok(1.0));
    assert!(
        ce(true, fog)
            .expect_err("no loss")
            .to_string()
            .contains("loses nothing on fog")
    );
    // Two of fifteen corruptions make no mean over fifteen.
    let missing = of(false)
        .mce(&two.profile, Some(&one.profile))
        .expect_err("thirteen missing");
    assert!(
        missing
            .to_string()
            .contains("has no error rate on gaussian_noise"),
        "{missing}"
    );
}

#[test]
fn mixed_branches_are_read_by_themselves_and_change_nothing_else() {
    let mixed = Branch::CleanWithAdversarialAffine;
    let with_mixed = |cell: &Cell, conditions: &[Condition]| {
        let mut all = rows(cell, conditions);
        if cell.model == "two" {
            for condition in conditions {
                all.extend((0..4).map(|image| row(image, mixed, condition, image == 3, 0.0)));
            }
        }
        all
    };
    let (plain, analysis) = (analysis(rows), analysis(with_mixed));
    let count = |analysis: &Analysis, policy| {
        let triple = analysis.triple("two", policy).expect("measured");
        triple.ca.as_ref().expect("measured").right
    };
    assert_eq!(count(&analysis, BranchPolicy::Fixed(mixed)), 1);
    for policy in [
        BranchPolicy::Oracle,
        BranchPolicy::Worst,
        BranchPolicy::Fixed(Branch::Clean),
    ] {
        assert_eq!(count(&analysis, policy), count(&plain, policy), "{policy:?}");
    }
    assert_eq!(analysis.gaps[0].best, plain.gaps[0].best);
    let table = rlnet_reports::tables::accuracy::main(&analysis).markdown();
    assert!(table.contains("clean-with-adversarial-affine branch"));
}

#[test]
fn a_random_branch_is_right_with_the_mean_of_the_branches() {
    use rlnet_reports::metrics::joint;
    // Clean branch right on image 1, adversarial branch on 0 and 1: (1 + 2) / 8.
    let analysis = analysis(rows);
    let grid = analysis.matrix("two").expect("measured");
    let mean = joint::random_branch(grid, &"fgsm".parse().expect("an attack")).expect("two branches");
    assert_eq!(
        (mean.value, mean.right, mean.answers, mean.images),
        (0.375, 3, 8, 4)
    );
    let single = analysis.matrix("one").expect("measured");
    assert!(joint::random_branch(single, &"fgsm".parse().expect("an attack")).is_none());
}

/// How to add a metric: a function of a model's matrix of predictions, whose value is worked out by
/// hand. This one is the share of images to which two branches give the same answer.
#[test]
fn a_new_metric_is_one_function_of_the_predictions() {
    use rlnet_reports::metrics::PredictionMatrix;
    fn agreement(matrix: &PredictionMatrix, branches: [Branch; 2], condition: &Condition) -> Option<f64> {
        let [a, b] = branches.map(|branch| matrix.predictions(BranchPolicy::Fixed(branch), condition));
        let (a, b) = (a?[0], b?[0]);
        let same = a.given.iter().zip(&b.given).filter(|(a, b)| a == b).count();
        Some(same as f64 / matrix.images.len() as f64)
    }
    let analysis = analysis(rows);
    let branches = [Branch::Clean, Branch::Adversarial];
    // Clean images: 1110 and 1010, and what is wrong says 4 in both: all but image 1 agree.
    let two = analysis.matrix("two").expect("a matrix");
    assert_eq!(agreement(two, branches, &Condition::Clean), Some(0.75));
    let one = analysis.matrix("one").expect("a matrix");
    assert_eq!(agreement(one, branches, &Condition::Clean), None);
}

/// Attacks in two norms and two that look for the smallest perturbation, on four images.
#[test]
fn unions_and_envelopes_counted_by_hand() {
    use rlnet_reports::metrics::optimality::envelopes;
    use rlnet_reports::metrics::unions::union;
    use rlnet_reports::sections::{Content, SECTIONS, shown};
    use rlnet_suites::external::{ExternalEvaluation, ExternalRow, FOLDER};
    const ATTACKED: &str = r#"
schema = 1
name = "balls"
title = "Two norms"
description = "Counted by hand."
[data]
dataset = "shapes"
[[train]]
name = "one"
stage = "teacher"
norm = "single"
views = ["clean"]
[network]
arch = "resnet8-w8"
[evaluation]
corruptions = "none"
attacks = ["pgd", "fmn", "pdpgd", "ddn"]
"#;
    // Image 0 is wrong when clean. Sizes at which each attack breaks the others; none where it does not.
    let size = |condition: &str, image: u32| -> Option<f32> {
        let all = match condition.split(':').next() {
            Some("clean") => [Some(0.0), None, None, None],
            Some("pgd") => [Some(0.0), Some(8.0 / 255.0), None, None],
            Some("fmn") => [Some(0.0), Some(4.0 / 255.0), Some(10.0 / 255.0), None],
            Some("pdpgd") => [Some(0.0), Some(2.0 / 255.0), Some(20.0 / 255.0), None],
            _ => [Some(0.0), Some(0.6), Some(0.4), Some(0.8)],
        };
        all[image as usize]
    };
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan_of(ATTACKED, &[]);
    write_run_of(
        folder.path(),
        &plan,
        |_| true,
        |_, conditions| {
            let rows = conditions.iter().flat_map(|condition| {
                let text = condition.to_string();
                (0..4).map(move |image| {
                    let broken = size(&text, image);
                    row(
                        image,
                        Branch::Single,
                        condition,
                        broken.is_none(),
                        broken.unwrap_or(1.0),
                    )
                })
            });
            rows.collect()
        },
    );
    let analysis =
        Analysis::of(Runs::load(&[folder.path().to_owned()]).expect("a run")).expect("an analysis");
    let policy = BranchPolicy::Fixed(Branch::Single);
    let all = union(analysis.matrix("one").expect("measured"), policy).expect("two norms");
    let counts: Vec<u64> = all
        .balls
        .iter()
        .map(|(.., share)| share.images - (share.value * 4.0).round() as u64)
        .collect();
    // In Linf at 8/255 images 0 and 1 are broken, in L2 at 0.5 images 0 and 2; image 3 is in neither ball.
    assert_eq!(counts, [2, 2]);
    assert_eq!((all.all.value * 4.0).round() as u64, 1);
    let linf = &envelopes(analysis.matrix("one").expect("measured"), policy)[0];
    let sizes: Vec<f64> = linf
        .distances
        .iter()
        .map(|size| (size * 255.0 * 1000.0).round() / 1000.0)
        .collect();
    assert_eq!((sizes, linf.held), (vec![0.0, 2.0, 10.0], 1));
    let names: Vec<&str> = linf.attacks.iter().map(|found| found.attack.name()).collect();
    // FMN: (0 + 4 + 10) / 3 against 12 / 3; PDPGD is clipped at 10: it is the envelope.
    assert_eq!(names, ["pdpgd", "fmn"]);
    let local = |at: usize| linf.attacks[at].local.expect("images at several distances");
    assert!((local(0) - 1.0).abs() < 1e-6);
    assert!((local(1) - (1.0 - (14.0 / 3.0 - 4.0) / (20.0 / 3.0 - 4.0))).abs() < 1e-6);

    // Images from elsewhere break image 3 in PGD's ball: the numbers fall, and a table says whose they are.
    let pgd = plan
        .cells
        .iter()
        .find(|cell| cell.name.contains("pgd"))
        .expect("a cell");
    let found = ExternalEvaluation {
        cell: pgd.id.clone(),
        source: "somebody's attack".into(),
        checksum: "0123456789abcdef".into(),
        images: 4,
        broken: vec![ExternalRow {
            image: 3,
            branch: Branch::Single,
            prediction: 4,
            rounded: 4,
            norm: 0.03,
        }],
        proven: Vec::new(),
    };
    std::fs::create_dir(folder.path().join(FOLDER)).expect("a folder");
    let text = serde_json::to_string(&found).expect("JSON");
    std::fs::write(folder.path().join(FOLDER).join("one.json"), text).expect("a file");
    let analysis =
        Analysis::of(Runs::load(&[folder.path().to_owned()]).expect("a run")).expect("an analysis");
    let all = union(analysis.matrix("one").expect("measured"), policy).expect("two norms");
    assert_eq!(all.all.value, 0.0);
    let shown = shown(&analysis, SECTIONS, false).expect("sections");
    let table = shown
        .iter()
        .find(|(section, _)| section.id == "external")
        .expect("a table");
    let Content::Table(table) = &table.1 else {
        panic!("no table")
    };
    assert!(
        table.markdown().contains("somebody's attack"),
        "{}",
        table.markdown()
    );
}
