//! The masking verdict on three networks: one that is honestly robust, one that hides its
//! gradients, and one that was not asked enough.

use crate::synthetic::{plan_of, write_run_of};
use rlnet_reports::metrics::diagnosis::{Diagnosis, DiagnosisVerdict, ItemStatus};
use rlnet_reports::{Analysis, Format, Runs, render, write_records};
use rlnet_suites::attack::{Norm, Surrogate, diagnosis};
use rlnet_suites::{
    AttackSpec, Branch, Cell, CellRecord, CellSpec, Condition, GradientProbe, Outcome, Plan, Ranking,
};
use std::path::Path;

const IMAGES: u32 = 200;

/// A plan with one single-branch network under the whole group; `probe` with the probe.
fn plan(probe: bool, sets: &[&str]) -> Plan {
    let text = format!(
        "schema = 1\nname = \"checklist\"\ntitle = \"Checklist\"\ndescription = \"One network.\"\n\
         [data]\ndataset = \"shapes\"\n[network]\narch = \"resnet8-w8\"\n\
         [[train]]\nname = \"net\"\nstage = \"teacher\"\nnorm = \"single\"\nviews = [\"clean\"]\n\
         [evaluation]\nprobe = {probe}\ncorruptions = \"none\"\nattacks = [\"{}\"]\n",
        diagnosis::GROUP
    );
    plan_of(&text, sets)
}

/// The share of its radius that an attack really makes use of.
fn strength(attack: &AttackSpec) -> f64 {
    let own = attack.surrogate() == Surrogate::Own;
    match attack.name() {
        "noise" => 0.05,
        "square" => 0.7,
        "fgsm" => 0.8,
        // Far weaker than one step on the network itself.
        _ if !own => 0.2,
        _ => 1.0 - 0.5 / attack.steps().unwrap_or(1) as f64,
    }
}

/// Image `i` breaks at a radius of `i` times 0.2/255.
fn honest(image: u32, attack: &AttackSpec) -> bool {
    f64::from(image) * 0.2 / 255.0 > attack.eps().unwrap_or(0.0) * strength(attack)
}

/// Gradients lead nowhere: only what does without them breaks images.
fn masked(image: u32, attack: &AttackSpec) -> bool {
    match attack.name() {
        "square" => image.is_multiple_of(4),
        "fgsm" => !image.is_multiple_of(3),
        _ => image > 4,
    }
}

fn analysis(folder: &Path, probe: Option<(f64, f64)>, right: fn(u32, &AttackSpec) -> bool) -> Analysis {
    measured(folder, &plan(probe.is_some(), &[]), probe, right)
}

fn measured(
    folder: &Path,
    plan: &Plan,
    probe: Option<(f64, f64)>,
    right: fn(u32, &AttackSpec) -> bool,
) -> Analysis {
    let rows = |_: &Cell, conditions: &[Condition]| {
        let mut rows = Vec::new();
        for condition in conditions {
            rows.extend((0..IMAGES).map(|image| {
                let right = match condition {
                    Condition::Attack(attack) => right(image, attack),
                    _ => true,
                };
                Outcome {
                    image,
                    branch: Branch::Single,
                    condition: condition.clone(),
                    label: 3,
                    prediction: if right { 3 } else { 4 },
                    rounded: 3,
                    margin: if right { 1.0 } else { -1.0 },
                    loss: 0.5,
                    norm: 0.0,
                    forwards: 11,
                    backwards: 10,
                    unstable: 0,
                    unusable: 0,
                    ranking: Ranking::default(),
                }
            }));
        }
        rows
    };
    write_run_of(folder, plan, |_| true, rows);
    for cell in &plan.cells {
        if let (CellSpec::Evaluate(spec), Some((zero, rise))) = (&cell.spec, probe)
            && spec.probe
        {
            let point = |step, metric: &str, value| GradientProbe {
                step,
                metric: format!("{metric}/single"),
                value,
            };
            let mut points = vec![
                point(0, "gradient/zero", zero),
                point(0, "gradient/nan", 0.0),
                point(0, "gradient/dlr-constant", 0.25),
            ];
            points.extend((0..=20).map(|step| point(step, "loss", 1.0 + rise * f64::from(step))));
            let file = folder.join("cells").join(&cell.id.0).join("probe.parquet");
            write_records(&file, &points).expect("a probe");
        }
    }
    Analysis::of(Runs::load(&[folder.to_owned()]).expect("a run")).expect("an analysis")
}

