//! The summary: a verdict and at most three more sentences. Every number carries its interval.

use crate::Run;
use crate::analysis::Analysis;
use crate::format;
use crate::metrics::diagnosis::{Diagnosis, ItemStatus};
use crate::metrics::flags::{AT_CHANCE, BELOW_CHANCE};
use crate::metrics::reduction::{Knee, Sweep};
use crate::metrics::{Blind, BranchPolicy, DiagnosisVerdict, Estimate, Measure, Stronger};
use crate::model::Model;
use crate::runs::each_once;
use crate::setup::headline;
use crate::tables::reduction::knee_with_range;
use rlnet_suites::train::Stage;
use rlnet_suites::{AtScale, Branch, CellRecord};
use std::cmp::Ordering;

/// The model that the report is about: of networks that differ only in their ReLUs the one at the
/// knee; else the first student that is not the baseline, the first other model, the only one.
pub fn subject(analysis: &Analysis) -> Option<&Model> {
    let runs = &analysis.runs;
    let knee = analysis.sweeps.first().and_then(at_knee);
    if let Some(name) = knee.filter(|name| runs.baseline.as_deref() != Some(*name)) {
        return runs.model(name);
    }
    let others = || {
        runs.models.iter().filter(|model| {
            runs.baseline.as_deref() != Some(model.name.as_str()) && model.repeats().is_none()
        })
    };
    let student = |model: &&Model| model.spec().is_some_and(|spec| spec.stage == Stage::Student);
    others()
        .find(student)
        .or_else(|| others().next())
        .or_else(|| runs.models.first())
}

/// The network of a sweep up to which AdvA, each image through its own branch, is kept; nothing
/// where that is not known.
fn at_knee(sweep: &Sweep) -> Option<&str> {
    let mut lines = sweep.lines.iter();
    let line = lines.find(|line| line.measure == Measure::AdvA && line.policy == BranchPolicy::Oracle)?;
    let at = match line.knee {
        Knee::Between(at, _) | Knee::BeyondLast(at) => at,
        Knee::BeforeFirst(_) | Knee::Unknown => return None,
    };
    Some(&sweep.points.get(at)?.name)
}

/// What the scale of each run is for and what it changed in its suite.
pub fn scales(analysis: &Analysis) -> Vec<String> {
    let scales = analysis
        .runs
        .runs
        .iter()
        .filter_map(|run| run.plan.scale.as_ref());
    each_once(&scales.map(AtScale::said).collect::<Vec<_>>())
}

/// What must be known before the summary is read: warnings of the runs, and findings of the
/// preflight that the user let through.
pub fn notices(analysis: &Analysis) -> Vec<String> {
    let mut notices = analysis.runs.warnings.clone();
    notices.extend(overfitted(analysis));
    if let Some(model) = subject(analysis) {
        notices.extend(overridden(model));
        let warnings = model.warnings.iter();
        notices.extend(warnings.map(|found| format!("The preflight of {} found {found}.", model.name)));
        notices.extend(blind(analysis, model));
    }
    notices
}

/// Trainings that ended because their network overfitted.
fn overfitted(analysis: &Analysis) -> Option<String> {
    let of_training = |(_, record): &(&Run, &CellRecord)| {
        let model = record.model.as_ref()?;
        let epoch = model.overfitted?;
        Some(format!(
            "{} (in epoch {epoch}, epoch {} is kept)",
            record.cell.name, model.epoch
        ))
    };
    let found: Vec<String> = analysis.runs.records().iter().filter_map(of_training).collect();
    let found = each_once(&found);
    (!found.is_empty()).then(|| {
        format!(
            "Catastrophic overfitting ended the training of {}: the network withstood one step of an attack and no longer ten.",
            format::list(&found)
        )
    })
}

/// The images on which attacks of the model had no gradient to follow: AdvA's first, else the most.
fn blind(analysis: &Analysis, model: &Model) -> Option<String> {
    let matrix = analysis.matrix(&model.name)?;
    let attacks = analysis.runs.attacks();
    let found = attacks.iter().filter_map(|attack| {
        let blind = Blind::of(matrix, BranchPolicy::Worst, attack)?;
        let rank = (
            analysis.runs.headline.as_ref() == Some(attack),
            blind.images.len(),
        );
        (!blind.images.is_empty()).then_some((rank, blind))
    });
    let (_, worst) = found.max_by_key(|(rank, _)| *rank)?;
    let said = worst.said(&analysis.names);
    Some(format!("Of {}, {said}.", model.name))
}

/// The summary: the verdict first, at most four sentences.
pub fn sentences(analysis: &Analysis) -> Vec<String> {
    let Some(model) = subject(analysis) else {
        return vec!["This run evaluates no model.".to_owned()];
    };
    let rest = [
        relus(analysis, model),
        branches(analysis, model),
        trust(analysis, model),
    ];
    std::iter::once(verdict(analysis, model))
        .chain(rest.into_iter().flatten())
        .collect()
}

