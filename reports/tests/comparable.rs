//! Two numbers on unlike sets stand in no column, no test and no line: they are compared over what
//! both have, or refused with both sets named.

use crate::synthetic::{plan_of, write_run_of};
use rlnet_reports::gate::{GateVerdict, compare};
use rlnet_reports::metrics::mce::{Base, Definition, Over};
use rlnet_reports::metrics::{BranchPolicy, Estimate, Known, Quantity};
use rlnet_reports::sections::{SECTIONS, Show};
use rlnet_reports::{Analysis, Runs, tables};
use rlnet_suites::corruption::BENCHMARK;
use rlnet_suites::{Branch, Cell, CellSpec, Condition, Gate, Outcome, Plan, Ranking, gate::NIGHTLY};
use std::path::{Path, PathBuf};

/// An evaluation of one network.
fn plan(model: &str, corruptions: &str, severities: &str) -> Plan {
    let text = format!(
        "schema = 1\nname = \"eval\"\ntitle = \"Eval\"\ndescription = \"One network.\"\n[data]\ndataset = \
         \"shapes\"\n[network]\narch = \"resnet8-w8\"\nnorm = \"single\"\n[[train]]\nname = \"{model}\"\nstage = \
         \"teacher\"\nviews = [\"clean\"]\n[evaluation]\ncorruptions = {corruptions}\nseverities = {severities}\n\
         attacks = [\"fgsm\"]\nheadline = \"fgsm\"\n"
    );
    let mut plan = plan_of(&text, &[]);
    // Another network is another cell.
    plan.cells.iter_mut().for_each(|cell| cell.id.0.push_str(model));
    plan
}

/// Right on all but a tenth of the images for each step of severity: the mean over severities
/// depends on which they are.
fn rows(cell: &Cell, conditions: &[Condition], images: u32) -> Vec<Outcome> {
    let CellSpec::Evaluate(spec) = &cell.spec else {
        return Vec::new();
    };
    let images = spec.images.unwrap_or(images);
    let row = |condition: &Condition, image: u32| {
        let wrong = match condition {
            Condition::Corruption { severity, .. } => 2 * u32::from(*severity),
            _ => 1,
        };
        let right = image % 10 >= wrong;
        Outcome {
            image,
            branch: Branch::Single,
            condition: condition.clone(),
            label: 1,
            prediction: u16::from(right),
            rounded: u16::from(right),
            margin: if right { 1.0 } else { -1.0 },
            loss: 0.5,
            norm: 0.0,
            forwards: 1,
            backwards: 0,
            unstable: 0,
            unusable: 0,
            ranking: Ranking::default(),
        }
    };
    let conditions = conditions.iter();
    conditions
        .flat_map(|condition| (0..images).map(move |image| row(condition, image)))
        .collect()
}

fn write(dir: &Path, plan: &Plan, images: u32) -> PathBuf {
    write_run_of(
        dir,
        plan,
        |_| true,
        |cell, conditions| rows(cell, conditions, images),
    );
    dir.to_owned()
}

fn judged(base: &Plan, current: &Plan, images: (u32, u32)) -> GateVerdict {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let base = write(&folder.path().join("base"), base, images.0);
    let current = write(&folder.path().join("current"), current, images.1);
    let gate = Gate::parse(NIGHTLY, "nightly").expect("sound");
    compare(&base, &current, &gate).expect("comparable")
}

fn analysis(plans: &[(&Plan, u32)]) -> Analysis {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dirs = plans
        .iter()
        .zip(0..)
        .map(|((plan, images), at): (_, u32)| write(&folder.path().join(at.to_string()), plan, *images));
    let dirs: Vec<PathBuf> = dirs.collect();
    Analysis::of(Runs::load(&dirs).expect("runs")).expect("an analysis")
}

fn npa(analysis: &Analysis, model: &str) -> Known<Estimate> {
    let triple = analysis.triple(model, BranchPolicy::Oracle).expect("a triple");
    triple.natural.npa.clone()
}