fn state(diagnosis: &Diagnosis, code: &str) -> ItemStatus {
    let item = diagnosis.items.iter().find(|item| item.code == code);
    item.unwrap_or_else(|| panic!("no item {code}")).state
}

#[test]
fn an_honest_network_passes_every_item() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let analysis = analysis(folder.path(), Some((0.0, 0.1)), honest);
    let [diagnosis] = &analysis.diagnoses[..] else {
        panic!("one model with one branch")
    };
    for item in &diagnosis.items {
        let wanted = if item.code == "dlr-constant" {
            ItemStatus::Told
        } else {
            ItemStatus::Pass
        };
        assert_eq!(item.state, wanted, "{item:?}");
    }
    assert_eq!(diagnosis.verdict, DiagnosisVerdict::Trustworthy);
    assert!(analysis.flags.is_empty(), "{:?}", analysis.flags);
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    assert!(rendered.markdown.contains("trustworthy"));
    assert!(rendered.answer.join(" ").contains("robust number is trustworthy"));
    assert_eq!(rendered.json["diagnosis"]["rows"][0]["state"], "pass");
    for ending in ["md", "csv", "tex", "json"] {
        let file = rendered.folder.join("tables").join(format!("diagnosis.{ending}"));
        let text = std::fs::read_to_string(file).expect("a table");
        assert!(text.contains("gradients to follow"), "{ending}");
    }
}

#[test]
fn hidden_gradients_are_suspicious_item_by_item() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let analysis = analysis(folder.path(), Some((0.9, 0.0)), masked);
    let diagnosis = &analysis.diagnoses[0];
    for code in [
        "steps-weaken",
        "black-box-wins",
        "unbounded-survives",
        "gradients-vanish",
        "loss-falls",
    ] {
        assert_eq!(state(diagnosis, code), ItemStatus::Fail, "{code}");
        assert!(analysis.flags.iter().any(|flag| flag.code == code), "{code}");
    }
    // Noise breaks exactly what the attacks break: no difference, no failure.
    assert_eq!(state(diagnosis, "noise-wins"), ItemStatus::Pass);
    assert_eq!(diagnosis.verdict, DiagnosisVerdict::Suspicious);
}

#[test]
fn what_was_seen_in_one_norm_says_nothing_of_another() {
    let sets = |attacks: &str| format!("evaluation.attacks=[{attacks}]");
    let verdict = |attacks: &str, right| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plan = plan(true, &[&sets(attacks), "evaluation.headline=apgd-ce:norm=l2"]);
        measured(folder.path(), &plan, Some((0.0, 0.1)), right).diagnoses[0].clone()
    };
    // AdvA in L2, the checklist in Linf.
    let other = verdict("\"apgd-ce:norm=l2\",\"diagnosis\"", honest_in_any_norm);
    assert_eq!(state(&other, "radius-weakens"), ItemStatus::NotRun);
    assert_eq!(state(&other, "black-box-wins"), ItemStatus::NotRun);
    assert_eq!(state(&other, "unbounded-survives"), ItemStatus::Pass);
    assert_eq!(other.verdict, DiagnosisVerdict::NotDiagnosed);
    // Its own checklist.
    let own = verdict("\"diagnosis-l2\"", honest_in_any_norm);
    assert_eq!(own.verdict, DiagnosisVerdict::Trustworthy, "{:?}", own.items);
    // A sign of masking is one in whatever norm.
    let masked = verdict("\"apgd-ce:norm=l2\",\"diagnosis\"", masked);
    assert_eq!(masked.verdict, DiagnosisVerdict::Suspicious);
}

/// As [`honest`], with radii in L2 that do the same harm.
fn honest_in_any_norm(image: u32, attack: &AttackSpec) -> bool {
    match attack.norm() {
        Norm::L2 => {
            let eps = attack.eps().unwrap_or(0.0) / 0.5 * 8.0 / 255.0;
            f64::from(image) * 0.2 / 255.0 > eps * strength(attack)
        }
        _ => honest(image, attack),
    }
}

#[test]
fn without_the_probe_there_is_no_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let analysis = analysis(folder.path(), None, honest);
    let diagnosis = &analysis.diagnoses[0];
    assert_eq!(state(diagnosis, "gradients-vanish"), ItemStatus::NotRun);
    assert_eq!(diagnosis.verdict, DiagnosisVerdict::NotDiagnosed);
}

/// The report of a network that is honest, measured under these attacks.
fn answer(attacks: &str, headline: &str, right: fn(u32, &AttackSpec) -> bool) -> (String, Analysis) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let attacks = format!("evaluation.attacks=[{attacks}]");
    let headline = format!("evaluation.headline={headline}");
    let plan = plan(false, &[&attacks, &headline]);
    let analysis = measured(folder.path(), &plan, None, right);
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    (rendered.answer.join(" ").replace('\u{a0}', " "), analysis)
}

