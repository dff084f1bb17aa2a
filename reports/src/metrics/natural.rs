//! Accuracy on common corruptions.
//!
//! NPA (RLNet, arXiv 2402.05521) and the unnormalised mCE (AugMix, arXiv 1912.02781, and
//! most CIFAR papers) are the two sides of one number: the mean, over the 15 corruptions of
//! the benchmark, of the mean over severities of accuracy, or of error. The four extra
//! corruptions never take part, and the ten of C-bar have a mean of their own.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::measured_on::{Columns, Quantity};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use rlnet_suites::Condition;
use rlnet_suites::corruption::{BENCHMARK, C_BAR};
use std::collections::{BTreeMap, BTreeSet};

/// What a model, read in one way, makes of corrupted images.
#[derive(Debug, Clone)]
pub struct Natural {
    /// Mean accuracy over the benchmark's corruptions; absent until all are finished.
    pub npa: Known<Estimate>,
    /// Mean accuracy over the ten of C-bar, likewise.
    pub bar: Known<Estimate>,
    /// Accuracy per corruption (extras and C-bar too), over its severities.
    pub corruptions: BTreeMap<String, Estimate>,
    /// Accuracy per severity, over the benchmark's corruptions; only severities of all corruptions
    /// that were measured, for others are means over other corruptions.
    pub severities: BTreeMap<u32, Estimate>,
    /// Why corruptions are left out that were not measured as those of the other models.
    pub unlike: BTreeMap<String, Unknown>,
    /// Each image's own mean accuracy, for paired comparisons.
    pub per_image: BTreeMap<u32, f64>,
}

/// Right answers and answers of one image.
type Share = (u64, u64);

impl Natural {
    /// Measures one reading of a model.
    pub fn of(model: &Model, matrix: &PredictionMatrix, policy: BranchPolicy) -> Self {
        let by_name = shares(matrix, policy, |name, _| Some(name.to_owned()));
        let benchmark = |name: &str, severity| BENCHMARK.contains(&name).then_some(severity);
        let mut by_severity = shares(matrix, policy, benchmark);
        let names = names_by_severity(matrix);
        let all: BTreeSet<&str> = names.values().flatten().copied().collect();
        by_severity.retain(|severity, _| names.get(severity) == Some(&all));
        let corruptions: BTreeMap<String, Estimate> = by_name
            .iter()
            .map(|(name, shares)| (name.clone(), mean(&[shares])))
            .collect();
        let of = |names: &[&str]| -> Vec<&BTreeMap<u32, Share>> {
            names.iter().filter_map(|name| by_name.get(*name)).collect()
        };
        let (benchmark, bar) = (of(&BENCHMARK), of(&C_BAR));
        let npa = complete(model, &benchmark, &BENCHMARK, "the benchmark");
        let per_image = match npa {
            Ok(()) => own_means(&benchmark),
            Err(_) => BTreeMap::new(),
        };
        Self {
            npa: npa.map(|()| mean(&benchmark)),
            bar: complete(model, &bar, &C_BAR, "C-bar").map(|()| mean(&bar)),
            corruptions,
            severities: by_severity
                .into_iter()
                .map(|(severity, shares)| (severity, mean(&[&shares])))
                .collect(),
            unlike: BTreeMap::new(),
            per_image,
        }
    }

    /// Without the means that cannot stand beside those of the other models.
    #[must_use]
    pub fn in_columns(mut self, columns: &Columns, model: &Model) -> Self {
        if let Err(why) = columns.admit(model, &Quantity::Npa) {
            self.npa = self.npa.and(Err(why));
            self.severities.clear();
            self.per_image.clear();
        }
        if let Err(why) = columns.admit(model, &Quantity::Bar) {
            self.bar = self.bar.and(Err(why));
        }
        for name in self.corruptions.keys() {
            let quantity = Quantity::Corruption(name.clone());
            if let Err(why) = columns.admit(model, &quantity) {
                self.unlike.insert(name.clone(), why);
            }
        }
        self.corruptions.retain(|name, _| !self.unlike.contains_key(name));
        self
    }

    /// Mean error over corruptions and severities, not normalised by any model.
    ///
    /// # Errors
    /// When the corruptions are not all measured, with the reason.
    pub fn mce(&self) -> Known<Estimate> {
        self.npa.as_ref().map(Estimate::error).map_err(Clone::clone)
    }