#[test]
fn other_severities_are_compared_over_those_of_both_runs() {
    let (one, two) = (
        plan("net", "[\"contrast\"]", "[1]"),
        plan("net", "[\"contrast\"]", "[1, 5]"),
    );
    let verdict = judged(&one, &two, (200, 200));
    assert!(!verdict.tripped(), "{:?}", verdict.reasons);
    let text = verdict.markdown();
    let sets = "contrast at severity 1 (contrast at severity 1 before, contrast at severities 1 and 5 now)";
    assert!(text.contains(sets), "{text}");
    assert!(!text.contains("stronger") && !text.contains("suspect"), "{text}");
    for check in &verdict.checks {
        assert_eq!(check.means().0, check.means().1, "{}", check.question.measure);
    }
    // A severity that is no longer measured is missed, by name; nothing else is suspected.
    let verdict = judged(&two, &one, (200, 200));
    let said = verdict.reasons.join("\n");
    assert!(
        said.contains(
            "measured on contrast at severities 1 and 5 before, and now only on contrast at severity 1"
        ),
        "{said}"
    );
    assert!(!said.contains("attack") && !said.contains("suspect"), "{said}");
}

#[test]
fn corruptions_in_common_are_compared_and_those_without_are_refused_by_name() {
    let of = |names: &str, severities: &str| plan("net", names, severities);
    // NPA of fog alone against fog and snow.
    let verdict = judged(
        &of("[\"fog\"]", "[1]"),
        &of("[\"fog\", \"snow\"]", "[1]"),
        (200, 200),
    );
    assert!(!verdict.tripped(), "{:?}", verdict.reasons);
    let measures: Vec<&str> = verdict
        .checks
        .iter()
        .map(|check| check.question.measure.as_str())
        .collect();
    assert!(
        measures
            .iter()
            .any(|measure| measure.starts_with("NPA over fog at severity 1 (")),
        "{measures:?}"
    );
    // Nothing in common.
    let verdict = judged(&of("[\"fog\"]", "[1]"), &of("[\"fog\"]", "[5]"), (200, 200));
    let said = verdict.reasons.join("\n");
    assert!(
        said.contains(
            "measured on fog at severity 1 before and on fog at severity 5 now, which cannot be compared"
        ),
        "{said}"
    );
    assert!(verdict.checks.iter().all(|check| !check.moved()));
}

#[test]
fn other_counts_of_images_are_compared_on_those_of_both_runs() {
    let with = |images: u32| {
        let mut plan = plan("net", "\"none\"", "[1]");
        plan.cells
            .iter_mut()
            .for_each(|cell| cell.data.test = Some(images));
        plan
    };
    let verdict = judged(&with(100), &with(200), (100, 200));
    assert!(!verdict.tripped(), "{:?}", verdict.reasons);
    let text = verdict.markdown();
    assert!(
        text.contains("CA on the 100 images of both (100 before, 200 now)"),
        "{text}"
    );
    let said = judged(&with(200), &with(100), (200, 100)).reasons.join("\n");
    assert!(
        said.contains("measured on 200 images before and on 100 now; only 100 are the same"),
        "{said}"
    );
    assert!(!said.contains("drifted"), "{said}");
    // A limit that leaves no image out is none.
    let verdict = judged(&plan("net", "\"none\"", "[1]"), &with(200), (200, 200));
    assert!(
        !verdict.tripped() && verdict.changes.is_empty(),
        "{:?}",
        verdict.reasons
    );
}

