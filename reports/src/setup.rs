//! The setup of the runs: which images, which corruptions, which main attack.

use crate::analysis::Analysis;
use crate::format;
use crate::runs::Runs;
use crate::sources;
use rlnet_suites::Condition;
use rlnet_suites::corruption::BENCHMARK;
use serde::Serialize;
use std::collections::BTreeSet;

/// One line of the setup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// What was used.
    pub text: String,
}

/// The setup, line by line.
pub fn facts(analysis: &Analysis) -> Vec<Fact> {
    let runs = &analysis.runs;
    let fact = |name: &'static str, text: String| Fact { name, text };
    let mut facts = vec![fact("Data", datasets(analysis).join("; "))];
    let setups: BTreeSet<String> = (runs.records().into_iter())
        .filter_map(|(_, record)| sources::description(record))
        .collect();
    let setups: Vec<String> = setups.into_iter().collect();
    facts.push(fact(
        "Corruptions",
        match setups.as_slice() {
            [] => corruption_set(runs),
            some => format!("{}; images: {}", corruption_set(runs), some.join("; ")),
        },
    ));
    facts.push(fact(
        "Main attack (AdvA)",
        match (headline(runs), &runs.headline) {
            (Some(name), Some(spec)) => format!("{name} (`{spec}`)"),
            _ => "none".to_owned(),
        },
    ));
    facts
}

/// `15 corruptions at severities 1, 3 and 5`.
pub fn corruption_set(runs: &Runs) -> String {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut severities: BTreeSet<u8> = BTreeSet::new();
    for condition in runs.conditions() {
        if let Condition::Corruption { name, severity } = condition
            && BENCHMARK.contains(&name.as_str())
        {
            names.insert(name);
            severities.insert(severity);
        }
    }
    let levels: Vec<String> = severities.iter().map(u8::to_string).collect();
    let levels = format::list(&levels);
    match names.len() {
        0 => "no corruptions".to_owned(),
        all if all == BENCHMARK.len() => {
            format!("the 15 corruptions of the benchmark at severities {levels}")
        }
        n => format!("only {n} of the 15 corruptions of the benchmark at severities {levels}"),
    }
}

/// Test images behind the numbers; while nothing is measured, those that are planned.
pub fn images(analysis: &Analysis) -> u64 {
    let shares = analysis
        .triples
        .iter()
        .flat_map(|triple| [&triple.ca, &triple.natural.npa, &triple.adva]);
    let measured = shares
        .filter_map(|share| share.as_ref().ok())
        .map(|share| share.images)
        .max();
    let mut cells = analysis.runs.runs.iter().flat_map(|run| &run.plan.cells);
    measured
        .or_else(|| cells.find_map(|cell| cell.data.test).map(u64::from))
        .unwrap_or(0)
}

/// The name of the main attack.
pub fn headline(runs: &Runs) -> Option<String> {
    runs.headline
        .as_ref()
        .map(|attack| format::attack(attack, &runs.attacks()))
}

/// Which images the numbers are about, data set by data set.
fn datasets(analysis: &Analysis) -> Vec<String> {
    let runs = &analysis.runs.runs;
    let count = |n: Option<u32>, what: &str| match n {
        Some(n) => format!("the first {} {what} images", format::thousands(n.into())),
        None => format!("all {what} images"),
    };
    let mut all: Vec<String> = Vec::new();
    for data in runs.iter().flat_map(|run| &run.plan.cells).map(|cell| &cell.data) {
        // Some stages may be trained on other images than the models are measured on.
        let measured = runs
            .iter()
            .filter_map(|run| run.plan.images())
            .any(|images| images.checksum == data.checksum);
        let text = format!(
            "{}{}: {} and {} (checksum {})",
            if measured { "" } else { "for other stages, " },
            data.dataset,
            count(data.train, "training"),
            count(data.test, "test"),
            data.checksum
        );
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}
