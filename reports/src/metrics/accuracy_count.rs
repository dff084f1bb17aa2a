//! Right answers: one an image and condition, and how many of them are right under each
//! condition.

use crate::metrics::bits::Answers;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::measured_on::{Columns, Quantity};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::Condition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For every condition that is no corruption and no frame of a sequence, the answer to every image.
pub type ByImage = BTreeMap<Condition, Answers>;

/// The answers to clean and attacked images, one by one, for paired tests.
pub fn by_image(matrix: &PredictionMatrix, policy: BranchPolicy) -> ByImage {
    let conditions = matrix.conditions().into_iter();
    let plain = conditions
        .filter(|condition| !matches!(condition, Condition::Corruption { .. } | Condition::Frame { .. }));
    let images: Arc<[u32]> = matrix.images.as_slice().into();
    plain
        .filter_map(|condition| {
            let right = matrix.right(policy, condition)?;
            Some((condition.clone(), Answers::of(&images, &right)))
        })
        .collect()
}

/// Counts of right answers per model, reading and condition.
#[derive(Debug, Clone, Default)]
pub struct AccuracyCount {
    counts: BTreeMap<(String, BranchPolicy), BTreeMap<Condition, Known<Estimate>>>,
}

impl AccuracyCount {
    /// Counts everything once; `grids` are the models' answers, in their order.
    pub fn of(runs: &Runs, matrices: &[PredictionMatrix], columns: &Columns) -> Self {
        let mut counts = BTreeMap::new();
        for (model, matrix) in runs.models.iter().zip(matrices) {
            let refused: BTreeMap<&Condition, Unknown> = (matrix.conditions().into_iter())
                .filter_map(|condition| {
                    let quantity = Quantity::Accuracy(condition.clone());
                    Some((condition, columns.admit(model, &quantity).err()?))
                })
                .collect();
            for policy in model.policies() {
                let mut counted = count(matrix, policy);
                for (condition, known) in &mut counted {
                    if let Some(why) = refused.get(condition) {
                        *known = Err(why.clone());
                    }
                }
                counts.insert((model.name.clone(), policy), counted);
            }
        }
        Self { counts }
    }

    /// Accuracy of a model under a reading and condition, with Wilson's interval.
    ///
    /// # Errors
    /// When it was not measured, with the reason.
    pub fn accuracy(&self, model: &Model, policy: BranchPolicy, condition: &Condition) -> Known<Estimate> {
        let policy = policy.on(&model.branches);
        self.counts
            .get(&(model.name.clone(), policy))
            .and_then(|counts| counts.get(condition))
            .cloned()
            .unwrap_or_else(|| {
                Err(match model.cell_of(condition) {
                    Some(id) => Unknown::Unfinished(format!("cell {id}")),
                    None => Unknown::because("not part of the suite"),
                })
            })
    }
}

fn count(matrix: &PredictionMatrix, policy: BranchPolicy) -> BTreeMap<Condition, Known<Estimate>> {
    let mut counts = BTreeMap::new();
    for condition in matrix.conditions() {
        let Some(answers) = matrix.right(policy, condition) else {
            continue;
        };
        let (mut right, mut n) = (0, 0);
        for answer in answers.into_iter().flatten() {
            right += u64::from(answer);
            n += 1;
        }
        counts.insert(condition.clone(), Ok(Estimate::of_images(right, n)));
    }
    counts
}
