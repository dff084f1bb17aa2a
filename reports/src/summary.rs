//! The answer in plain words: the first paragraph of a report. Every number carries its
//! interval, and what cannot be told apart is said to be so.

use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{headline, images};
use crate::matched_pairs;
use crate::metrics::diagnosis::{Diagnosis, ItemStatus};
use crate::metrics::flags::AT_CHANCE;
use crate::metrics::reduction::{Knee, Sweep};
use crate::metrics::{BranchPolicy, Comparison, DiagnosisVerdict, Estimate, Gap, Measure, Stronger};
use crate::model::Model;
use crate::tables::reduction::knee_with_range;
use rlnet_suites::train::Stage;

/// The model that the report is about: of networks that differ only in their ReLUs the one at the
/// knee; else the first student that is not the baseline, the first other model, the only one.
pub fn subject(analysis: &Analysis) -> Option<&Model> {
    let runs = &analysis.runs;
    let knee = analysis.sweeps.first().and_then(at_knee);
    if let Some(name) = knee.filter(|name| runs.baseline.as_deref() != Some(*name)) {
        return runs.model(name);
    }
    let others = || {
        runs.models
            .iter()
            .filter(|model| runs.baseline.as_deref() != Some(model.name.as_str()))
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

/// The answer, sentence by sentence, warnings first.
pub fn sentences(analysis: &Analysis) -> Vec<String> {
    let mut sentences = analysis.runs.warnings.clone();
    sentences.extend(subject(analysis).and_then(|model| overridden(analysis, model)));
    sentences.extend(answer(analysis));
    sentences
}

/// What the preflight found of a model or its surrogates and `--allow` let through, each once.
fn let_through(analysis: &Analysis, model: &Model) -> Vec<String> {
    let records = analysis.runs.records();
    let own = records
        .iter()
        .filter(|(_, record)| record.cell.model == model.name);
    let mut all: Vec<String> = Vec::new();
    for finding in own.flat_map(|(_, record)| &record.provenance.allowed) {
        if !all.contains(finding) {
            all.push(finding.clone());
        }
    }
    all
}

fn overridden(analysis: &Analysis, model: &Model) -> Option<String> {
    let findings = let_through(analysis, model);
    (!findings.is_empty()).then(|| {
        format!(
            "{} was let through with --allow in spite of what its preflight found ({}), which makes its numbers under attack wrong.",
            model.name,
            format::list(&findings)
        )
    })
}

fn answer(analysis: &Analysis) -> Vec<String> {
    let Some(model) = subject(analysis) else {
        return vec!["This run evaluates no model.".to_owned()];
    };
    let parts = [
        guessing(analysis, model),
        sweep(analysis, model),
        in_short(analysis, model),
        kept(analysis, model),
        against_baseline(analysis, model, Measure::AdvA),
        against_baseline(analysis, model, Measure::Ca),
        against_baseline(analysis, model, Measure::Npa),
        one_branch(analysis, model),
        attacker_chooses(analysis, model),
    ];
    let mut said: Vec<String> = parts.into_iter().flatten().collect();
    let mut sweeps = analysis.sweeps.iter();
    if let Some(own) = sweeps.find(|sweep| sweep.points.iter().any(|point| point.name == model.name)) {
        said.extend(matched_pairs::sentences(analysis, own, &model.name));
    }
    let triple = analysis.triple(&model.name, BranchPolicy::Oracle);
    if !said.is_empty() && triple.is_some_and(|triple| triple.ca.is_err() && triple.adva.is_err()) {
        said.push(format!("No accuracy of {} is measured yet.", model.name));
    }
    said.extend(trust(analysis, model));
    if said.is_empty() {
        return vec![format!(
            "Nothing can be said of {} in one sentence: it was not attacked at a radius, or its cells are not finished.",
            model.name
        )];
    }
    said
}

/// What must be known before any other number is read.
fn guessing(analysis: &Analysis, model: &Model) -> Option<String> {
    let names = [Some(&model.name), analysis.runs.baseline.as_ref()];
    let flags = analysis.flags.iter().filter(|flag| flag.code == AT_CHANCE);
    let mut guess: Vec<String> = flags.map(|flag| flag.model.clone()).collect();
    guess.retain(|name| names.contains(&Some(name)));
    match guess.as_slice() {
        [] => None,
        [one] => Some(format!(
            "{one} cannot be told from guessing on clean images, so read nothing into its numbers."
        )),
        all => Some(format!(
            "{} cannot be told from guessing on clean images, so read nothing into their numbers.",
            format::list(all)
        )),
    }
}

fn kept(analysis: &Analysis, model: &Model) -> Option<String> {
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
    let baseline = analysis
        .runs
        .baseline
        .as_deref()
        .and_then(|name| analysis.runs.model(name));
    match baseline.and_then(|other| Some((other, other.record.as_ref()?))) {
        Some((other, theirs)) if other.name != model.name => Some(format!(
            "{own}; the baseline {} keeps {}.",
            other.name,
            format::thousands(theirs.kept())
        )),
        _ => Some(format!("{own}.")),
    }
}

/// Better or worse than the baseline, and on what: the verdict before its numbers.
fn in_short(analysis: &Analysis, model: &Model) -> Option<String> {
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
        let [value, low, high] = [
            found.difference.value,
            found.difference.low,
            found.difference.high,
        ]
        .map(format::points);
        let said = format!("{what} ({value} points [{low},\u{a0}{high}])");
        match found.verdict() {
            "higher" => better.push(said),
            "lower" => worse.push(said),
            _ => alike.push(said),
        }
    }
    let parts = [
        ("better", better),
        ("worse", worse),
        ("not distinguishable", alike),
    ];
    let parts = parts.into_iter().filter(|(_, on)| !on.is_empty());
    let parts: Vec<String> = parts
        .map(|(how, on)| format!("{how} {}", format::list(&on)))
        .collect();
    (!parts.is_empty()).then(|| format!("Against {baseline}, {} is {}.", model.name, parts.join("; ")))
}

fn against_baseline(analysis: &Analysis, model: &Model, measure: Measure) -> Option<String> {
    let named = |comparison: &&Comparison| {
        comparison.model == model.name
            && comparison.measure == measure
            && comparison.policy == BranchPolicy::Oracle
    };
    let what = match measure {
        Measure::AdvA => format!("images under {}", headline(&analysis.runs)?),
        Measure::Npa => "corrupted images".to_owned(),
        Measure::AugMix => "AugMix images".to_owned(),
        Measure::Ca => "clean images".to_owned(),
    };
    let branch = branch_of(model, measure);
    let Some(found) = analysis.comparisons.iter().find(named) else {
        // Without a baseline the number stands alone, and is said once.
        let triple = analysis.triple(&model.name, BranchPolicy::Oracle)?;
        let share = match measure {
            Measure::AdvA => triple.adva.as_ref().ok()?,
            Measure::Npa => triple.natural.npa.as_ref().ok()?,
            Measure::Ca => triple.ca.as_ref().ok()?,
            Measure::AugMix => return None,
        };
        return Some(format!(
            "Through {branch} it is right on {} of {what}.",
            with_interval(share)
        ));
    };
    let baseline = analysis.runs.baseline.as_deref()?;
    Some(format!(
        "Through {branch} it is right on {} of {what}, where {baseline} is right on {} (p\u{a0}{}).",
        with_interval(&found.this),
        with_interval(&found.baseline),
        p(found.adjusted)
    ))
}

fn branch_of(model: &Model, measure: Measure) -> String {
    use rlnet_suites::Branch;
    let wanted = match measure {
        Measure::AdvA => Branch::Adversarial,
        Measure::Npa if model.branches.contains(&Branch::Natural) => Branch::Natural,
        _ => Branch::Clean,
    };
    match model.branches.as_slice() {
        [only] => format::branch(*only),
        _ => format!("its {wanted} branch"),
    }
}

fn one_branch(analysis: &Analysis, model: &Model) -> Option<String> {
    let gap: &Gap = analysis.gaps.iter().find(|gap| gap.model == model.name)?;
    let single = analysis.triple(&model.name, gap.best)?;
    let say = |triple: &crate::metrics::Triple| {
        let numbers = [
            ("CA", triple.ca.as_ref().ok()),
            ("NPA", triple.natural.npa.as_ref().ok()),
            ("AdvA", triple.adva.as_ref().ok()),
        ];
        let said: Vec<String> = numbers
            .into_iter()
            .filter_map(|(name, share)| Some(format!("{name} {}", with_interval(share?))))
            .collect();
        format::list(&said)
    };
    let loss = gap.values().into_iter().fold(0.0, f64::max);
    let turn = if loss >= 0.0005 {
        "Papers print such numbers, each kind of image through its own branch; but no one branch has all three"
    } else {
        "One branch keeps them all"
    };
    Some(format!(
        "{turn}: its best single branch, the {}, has {}.",
        gap.best.label(),
        say(single)
    ))
}

fn attacker_chooses(analysis: &Analysis, model: &Model) -> Option<String> {
    if model.branches.len() < 2 {
        return None;
    }
    let worst = analysis
        .triple(&model.name, BranchPolicy::Worst)?
        .adva
        .as_ref()
        .ok()?;
    Some(format!(
        "If the attacker may choose the branch, {} of {} images remain right under attack.",
        with_interval(worst),
        format::thousands(images(analysis))
    ))
}

/// Where accuracy falls, when it is one of several networks that differ in their ReLUs only.
fn sweep(analysis: &Analysis, model: &Model) -> Option<String> {
    let mut sweeps = analysis.sweeps.iter();
    let sweep = sweeps.find(|sweep| sweep.points.iter().any(|point| point.name == model.name))?;
    let own = sweep
        .lines
        .iter()
        .filter(|line| line.policy == BranchPolicy::Oracle);
    let lines = own.map(|line| format!("{} {}", line.measure.name(), knee_with_range(sweep, line)));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return None;
    }
    Some(format!(
        "With ever fewer ReLUs, {} against {}, each kind of image through its own branch (in brackets where that limit may lie by the losses' 95 % intervals): {}.",
        sweep.name,
        sweep.reference,
        lines.join("; ")
    ))
}

