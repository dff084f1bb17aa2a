//! The triple that the field prints (CA, NPA, AdvA), for every reading, and the oracle gap:
//! what the printed triple promises beyond the best triple that one branch can keep.

use crate::metrics::accuracy_count::AccuracyCount;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::compare::Measure;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::measured_on::Columns;
use crate::metrics::natural::Natural;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::metrics::trainings::over_trainings;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::{Branch, Condition};
use std::collections::BTreeMap;

/// One reading of one model; of a model that was trained several times, the means over its trainings.
#[derive(Debug, Clone)]
pub struct Triple {
    /// The model.
    pub model: String,
    /// How it is read.
    pub policy: BranchPolicy,
    /// Clean accuracy.
    pub ca: Known<Estimate>,
    /// Corruptions.
    pub natural: Natural,
    /// Accuracy under the headline attack.
    pub adva: Known<Estimate>,
}

impl Triple {
    /// One of the three; nothing for another measure.
    pub fn of(&self, measure: Measure) -> Option<&Known<Estimate>> {
        match measure {
            Measure::Ca => Some(&self.ca),
            Measure::Npa => Some(&self.natural.npa),
            Measure::AdvA => Some(&self.adva),
            Measure::AugMix => None,
        }
    }

    /// CA, NPA, AdvA; absent when one of them is.
    pub fn values(&self) -> Option<[f64; 3]> {
        match (&self.ca, &self.natural.npa, &self.adva) {
            (Ok(ca), Ok(npa), Ok(adva)) => Some([ca.value, npa.value, adva.value]),
            _ => None,
        }
    }
}

/// All triples of a report.
pub fn triples(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    tally: &AccuracyCount,
    columns: &Columns,
) -> Vec<Triple> {
    let mut all = Vec::new();
    for (at, (model, matrix)) in runs.models.iter().zip(matrices).enumerate() {
        for policy in model.policies() {
            let mut triple = triple(runs, (tally, columns), (model, matrix), policy);
            let mean = |share: &mut Known<Estimate>, measure| {
                let over = over_trainings(runs, matrices, at, policy, measure);
                if let (Ok(share), Some(over)) = (share, over) {
                    *share = over.estimate();
                }
            };
            mean(&mut triple.ca, Measure::Ca);
            mean(&mut triple.natural.npa, Measure::Npa);
            mean(&mut triple.adva, Measure::AdvA);
            all.push(triple);
        }
    }
    all
}

fn triple(
    runs: &Runs,
    (tally, columns): (&AccuracyCount, &Columns),
    (model, matrix): (&Model, &PredictionMatrix),
    policy: BranchPolicy,
) -> Triple {
    let adva = match &runs.headline {
        Some(attack) => tally.accuracy(model, policy, &Condition::Attack(attack.clone())),
        None => Err(Unknown::because("the suite names no attack")),
    };
    Triple {
        model: model.name.clone(),
        policy,
        ca: tally.accuracy(model, policy, &Condition::Clean),
        natural: Natural::of(model, matrix, policy).in_columns(columns, model),
        adva,
    }
}

/// What one branch cannot keep of a model's printed triple.
#[derive(Debug, Clone)]
pub struct Gap {
    /// The model.
    pub model: String,
    /// The printed triple.
    pub oracle: [f64; 3],
    /// The branch with the best triple: the largest mean of CA, NPA and AdvA.
    pub best: BranchPolicy,
    /// Its triple.
    pub single: [f64; 3],
}

impl Gap {
    /// Oracle minus best single branch.
    pub fn values(&self) -> [f64; 3] {
        std::array::from_fn(|i| self.oracle[i] - self.single[i])
    }
}

/// The oracle gap of every model with several branches.
pub fn gaps(triples: &[Triple]) -> Vec<Gap> {
    let mut by_model: BTreeMap<&str, Vec<&Triple>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for triple in triples {
        if !order.contains(&triple.model.as_str()) {
            order.push(&triple.model);
        }
        by_model.entry(&triple.model).or_default().push(triple);
    }
    order
        .into_iter()
        .filter_map(|model| gap(model, &by_model[model]))
        .collect()
}

fn gap(model: &str, triples: &[&Triple]) -> Option<Gap> {
    let oracle = triples
        .iter()
        .find(|triple| triple.policy == BranchPolicy::Oracle)?
        .values()?;
    let fixed = triples.iter().filter(
        |triple| matches!(triple.policy, BranchPolicy::Fixed(branch) if !Branch::MIXED.contains(&branch)),
    );
    let values = fixed.filter_map(|triple| Some((triple.policy, triple.values()?)));
    let sum = |values: &[f64; 3]| values.iter().sum::<f64>();
    let (best, single) = values.max_by(|a, b| sum(&a.1).total_cmp(&sum(&b.1)))?;
    Some(Gap {
        model: model.to_owned(),
        oracle,
        best,
        single,
    })
}
