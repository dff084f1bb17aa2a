//! Every model against the suite's baseline, image by image, on the reading that papers
//! print and on the one an attacker leaves.

use crate::metrics::accuracy_count::{ByImage, by_image};
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::measured_on::{Columns, Quantity};
use crate::metrics::paired_tests::{Difference, McNemar, holm, paired_means};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::metrics::trainings::difference;
use crate::metrics::triple::Triple;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::Condition;
use serde::Serialize;
use std::cmp::Ordering;

/// Differences are called so below this p-value, after Holm's adjustment.
pub const LEVEL: f64 = 0.05;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Measure {
    /// Clean accuracy.
    #[serde(rename = "CA")]
    Ca,
    /// Accuracy on AugMix views of the test images.
    AugMix,
    /// Naturally perturbed accuracy.
    #[serde(rename = "NPA")]
    Npa,
    /// Accuracy under the headline attack.
    #[serde(rename = "AdvA")]
    AdvA,
}

impl Measure {
    /// As the field writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ca => "CA",
            Self::AugMix => "AugMix",
            Self::Npa => "NPA",
            Self::AdvA => "AdvA",
        }
    }
}

/// One comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The model.
    pub model: String,
    /// How both are read.
    pub policy: BranchPolicy,
    /// What is compared.
    pub measure: Measure,
    /// The model's own number.
    pub this: Estimate,
    /// The baseline's.
    pub baseline: Estimate,
    /// The difference, paired by image.
    pub difference: Difference,
    /// Its p-value after Holm's adjustment over all comparisons of the report.
    pub adjusted: f64,
}

impl Comparison {
    /// Whether the model is above or below the baseline; equal where they cannot be told apart.
    pub fn side(&self) -> Ordering {
        if self.adjusted >= LEVEL {
            Ordering::Equal
        } else if self.difference.value > 0.0 {
            Ordering::Greater
        } else {
            Ordering::Less
        }
    }

    /// In words.
    pub fn verdict(&self) -> &'static str {
        match self.side() {
            Ordering::Equal => "not distinguishable",
            Ordering::Greater => "higher",
            Ordering::Less => "lower",
        }
    }
}

/// Every model but the baseline, the baseline (places in the report), and the policies under which
/// both are read.
pub(crate) fn with_baseline(runs: &Runs) -> Vec<(usize, usize, BranchPolicy)> {
    let place = |name: &str| runs.models.iter().position(|model| model.name == name);
    let Some(base) = runs.baseline.as_deref().and_then(place) else {
        return Vec::new();
    };
    let several = |at: usize| runs.models[at].branches.len() > 1;
    let policies = |at: usize| {
        let all = [BranchPolicy::Oracle, BranchPolicy::Worst];
        all.into_iter()
            .take(if several(at) || several(base) { 2 } else { 1 })
    };
    let others = (0..runs.models.len()).filter(|at| *at != base && runs.models[*at].repeats().is_none());
    others
        .flat_map(|at| policies(at).map(move |policy| (at, base, policy)))
        .collect()
}

/// All comparisons that can be made.
pub fn comparisons(found: &Found<'_>) -> Vec<Comparison> {
    let pairs = with_baseline(found.runs).into_iter();
    let mut all: Vec<Comparison> = pairs
        .flat_map(|(at, base, policy)| compare(found, policy, at, base))
        .collect();
    let raw: Vec<f64> = all.iter().map(|comparison| comparison.difference.p).collect();
    for (comparison, adjusted) in all.iter_mut().zip(holm(&raw)) {
        comparison.adjusted = adjusted;
    }
    all
}

/// What is known of the models that are compared.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The runs.
    pub runs: &'a Runs,
    /// Every model's answers, in the runs' order of models.
    pub matrices: &'a [PredictionMatrix],
    /// What each kind of number is measured on.
    pub columns: &'a Columns,
    /// CA, NPA and AdvA, as they stand in columns.
    pub triples: &'a [Triple],
}

/// One model against another (their places in the report), read in one way, each with all of its
/// trainings; p-values as they are.
pub(crate) fn compare(found: &Found<'_>, policy: BranchPolicy, this: usize, other: usize) -> Vec<Comparison> {
    let answers = |at: usize| by_image(&found.matrices[at], policy);
    let triple = |at: usize| find(found.triples, &found.runs.models[at], policy);
    let pair = Pair {
        policy,
        model: &found.runs.models[this].name,
        answers: (answers(this), answers(other)),
        of_this: triple(this),
        of_baseline: triple(other),
        augmix: [this, other].map(|at| {
            let quantity = Quantity::Accuracy(Condition::AugMix);
            found.columns.admit(&found.runs.models[at], &quantity)
        }),
    };
    let mut all = pair.compare(found.runs);
    for comparison in &mut all {
        let measure = comparison.measure;
        if let Some(over) = difference(found.runs, found.matrices, (this, other), policy, measure) {
            comparison.difference = over.difference();
        }
    }
    all
}

fn find<'a>(triples: &'a [Triple], model: &Model, policy: BranchPolicy) -> Option<&'a Triple> {
    let policy = policy.on(&model.branches);
    triples
        .iter()
        .find(|triple| triple.model == model.name && triple.policy == policy)
}

struct Pair<'a> {
    policy: BranchPolicy,
    model: &'a str,
    answers: (ByImage, ByImage),
    of_this: Option<&'a Triple>,
    of_baseline: Option<&'a Triple>,
    /// Whether accuracy on AugMix views may stand in its column, of each of the two.
    augmix: [Known<()>; 2],
}

impl Pair<'_> {
    fn compare(&self, runs: &Runs) -> Vec<Comparison> {
        let (Some(this), Some(baseline)) = (self.of_this, self.of_baseline) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        let mut add = |measure, this: &Known<Estimate>, baseline: &Known<Estimate>, difference| {
            if let (Ok(this), Ok(baseline), Some(difference)) = (this, baseline, difference) {
                all.push(Comparison {
                    model: self.model.to_owned(),
                    policy: self.policy,
                    measure,
                    this: this.clone(),
                    baseline: baseline.clone(),
                    difference,
                    adjusted: 1.0,
                });
            }
        };
        add(
            Measure::Ca,
            &this.ca,
            &baseline.ca,
            self.mcnemar(&Condition::Clean),
        );
        let of = |answers: &ByImage, admitted: &Known<()>| {
            admitted.as_ref().map_err(Clone::clone)?;
            let answers = answers
                .get(&Condition::AugMix)
                .ok_or_else(|| Unknown::because("not part of the suite"))?;
            Ok(Estimate::of_images(answers.right(), answers.known()))
        };
        add(
            Measure::AugMix,
            &of(&self.answers.0, &self.augmix[0]),
            &of(&self.answers.1, &self.augmix[1]),
            self.mcnemar(&Condition::AugMix),
        );
        let (own, theirs) = (&this.natural, &baseline.natural);
        add(
            Measure::Npa,
            &own.npa,
            &theirs.npa,
            paired_means(&own.per_image, &theirs.per_image),
        );
        if let Some(attack) = &runs.headline {
            let condition = Condition::Attack(attack.clone());
            add(
                Measure::AdvA,
                &this.adva,
                &baseline.adva,
                self.mcnemar(&condition),
            );
        }
        all
    }

    fn mcnemar(&self, condition: &Condition) -> Option<Difference> {
        let test = McNemar::of(self.answers.0.get(condition)?, self.answers.1.get(condition)?);
        (test.images > 0).then(|| test.difference())
    }
}