/// Whether its robust numbers can be trusted, branch by branch, where that was asked.
fn trust(analysis: &Analysis, model: &Model) -> Vec<String> {
    let own = analysis
        .diagnoses
        .iter()
        .filter(|diagnosis| diagnosis.model == model.name);
    // A finding that was let through is a sign as well, but for the number of classes.
    let mut signs = let_through(analysis, model);
    signs.retain(|finding| !finding.ends_with("classes"));
    let robust = analysis
        .triple(&model.name, BranchPolicy::Oracle)
        .is_some_and(|triple| triple.adva.is_ok());
    if robust && !own.clone().any(Diagnosis::was_asked) {
        let attack = headline(&analysis.runs).unwrap_or_default();
        let stronger = (analysis.runs.headline.as_ref())
            .zip(analysis.matrix(&model.name))
            .and_then(|(headline, matrix)| Stronger::find(headline, matrix, BranchPolicy::Oracle));
        let failed = own.flat_map(|diagnosis| &diagnosis.items);
        let failed = failed
            .filter(|item| item.state == ItemStatus::Fail)
            .map(|item| item.code.to_owned());
        let failed: Vec<String> = failed.chain(signs).collect();
        let signs = (!failed.is_empty())
            .then(|| format!("there are signs that it is too high ({})", format::list(&failed)));
        let seen = match (stronger, signs) {
            (Some(stronger), signs) => {
                let signs = signs.map_or(String::new(), |signs| format!("{signs}, and "));
                format!("{signs}{}", stronger.said(&analysis.names))
            }
            (None, Some(signs)) => signs,
            (None, None) => {
                "no sign of masked gradients was seen, but not every check for them was run".to_owned()
            }
        };
        return vec![format!(
            "Its number under attack is what {attack} leaves, an upper bound of what is robust: {seen}."
        )];
    }
    let asked = own.filter(|diagnosis| diagnosis.was_asked());
    asked
        .map(|diagnosis| {
            let failed = diagnosis
                .items
                .iter()
                .filter(|item| item.state == ItemStatus::Fail);
            let failed: Vec<String> = failed.map(|item| item.code.to_owned()).collect();
            let branch = BranchPolicy::Fixed(diagnosis.branch).label();
            let why = match diagnosis.verdict {
                DiagnosisVerdict::Suspicious => format!("suspicious ({})", format::list(&failed)),
                DiagnosisVerdict::Trustworthy if !signs.is_empty() => {
                    format!("suspicious (its preflight: {})", format::list(&signs))
                }
                DiagnosisVerdict::Trustworthy => "trustworthy: no sign of masked gradients".to_owned(),
                DiagnosisVerdict::NotDiagnosed => "not diagnosed: not every item was run".to_owned(),
            };
            let lower = diagnosis.stronger.as_ref();
            let lower = lower.map_or(String::new(), |stronger| {
                format!("; but {}", stronger.said(&analysis.names))
            });
            format!("Through the {branch}, its robust number is {why}{lower}.")
        })
        .collect()
}

/// `31.2 % [27.3, 35.4]`, with spaces that do not break a line.
fn with_interval(share: &Estimate) -> String {
    let [value, low, high] = [share.value, share.low, share.high].map(format::percent);
    format!("{value}\u{a0}% [{low},\u{a0}{high}]")
}

fn p(value: f64) -> String {
    let text = format::p_value(value);
    match text.strip_prefix('<') {
        Some(bound) => format!("<\u{a0}{bound}"),
        None => format!("=\u{a0}{text}"),
    }
}