#[test]
fn a_mean_over_fewer_conditions_stands_in_no_column_of_a_report() {
    let whole = plan("a", "\"benchmark\"", "[1, 2, 3]");
    let fog = plan("b", "[\"fog\"]", "[1]");
    let both = analysis(&[(&whole, 200), (&fog, 200)]);
    assert!(npa(&both, "a").is_ok());
    let why = npa(&both, "b").expect_err("refused").to_string();
    assert_eq!(
        why,
        "measured on fog at severity 1, 200 images; this column is about the 15 corruptions of the benchmark at \
         severities 1, 2 and 3, 200 images"
    );
    let natural = &both.triple("b", BranchPolicy::Oracle).expect("a triple").natural;
    assert!(natural.corruptions.is_empty() && natural.per_image.is_empty() && natural.severities.is_empty());
    assert!(
        natural.unlike["fog"]
            .to_string()
            .contains("fog at severities 1, 2 and 3")
    );
    // What a suite never asks of a model is not unfinished.
    let joint = SECTIONS
        .iter()
        .find(|section| section.id == "joint")
        .expect("a section");
    let Show::Table(table) = joint.show else {
        panic!("no table")
    };
    let text = table(&both).markdown();
    assert!(
        !text.contains("unfinished") && text.contains("| b ") && text.contains('\u{2013}'),
        "{text}"
    );
    // mCE of every definition is refused with it.
    let errors = both.errors("b", BranchPolicy::Oracle).expect("measured");
    assert!(errors.profile.errors.iter().all(Option::is_none));
    let caption = tables::accuracy::main(&both).caption;
    assert!(
        caption.contains("NPA: the 15 corruptions of the benchmark at severities 1, 2 and 3;"),
        "{caption}"
    );
    // Alone, it is what its caption says.
    let alone = analysis(&[(&fog, 200)]);
    assert!((npa(&alone, "b").expect("known").value - 0.8).abs() < 1e-12);
    let caption = tables::accuracy::main(&alone).caption;
    assert!(
        caption.contains("NPA: only 1 of the 15 corruptions of the benchmark at severity 1;"),
        "{caption}"
    );
    // Severities of the same corruptions are a set as well.
    let other = plan("b", "\"benchmark\"", "[4, 5]");
    let both = analysis(&[(&whole, 200), (&other, 200)]);
    let known = ["a", "b"].map(|model| npa(&both, model).is_ok());
    assert_eq!(known, [true, false]);
    assert_eq!(
        both.columns.set(&Quantity::Npa).expect("a set").conditions.len(),
        3 * BENCHMARK.len()
    );
}

#[test]
fn accuracy_on_fewer_images_stands_in_no_column_and_a_caption_says_how_many() {
    let limited = |model: &str, images: u32| {
        let mut plan = plan(model, "\"none\"", "[1]");
        for cell in &mut plan.cells {
            if let CellSpec::Evaluate(spec) = &mut cell.spec
                && matches!(spec.conditions[0], Condition::Attack(_))
            {
                spec.images = Some(images);
                cell.id.0.push_str(&images.to_string());
            }
        }
        plan
    };
    let of = |analysis: &Analysis, model: &str| {
        let triple = analysis.triple(model, BranchPolicy::Oracle).expect("a triple");
        (triple.ca.is_ok(), triple.adva.clone())
    };
    let both = analysis(&[(&limited("a", 50), 200), (&limited("b", 100), 200)]);
    let (clean, adva) = of(&both, "a");
    let why = adva.expect_err("refused").to_string();
    assert!(
        clean && why.contains("50 images; this column is about") && why.ends_with("100 images"),
        "{why}"
    );
    assert!(of(&both, "b").1.is_ok());
    // No other table has the smaller set's number either.
    for section in SECTIONS {
        let Show::Table(table) = section.show else {
            continue;
        };
        let text = table(&both).markdown();
        let of_fgsm = text
            .lines()
            .filter(|line| line.contains("FGSM") && line.contains("| a "));
        assert_eq!(of_fgsm.count(), 0, "{text}");
    }
    let caption = tables::accuracy::main(&both).caption;
    assert!(
        caption.contains("Percent of 200 test images") && caption.contains("AdvA: 100 images only."),
        "{caption}"
    );
    let same = analysis(&[(&limited("a", 50), 200), (&limited("b", 50), 200)]);
    assert!(of(&same, "a").1.is_ok() && of(&same, "b").1.is_ok());
}

