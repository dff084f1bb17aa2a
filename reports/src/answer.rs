//! The answer in plain words: the first paragraph of a report. Every number carries its
//! interval, and what cannot be told apart is said to be so.

use crate::definitions::{headline, images};
use crate::metrics::checks::AT_CHANCE;
use crate::metrics::diagnosis::State;
use crate::metrics::{Analysis, Comparison, Estimate, Gap, Measure, Reading, Verdict};
use crate::runs::Model;
use crate::tables::reduction::knee_in_words;
use crate::words;
use rlnet_suites::train::Stage;

/// The model that the report is about: the first student that is not the baseline, else the
/// first other model, else the only one.
pub fn subject(analysis: &Analysis) -> Option<&Model> {
    let runs = &analysis.runs;
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

/// The answer, sentence by sentence, warnings first.
pub fn sentences(analysis: &Analysis) -> Vec<String> {
    let mut sentences = analysis.runs.warnings.clone();
    sentences.extend(answer(analysis));
    sentences
}

fn answer(analysis: &Analysis) -> Vec<String> {
    let Some(model) = subject(analysis) else {
        return vec!["This run evaluates no model.".to_owned()];
    };
    let parts = [
        guessing(analysis, model),
        kept(analysis, model),
        against_baseline(analysis, model, Measure::AdvA),
        against_baseline(analysis, model, Measure::Npa),
        one_branch(analysis, model),
        attacker_chooses(analysis, model),
        sweep(analysis, model),
    ];
    let mut said: Vec<String> = parts.into_iter().flatten().collect();
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
            words::list(all)
        )),
    }
}

fn kept(analysis: &Analysis, model: &Model) -> Option<String> {
    let record = model.record.as_ref()?;
    let (kept, total) = (record.kept(), record.total());
    let own = if kept == total {
        format!("{} keeps all {} ReLUs", model.name, words::thousands(total))
    } else {
        format!(
            "{} keeps {} of {} ReLUs ({:.1} times fewer)",
            model.name,
            words::thousands(kept),
            words::thousands(total),
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
            words::thousands(theirs.kept())
        )),
        _ => Some(format!("{own}.")),
    }
}

fn against_baseline(analysis: &Analysis, model: &Model, measure: Measure) -> Option<String> {
    let named = |comparison: &&Comparison| {
        comparison.model == model.name
            && comparison.measure == measure
            && comparison.reading == Reading::Oracle
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
        let triple = analysis.triple(&model.name, Reading::Oracle)?;
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
    let size = words::percent(found.difference.value.abs());
    let verdict = match found.verdict() {
        "higher" => format!("{size} points more (p\u{a0}{})", p(found.adjusted)),
        "lower" => format!("{size} points fewer (p\u{a0}{})", p(found.adjusted)),
        _ => format!(
            "not distinguishable on these images (p\u{a0}{})",
            p(found.adjusted)
        ),
    };
    Some(format!(
        "Through {branch} it is right on {} of {what}, where {baseline} is right on {}: {verdict}.",
        with_interval(&found.this),
        with_interval(&found.baseline)
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
        [only] => words::branch(*only),
        _ => format!("its {wanted} branch"),
    }
}

fn one_branch(analysis: &Analysis, model: &Model) -> Option<String> {
    let gap: &Gap = analysis.gaps.iter().find(|gap| gap.model == model.name)?;
    let oracle = analysis.triple(&model.name, Reading::Oracle)?;
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
        words::list(&said)
    };
    let loss = gap.values().into_iter().fold(0.0, f64::max);
    let turn = if loss >= 0.0005 {
        "But no one branch has all three"
    } else {
        "One branch keeps them all"
    };
    Some(format!(
        "Read as papers do, each kind of image through its own branch, it has {}. {turn}: its best single branch, the {}, has {}.",
        say(oracle),
        gap.best.label(),
        say(single)
    ))
}

fn attacker_chooses(analysis: &Analysis, model: &Model) -> Option<String> {
    if model.branches.len() < 2 {
        return None;
    }
    let worst = analysis.triple(&model.name, Reading::Worst)?.adva.as_ref().ok()?;
    Some(format!(
        "If the attacker may choose the branch, {} of {} images remain right under attack.",
        with_interval(worst),
        words::thousands(images(analysis))
    ))
}

/// Where accuracy falls, when it is one of several networks that differ in their ReLUs only.
fn sweep(analysis: &Analysis, model: &Model) -> Option<String> {
    let mut sweeps = analysis.sweeps.iter();
    let sweep = sweeps.find(|sweep| sweep.points.iter().any(|point| point.name == model.name))?;
    let lines = sweep.lines.iter().map(|line| {
        let read = match line.reading {
            Reading::Worst => " (worst of branches)",
            _ => "",
        };
        format!("{}{read} is {}", line.measure.name(), knee_in_words(sweep, line))
    });
    Some(format!(
        "With ever fewer ReLUs, against {}, {}'s {}.",
        sweep.reference,
        sweep.name,
        lines.collect::<Vec<_>>().join("; ")
    ))
}

/// Whether its robust numbers can be trusted, branch by branch, where that was asked.
fn trust(analysis: &Analysis, model: &Model) -> Vec<String> {
    let asked = analysis.diagnoses.iter();
    let asked = asked.filter(|diagnosis| diagnosis.model == model.name && diagnosis.was_asked());
    asked
        .map(|diagnosis| {
            let failed = diagnosis.items.iter().filter(|item| item.state == State::Fail);
            let failed: Vec<String> = failed.map(|item| item.code.to_owned()).collect();
            let branch = Reading::Fixed(diagnosis.branch).label();
            let why = match diagnosis.verdict {
                Verdict::Suspicious => format!("suspicious ({})", words::list(&failed)),
                Verdict::Trustworthy => "trustworthy: no sign of masked gradients".to_owned(),
                Verdict::NotDiagnosed => "not diagnosed: not every item was run".to_owned(),
            };
            format!("Through the {branch}, its robust number is {why}.")
        })
        .collect()
}

/// `31.2 % [27.3, 35.4]`, with spaces that do not break a line.
fn with_interval(share: &Estimate) -> String {
    let [value, low, high] = [share.value, share.low, share.high].map(words::percent);
    format!("{value}\u{a0}% [{low},\u{a0}{high}]")
}

fn p(value: f64) -> String {
    let text = words::p_value(value);
    match text.strip_prefix('<') {
        Some(bound) => format!("<\u{a0}{bound}"),
        None => format!("=\u{a0}{text}"),
    }
}