#[test]
fn a_headline_that_another_attack_beats_is_never_certified() {
    // A suite calls noise AdvA: every attack of the checklist leaves fewer images.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan(true, &["evaluation.headline=noise"]);
    let analysis = measured(folder.path(), &plan, Some((0.0, 0.1)), honest);
    let diagnosis = &analysis.diagnoses[0];
    assert_eq!(state(diagnosis, "headline-beaten"), ItemStatus::Fail);
    assert_eq!(diagnosis.verdict, DiagnosisVerdict::Suspicious);
    let lower = diagnosis.stronger.as_ref().expect("a stronger attack");
    let least = (0..IMAGES).filter(|image| honest(*image, &"pgd:steps=100".parse().expect("pgd")));
    assert_eq!(lower.left.right, least.count() as u64);
    assert!(lower.attack.eps().expect("a radius") <= 8.0 / 255.0 && !lower.smaller_radius);
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    let said = rendered.answer.join(" ");
    assert!(
        said.contains("that is the number to quote") && !said.contains("trustworthy"),
        "{said}"
    );
    assert!(
        rendered.markdown.contains("suspicious; "),
        "{}",
        rendered.markdown
    );
}

#[test]
fn the_answer_names_the_lower_number_and_only_one_that_may_be_compared() {
    let (said, _) = answer("\"apgd-ce\", \"fgsm\", \"noise\"", "fgsm", honest);
    assert!(
        said.contains("at the same radius APGD-CE-100, 8/255 leaves 80.0 % ["),
        "{said}"
    );
    assert!(
        said.contains("that is the number to quote") && !said.contains("no sign"),
        "{said}"
    );
    // A larger radius, another norm, and an image corrupted first are other questions.
    let others = "\"fgsm\", \"pgd:eps=16/255\", \"pgd:norm=l2\", \"pgd:base=fog/3\"";
    let (said, analysis) = answer(others, "fgsm", honest);
    assert!(said.contains("no sign of masked gradients was seen"), "{said}");
    assert!(analysis.diagnoses[0].stronger.is_none());
    // A smaller radius that does more harm.
    let weak = |image: u32, attack: &AttackSpec| image >= if attack.name() == "fgsm" { 20 } else { 50 };
    let (said, _) = answer("\"fgsm\", \"pgd:eps=4/255\"", "fgsm", weak);
    assert!(
        said.contains("at a smaller radius PGD-20, 4/255 leaves 75.0 % ["),
        "{said}"
    );
    // Minimum-norm attacks count with what they broke within the radius: all at distance 0 here.
    let near = |image: u32, attack: &AttackSpec| image >= if attack.name() == "fgsm" { 20 } else { 100 };
    let (said, _) = answer("\"fgsm\", \"fmn\"", "fgsm", near);
    assert!(
        said.contains("at the same radius FMN-100 leaves 50.0 % ["),
        "{said}"
    );
}

#[test]
fn what_was_let_through_is_said_and_never_called_trustworthy() {
    for probe in [Some((0.0, 0.1)), None] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let analysed = analysis(folder.path(), probe, honest);
        let render =
            || render(&[folder.path().to_owned()], folder.path(), &[Format::Json]).expect("a report");
        let before = render();
        assert!(
            !before.answer.join(" ").contains("--allow"),
            "{:?}",
            before.answer
        );
        assert!(before.json.get("allowed").is_none());
        let findings = ["zero-gradient".to_owned(), "surrogate s: softmax".to_owned()];
        rewrite(folder.path(), &analysed, |record| {
            record.provenance.allowed = findings.to_vec()
        });
        let after = render();
        let answer = after.answer.join(" ");
        let said = "preflight found (zero-gradient and surrogate s: softmax)";
        assert!(after.answer[0].contains(said), "{answer}");
        assert!(
            !answer.contains("trustworthy") && !answer.contains("no sign"),
            "{answer}"
        );
        let allowed = after.json["allowed"].as_array().expect("a list");
        assert_eq!(allowed.len(), 2, "{allowed:?}");
        assert!(allowed[0].as_str().expect("a text").ends_with(": zero-gradient"));
    }
}