#[test]
fn a_data_set_is_its_checksum_wherever_its_folder_is() {
    let at = |dataset: &str, model: &str| {
        let mut plan = plan(model, "\"none\"", "[1]");
        plan.cells
            .iter_mut()
            .for_each(|cell| cell.data.dataset = dataset.to_owned());
        plan
    };
    for other in ["imagefolder:./flat", "imagefolder:/data/flat", "imagefolder:copy"] {
        let verdict = judged(&at("imagefolder:flat", "net"), &at(other, "net"), (200, 200));
        assert!(
            !verdict.tripped() && verdict.changes.is_empty(),
            "{other}: {:?}",
            verdict.reasons
        );
        let both = analysis(&[(&at("imagefolder:flat", "a"), 200), (&at(other, "b"), 200)]);
        assert_eq!(both.runs.models.len(), 2);
    }
    let mut drifted = at("imagefolder:flat", "net");
    drifted
        .cells
        .iter_mut()
        .for_each(|cell| cell.data.checksum = "other".to_owned());
    let said = judged(&at("imagefolder:flat", "net"), &drifted, (200, 200))
        .reasons
        .join("\n");
    assert!(
        said.contains("drifted data: checksum of the data synthetic to other"),
        "{said}"
    );
}

/// A baseline that loses nothing, next to nothing, and plainly something on one corruption.
#[test]
fn a_ratio_whose_denominator_is_noise_is_no_number_and_names_the_corruption() {
    for (lost, told) in [(0, false), (2, false), (30, true)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rows = |cell: &Cell, conditions: &[Condition]| {
            let mut all = rows(cell, conditions, 500);
            for row in &mut all {
                if matches!(&row.condition, Condition::Corruption { name, .. } if name == "brightness") {
                    // Clean, one of ten is wrong.
                    let wrong = row.image % 10 == 0 || (row.image % 10 == 1 && row.image / 10 < lost);
                    row.prediction = u16::from(!wrong);
                }
            }
            all
        };
        let dirs = ["net", "base"].map(|model| {
            let dir = folder.path().join(model);
            let mut plan = plan(model, "\"benchmark\"", "[1]");
            plan.baseline = Some("base".to_owned());
            write_run_of(&dir, &plan, |_| true, rows);
            dir
        });
        let found = Analysis::of(Runs::load(&dirs).expect("runs")).expect("an analysis");
        let measures: Vec<&str> = found
            .resampled
            .iter()
            .map(|found| found.measure.as_str())
            .collect();
        assert!(measures.contains(&"mCE, baseline = 100"), "{measures:?}");
        assert_eq!(
            measures.contains(&"relative mCE, baseline = 100"),
            told,
            "{lost}: {measures:?}"
        );
        let caption = tables::comparison::resampled(&found).caption;
        let why = match lost {
            0 => "the base loses nothing on brightness",
            _ => "the loss of accuracy of the baseline base on brightness cannot be told from zero",
        };
        let said = format!("No relative mCE, baseline = 100: {why}.");
        assert_eq!(caption.contains(&said), !told, "{lost}: {caption}");
        // The same in the tables of every definition.
        let errors = found.errors("net", BranchPolicy::Oracle).expect("measured");
        let baseline = found.errors("base", BranchPolicy::Oracle);
        let of = |relative| Definition {
            base: Base::Baseline,
            over: Over::Benchmark,
            relative,
        };
        assert_eq!(errors.mce(&of(true), baseline).is_ok(), told, "{lost}");
        assert!(errors.mce(&of(false), baseline).is_ok());
        let brightness = BENCHMARK
            .iter()
            .position(|name| *name == "brightness")
            .expect("a place");
        assert_eq!(errors.ce(&of(true), brightness, baseline).is_ok(), told, "{lost}");
        assert!(errors.ce(&of(true), 0, baseline).is_ok());
    }
}