    /// Mean over corruptions of error relative to another model's (Hendrycks and Dietterich,
    /// ICLR 2019, with the suite's baseline in the place of AlexNet).
    ///
    /// # Errors
    /// When either is not measured, or the other makes no error on some corruption.
    pub fn mce_relative_to(&self, baseline: &Self) -> Known<f64> {
        self.npa.as_ref().map_err(Clone::clone)?;
        baseline.npa.as_ref().map_err(Clone::clone)?;
        let mut ratios = Vec::new();
        for (name, own) in &self.corruptions {
            if !BENCHMARK.contains(&name.as_str()) {
                continue;
            }
            // An error that its interval is as wide as on either side may be none.
            let told = |other: &Estimate| 1.0 - other.value > 0.5 * (other.high - other.low);
            match baseline.corruptions.get(name) {
                Some(other) if other.value < 1.0 && told(other) => {
                    ratios.push((1.0 - own.value) / (1.0 - other.value))
                }
                Some(_) => {
                    return Err(Unknown::because(format!(
                        "the error of the baseline on {name} cannot be told from zero"
                    )));
                }
                None => {
                    return Err(Unknown::because(format!(
                        "the baseline was not measured on {name}"
                    )));
                }
            }
        }
        Ok(ratios.iter().sum::<f64>() / ratios.len() as f64)
    }
}

/// Whether every planned corruption of a benchmark, with these `names`, is measured, on the same images.
fn complete(model: &Model, measured: &[&BTreeMap<u32, Share>], names: &[&str], of: &str) -> Known<()> {
    let counts = |condition: &&Condition| matches!(condition, Condition::Corruption { name, .. } if names.contains(&name.as_str()));
    let planned = model
        .planned
        .iter()
        .map(|(condition, _)| condition)
        .filter(counts)
        .count();
    let finished = model.measured.iter().filter(counts).count();
    if planned == 0 {
        return Err(Unknown::because(format!(
            "no corruption of {of} is part of the suite"
        )));
    }
    if finished < planned {
        return Err(Unknown::Unfinished(format!(
            "{finished} of {planned} corrupted conditions"
        )));
    }
    let same = |shares: &&BTreeMap<u32, Share>| shares.keys().eq(measured[0].keys());
    if !measured.iter().all(same) {
        return Err(Unknown::because(
            "the corruptions were not measured on the same images",
        ));
    }
    Ok(())
}

/// The corruptions of the benchmark that were measured at each severity.
fn names_by_severity(matrix: &PredictionMatrix) -> BTreeMap<u32, BTreeSet<&str>> {
    let mut names: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for condition in matrix.conditions() {
        if let Condition::Corruption { name, severity } = condition
            && BENCHMARK.contains(&name.as_str())
        {
            names.entry(u32::from(*severity)).or_default().insert(name);
        }
    }
    names
}

/// The mean over groups of each group's accuracy, with images as clusters.
fn mean(groups: &[&BTreeMap<u32, Share>]) -> Estimate {
    let shares = groups.iter().flat_map(|group| group.values());
    let (right, answers) = shares.fold((0, 0), |sum, share| (sum.0 + share.0, sum.1 + share.1));
    let per_image: Vec<f64> = own_means(groups).into_values().collect();
    Estimate::of_clusters(&per_image, right, answers)
}

/// Each image's mean over groups of its own share of right answers.
fn own_means(groups: &[&BTreeMap<u32, Share>]) -> BTreeMap<u32, f64> {
    let mut means: BTreeMap<u32, f64> = BTreeMap::new();
    for (image, (right, answers)) in groups.iter().flat_map(|group| group.iter()) {
        *means.entry(*image).or_default() += *right as f64 / *answers as f64;
    }
    for mean in means.values_mut() {
        *mean /= groups.len() as f64;
    }
    means
}

/// Shares of corrupted images, grouped by a key of corruption and severity.
fn shares<K: Ord>(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    key: impl Fn(&str, u32) -> Option<K>,
) -> BTreeMap<K, BTreeMap<u32, Share>> {
    let mut groups: BTreeMap<K, Vec<Share>> = BTreeMap::new();
    for condition in matrix.conditions() {
        let Condition::Corruption { name, severity } = condition else {
            continue;
        };
        let (Some(key), Some(answers)) = (key(name, u32::from(*severity)), matrix.right(policy, condition))
        else {
            continue;
        };
        let group = groups.entry(key).or_insert_with(|| vec![(0, 0); answers.len()]);
        for (share, answer) in group.iter_mut().zip(answers) {
            if let Some(right) = answer {
                *share = (share.0 + u64::from(right), share.1 + 1);
            }
        }
    }
    let answered = |shares: Vec<Share>| {
        let shares = matrix.images.iter().copied().zip(shares);
        shares.filter(|(_, share)| share.1 > 0).collect()
    };
    groups
        .into_iter()
        .map(|(key, shares)| (key, answered(shares)))
        .collect()
}