/// The verdict: whether the network guesses or does worse; else better or worse than the baseline, and on what;
/// without a baseline, its accuracies.
fn verdict(analysis: &Analysis, model: &Model) -> String {
    guessing(analysis, model)
        .or_else(|| against_baseline(analysis, model))
        .or_else(|| accuracies(analysis, model))
        .unwrap_or_else(|| format!("No accuracy of {} is measured yet.", model.name))
}

fn guessing(analysis: &Analysis, model: &Model) -> Option<String> {
    let names = [Some(&model.name), analysis.runs.baseline.as_ref()];
    let flagged = |code: &str| -> Option<String> {
        let flags = analysis.flags.iter();
        let own = flags.filter(|flag| flag.code == code && names.contains(&Some(&flag.model)));
        let own: Vec<String> = own.map(|flag| flag.model.clone()).collect();
        (!own.is_empty()).then(|| format::list(&own))
    };
    let nothing = "so the other numbers mean nothing";
    let below = flagged(BELOW_CHANCE).map(|names| {
        format!("On clean images {names} is worse than guessing, {nothing}: is the class order yours?")
    });
    below.or_else(|| {
        flagged(AT_CHANCE)
            .map(|names| format!("{names} cannot be told from guessing on clean images, {nothing}."))
    })
}

fn against_baseline(analysis: &Analysis, model: &Model) -> Option<String> {
    let baseline = analysis.runs.baseline.as_deref()?;
    let (mut better, mut worse, mut alike) = (Vec::new(), Vec::new(), Vec::new());
    for (measure, what) in [
        (Measure::AdvA, "under attack"),
        (Measure::Ca, "on clean images"),
        (Measure::Npa, "on corrupted images"),
    ] {
        let found = analysis.comparisons.iter().find(|found| {
            found.model == model.name && found.measure == measure && found.policy == BranchPolicy::Oracle
        });
        let Some(found) = found else { continue };
        let difference = &found.difference;
        let [value, low, high] = [difference.value, difference.low, difference.high].map(format::points);
        let text = format!("{what} ({value} points [{low},\u{a0}{high}])");
        match found.side() {
            Ordering::Greater => better.push(text),
            Ordering::Less => worse.push(text),
            Ordering::Equal => alike.push(text),
        }
    }
    let parts: Vec<String> = [
        ("better", better),
        ("worse", worse),
        ("not distinguishable", alike),
    ]
    .into_iter()
    .filter(|(_, on)| !on.is_empty())
    .map(|(how, on)| format!("{how} {}", format::list(&on)))
    .collect();
    (!parts.is_empty()).then(|| format!("Against {baseline}, {} is {}.", model.name, parts.join("; ")))
}

fn accuracies(analysis: &Analysis, model: &Model) -> Option<String> {
    let triple = analysis.triple(&model.name, BranchPolicy::Oracle)?;
    let attack = headline(&analysis.runs).unwrap_or_default();
    let parts: Vec<String> = [
        (&triple.ca, "clean images".to_owned()),
        (&triple.natural.npa, "corrupted images".to_owned()),
        (&triple.adva, format!("images under {attack}")),
    ]
    .into_iter()
    .filter_map(|(share, of)| Some(format!("{} of {of}", with_interval(share.as_ref().ok()?))))
    .collect();
    (!parts.is_empty()).then(|| format!("{} classifies {} correctly.", model.name, format::list(&parts)))
}

fn relus(analysis: &Analysis, model: &Model) -> Option<String> {
    let record = model.record.as_ref()?;
    let (kept, total) = (record.kept(), record.total());
    let own = if kept == total {
        format!("{} keeps all {} ReLUs", model.name, format::thousands(total))
    } else {
        format!(
            "{} keeps {} of {} ReLUs ({:.1} times fewer)",
            model.name,
            format::thousands(kept),
            format::thousands(total),
            total as f64 / kept.max(1) as f64
        )
    };
    let knee = analysis
        .sweeps
        .iter()
        .find(|sweep| sweep.points.iter().any(|point| point.name == model.name))
        .and_then(|sweep| {
            let line = sweep
                .lines
                .iter()
                .find(|line| line.measure == Measure::AdvA && line.policy == BranchPolicy::Oracle)?;
            let knee = knee_with_range(sweep, line);
            Some(format!("against {}, AdvA is {knee}", sweep.reference))
        });
    Some(match knee {
        Some(knee) => format!("{own}; {knee}."),
        None => format!("{own}."),
    })
}