#[test]
fn noise_of_any_radius_is_no_attack_that_must_break_everything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let attacks = "evaluation.attacks=[\"pgd\",\"noise:eps=1\",\"fgsm:eps=1\",\"pgd:eps=1,alpha=1/255\"]";
    let plan = plan(true, &[attacks, "evaluation.headline=pgd"]);
    let weak = |image: u32, attack: &AttackSpec| attack.name() == "pgd" || image > 100;
    let analysis = measured(folder.path(), &plan, Some((0.0, 0.1)), weak);
    assert_eq!(
        state(&analysis.diagnoses[0], "unbounded-survives"),
        ItemStatus::NotRun
    );
    assert!(
        analysis
            .flags
            .iter()
            .all(|flag| flag.code != "unbounded-survives")
    );
}

/// Rewrites what the cells of a run say of themselves.
fn rewrite(folder: &Path, analysis: &Analysis, change: impl Fn(&mut CellRecord)) -> Analysis {
    for (_, record) in analysis.runs.records() {
        let mut record = record.clone();
        change(&mut record);
        let file = folder.join("cells").join(&record.cell.id.0).join("cell.json");
        std::fs::write(file, serde_json::to_vec(&record).expect("JSON")).expect("a record");
    }
    Analysis::of(Runs::load(&[folder.to_owned()]).expect("a run")).expect("an analysis")
}

/// Of 200 clean images so many are right; no model has a record, and the data have so many classes.
fn guessing(right: u32, classes: u32) -> (Vec<&'static str>, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan(false, &["evaluation.attacks=[\"pgd\"]"]);
    let rows = |_: &Cell, conditions: &[Condition]| {
        let all = conditions
            .iter()
            .flat_map(|condition| (0..IMAGES).map(move |image| (condition, image)));
        let made = all.map(|(condition, image)| Outcome {
            image,
            branch: Branch::Single,
            condition: condition.clone(),
            label: 0,
            prediction: u16::from(image >= right),
            rounded: 0,
            margin: 0.1,
            loss: 0.5,
            norm: 0.0,
            forwards: 1,
            backwards: 1,
            unstable: 0,
            unusable: 0,
            ranking: Ranking::default(),
        });
        made.collect()
    };
    write_run_of(folder.path(), &plan, |_| true, rows);
    let before = Analysis::of(Runs::load(&[folder.path().to_owned()]).expect("a run")).expect("an analysis");
    let analysis = rewrite(folder.path(), &before, |record| {
        record.model = None;
        record.provenance.classes = classes;
    });
    let rendered = render(&[folder.path().to_owned()], folder.path(), &[Format::Json]).expect("a report");
    let codes = analysis.flags.iter().map(|flag| flag.code);
    let codes = codes.filter(|code| code.contains("chance")).collect();
    (
        codes,
        rendered.answer.join(" "),
        rendered.json["flags"].to_string(),
    )
}

#[test]
fn guessing_and_worse_are_said_of_models_without_a_record() {
    // Two classes turned around, and four.
    for (right, classes) in [(0, 2), (20, 4)] {
        let (codes, said, json) = guessing(right, classes);
        assert_eq!(codes, ["below-chance"]);
        assert!(said.contains("is the class order yours?"), "{said}");
        assert!(json.contains("is the class order yours?"), "{json}");
    }
    // Guessing; and of a run that does not say how many classes, those of its rows: two.
    for (right, classes) in [(20, 10), (100, 2), (100, 0)] {
        let (codes, said, _) = guessing(right, classes);
        assert_eq!(codes, ["at-chance"]);
        assert!(said.contains("cannot be told from guessing"), "{said}");
    }
    assert!(guessing(60, 10).0.is_empty());
}

#[test]
fn a_warning_of_the_preflight_is_in_the_answer_and_no_number_is_called_trustworthy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = analysis(folder.path(), Some((0.0, 0.1)), honest);
    let warning = "input-range: 60.0 % of 200 images right, 85.0 % given values from -1 to 1";
    let analysis = rewrite(folder.path(), &before, |record| {
        record.provenance.warnings = vec![warning.to_owned()];
    });
    assert_eq!(state(&analysis.diagnoses[0], "preflight"), ItemStatus::Fail);
    assert_eq!(analysis.diagnoses[0].verdict, DiagnosisVerdict::Suspicious);
    let rendered = render(&[folder.path().to_owned()], folder.path(), &[Format::Json]).expect("a report");
    let answer = rendered.answer.join(" ");
    assert!(answer.contains("60.0 %") && answer.contains("85.0 %"), "{answer}");
    assert!(!answer.contains("trustworthy"), "{answer}");
    let json = rendered.json["flags"].to_string();
    assert!(json.contains("60.0 %") && json.contains("85.0 %"), "{json}");
}
