//! The setup of the runs: which images, which corruptions, which main attack.

use crate::analysis::Analysis;
use crate::format;
use crate::metrics::Quantity;
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
            [] => corruption_set(analysis),
            some => format!("{}; images: {}", corruption_set(analysis), some.join("; ")),
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

/// `the 15 corruptions of the benchmark at severities 1, 3 and 5`: what NPA is measured on.
pub fn corruption_set(analysis: &Analysis) -> String {
    let Some(set) = analysis.columns.set(&Quantity::Npa) else {
        return "no corruptions".to_owned();
    };
    let (mut names, mut severities) = (BTreeSet::new(), BTreeSet::new());
    for (name, severity) in set.conditions.iter().filter_map(Condition::corruption) {
        names.insert(name);
        severities.insert(severity);
    }
    if names.len() == BENCHMARK.len() {
        return set.said();
    }
    let count = format!("only {} of the 15 corruptions of the benchmark", names.len());
    // Corruptions of unlike severities are told one by one.
    if set.conditions.len() < names.len() * severities.len() {
        return format!("{count}: {}", set.said());
    }
    let levels: Vec<String> = severities.iter().map(u8::to_string).collect();
    let word = if levels.len() == 1 {
        "severity"
    } else {
        "severities"
    };
    format!("{count} at {word} {}", format::list(&levels))
}

/// `; NPA on 1,000 of them, AdvA on 200`: where a number of the triple has fewer images than CA.
pub fn fewer_images(analysis: &Analysis) -> String {
    let all = images(analysis);
    let headline = analysis.runs.headline.clone().map(Condition::Attack);
    let quantities = [
        ("CA", Some(Quantity::Accuracy(Condition::Clean))),
        ("NPA and mCE", Some(Quantity::Npa)),
        ("AdvA", headline.map(Quantity::Accuracy)),
    ];
    let fewer: Vec<String> = quantities
        .into_iter()
        .filter_map(|(name, quantity)| {
            let count = analysis.columns.set(&quantity?)?.images.len() as u64;
            (count > 0 && count < all).then(|| format!("{name}: {} images only", format::thousands(count)))
        })
        .collect();
    match fewer.is_empty() {
        true => String::new(),
        false => format!(" {}.", fewer.join("; ")),
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
    let mut seen = BTreeSet::new();
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
            match &data.images {
                Some(images) => format!("test images {images}"),
                None => count(data.test, "test"),
            },
            data.checksum
        );
        // One data set may have been named in several ways.
        let images = data.images.as_ref().map(ToString::to_string);
        if seen.insert((&data.checksum, data.train, data.test, images)) {
            all.push(text);
        }
    }
    all
}