/// What one branch alone keeps, and what is left if the attacker chooses the branch.
fn branches(analysis: &Analysis, model: &Model) -> Option<String> {
    let gap = analysis.gaps.iter().find(|gap| gap.model == model.name);
    let single = gap.and_then(|gap| {
        let triple = analysis.triple(&model.name, gap.best)?;
        let measures = [
            ("CA", &triple.ca),
            ("NPA", &triple.natural.npa),
            ("AdvA", &triple.adva),
        ];
        let (lost, (name, share)) = (gap.values().into_iter())
            .zip(measures)
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        // Less than a tenth of a point is no loss in any table.
        if lost < 0.0005 {
            return Some(format!("The {} alone has all three numbers", gap.best.label()));
        }
        Some(format!(
            "No single branch has all three numbers: the best, the {}, has {name} {}",
            gap.best.label(),
            with_interval(share.as_ref().ok()?)
        ))
    });
    let worst = (model.branches.len() > 1)
        .then(|| {
            analysis
                .triple(&model.name, BranchPolicy::Worst)?
                .adva
                .as_ref()
                .ok()
        })
        .flatten()
        .map(with_interval);
    match (single, worst) {
        (Some(single), Some(worst)) => Some(format!(
            "{single}; if the attacker chooses the branch, AdvA is {worst}."
        )),
        (Some(single), None) => Some(format!("{single}.")),
        (None, Some(worst)) => Some(format!("If the attacker chooses the branch, AdvA is {worst}.")),
        (None, None) => None,
    }
}

fn overridden(model: &Model) -> Option<String> {
    (!model.allowed.is_empty()).then(|| {
        format!(
            "{} was let through with --allow in spite of what its preflight found ({}), so its numbers under attack are wrong.",
            model.name,
            format::list(&model.allowed)
        )
    })
}

/// Whether the numbers under attack can be trusted.
fn trust(analysis: &Analysis, model: &Model) -> Option<String> {
    let own: Vec<&Diagnosis> = (analysis.diagnoses.iter())
        .filter(|diagnosis| diagnosis.model == model.name)
        .collect();
    let asked: Vec<String> = (own.iter())
        .filter(|diagnosis| diagnosis.was_asked())
        .map(|diagnosis| diagnosed(analysis, diagnosis))
        .collect();
    if !asked.is_empty() {
        return Some(format!("{}.", asked.join("; ")));
    }
    let measured = analysis.triple(&model.name, BranchPolicy::Oracle)?.adva.is_ok();
    if !measured {
        return None;
    }
    let stronger = (analysis.runs.headline.as_ref())
        .zip(analysis.matrix(&model.name))
        .and_then(|(headline, matrix)| Stronger::find(headline, matrix, BranchPolicy::Oracle));
    let failed: Vec<String> = own.iter().flat_map(|diagnosis| failed(diagnosis)).collect();
    let failed = each_once(&failed);
    let found: Vec<String> = (!failed.is_empty())
        .then(|| format!("there are signs that it is too high ({})", format::list(&failed)))
        .into_iter()
        .chain(stronger.map(|stronger| stronger.said(&analysis.names)))
        .collect();
    let found = if found.is_empty() {
        "no sign of masked gradients was seen, but not every check was run".to_owned()
    } else {
        found.join(", and ")
    };
    Some(format!(
        "Accuracy under {} is an upper bound on true robust accuracy: {found}.",
        headline(&analysis.runs).unwrap_or_default()
    ))
}

/// The codes of the items of a diagnosis that failed.
fn failed(diagnosis: &Diagnosis) -> impl Iterator<Item = String> {
    diagnosis
        .items
        .iter()
        .filter(|item| item.state == ItemStatus::Fail)
        .map(|item| item.code.to_owned())
}

/// The verdict of a diagnosis, `through the clean branch the robust number is ...`.
fn diagnosed(analysis: &Analysis, diagnosis: &Diagnosis) -> String {
    let failed: Vec<String> = failed(diagnosis).collect();
    let why = match diagnosis.verdict {
        DiagnosisVerdict::Suspicious => format!("suspicious ({})", format::list(&failed)),
        DiagnosisVerdict::Trustworthy => "trustworthy: no sign of masked gradients".to_owned(),
        DiagnosisVerdict::NotDiagnosed => "not diagnosed: not every item was run".to_owned(),
    };
    let lower = (diagnosis.stronger.as_ref())
        .map(|stronger| format!("; but {}", stronger.said(&analysis.names)))
        .unwrap_or_default();
    let whose = match diagnosis.branch {
        Branch::Single => "The".to_owned(),
        branch => format!("Through the {branch} branch the"),
    };
    format!("{whose} robust number is {why}{lower}")
}

/// `31.2 % [27.3, 35.4]`, with spaces that do not break a line.
fn with_interval(share: &Estimate) -> String {
    let [value, low, high] = [share.value, share.low, share.high].map(format::percent);
    format!("{value}\u{a0}% [{low},\u{a0}{high}]")
}
