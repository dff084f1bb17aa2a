//! What every number of a report means, said with the numbers of this report: which attack,
//! which corruptions, how many images.

use crate::analysis::Analysis;
use crate::format;
use crate::metrics::BranchPolicy;
use crate::metrics::cost::ASSUMPTIONS;
use crate::runs::Runs;
use crate::sources;
use rlnet_suites::corruption::BENCHMARK;
use rlnet_suites::{Branch, Condition};
use serde::Serialize;
use std::collections::BTreeSet;

/// A term and its meaning.
#[derive(Debug, Clone, Serialize)]
pub struct Definition {
    /// The term.
    pub term: String,
    /// What it means here.
    pub meaning: String,
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
    let of = if names.len() == BENCHMARK.len() {
        "the 15"
    } else {
        "only"
    };
    match names.len() {
        0 => "no corruptions".to_owned(),
        15 => format!(
            "{of} corruptions of the benchmark at severities {}",
            format::list(&levels)
        ),
        n => format!(
            "{of} {n} of the 15 corruptions of the benchmark at severities {}",
            format::list(&levels)
        ),
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

/// The name of the headline attack.
pub fn headline(runs: &Runs) -> Option<String> {
    runs.headline
        .as_ref()
        .map(|attack| format::attack(attack, &runs.attacks()))
}

/// The definitions of a report, in the order in which a reader meets the terms.
pub fn definitions(analysis: &Analysis) -> Vec<Definition> {
    let runs = &analysis.runs;
    let n = format::thousands(images(analysis));
    let mut list = Vec::new();
    let mut add = |term: &str, meaning: String| {
        list.push(Definition {
            term: term.to_owned(),
            meaning,
        });
    };
    add(
        "CA",
        format!("clean accuracy: the share of {n} unchanged test images that are classified right."),
    );
    add(
        "NPA",
        format!(
            "naturally perturbed accuracy: the plain mean, over {}, of accuracy on the same {n} test images. Corrupted images (Hendrycks and Dietterich, ICLR 2019) are {}.",
            corruption_set(runs),
            corruption_setup(runs)
        ),
    );
    add(
        "mCE",
        format!(
            "mean corruption error, here 100 minus NPA: the mean error over {}, {n} images each, not normalised by any baseline model. It is not comparable with an mCE normalised by AlexNet or ResNet-18.",
            corruption_set(runs)
        ),
    );
    match &runs.headline {
        Some(attack) => add(
            "AdvA",
            format!(
                "adversarial accuracy: the share of {n} test images still classified right under `{attack}`, an attack that sees the whole network and goes through the branch named in the row."
            ),
        ),
        None => add(
            "AdvA",
            "adversarial accuracy; the suite names no attack for it.".to_owned(),
        ),
    }
    if runs.models.iter().any(|model| model.branches.len() > 1) {
        add("oracle", BranchPolicy::Oracle.meaning().to_owned());
        add(
            "one branch",
            BranchPolicy::Fixed(Branch::Clean).meaning().to_owned(),
        );
        add("worst of branches", BranchPolicy::Worst.meaning().to_owned());
        add(
            "oracle gap",
            "the oracle's CA, NPA and AdvA minus those of the best single branch, which is the one with the largest mean of the three.".to_owned(),
        );
    }
    add(
        "[low, high]",
        "95 % interval. For one condition, Wilson's interval over images. For a mean over conditions, in which every image takes part many times, Wilson's interval for the effective number of images, with images as clusters (Korn and Graubard 1998). Intervals say how far the choice of test images may move a number; they do not cover training with another seed.".to_owned(),
    );
    add(
        "p",
        "two-sided, paired by image: McNemar's exact test for CA and AdvA, a paired z test of the images' own means for NPA. `p (Holm)` is adjusted for all comparisons of the table; at 0.05 or more the two models are called not distinguishable.".to_owned(),
    );
    add(
        "ReLUs",
        "nonlinear units of one forward pass; kept ReLUs act, removed ones pass their input on.".to_owned(),
    );
    add("private inference", ASSUMPTIONS.to_owned());
    list
}

fn corruption_setup(runs: &Runs) -> String {
    let records = runs.records();
    let setups: BTreeSet<String> = records
        .into_iter()
        .filter_map(|(_, record)| sources::description(record))
        .collect();
    if setups.is_empty() {
        return "not made yet".to_owned();
    }
    setups.into_iter().collect::<Vec<_>>().join("; ")
}
