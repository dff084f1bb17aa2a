//! One model's rows as plain columns: for every branch and condition one value an image.
//! Metrics that look at an image across conditions (joint accuracy, distances, classes,
//! calibration) read this; it is made in one pass over the rows.

use crate::columns::Record;
use crate::error::ReportError;
use crate::metrics::branch_policy::BranchPolicy;
use crate::model::Model;
use crate::run::own_branch;
use rlnet_suites::{Branch, Condition, NormBanks, Outcome, Ranking};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one branch made of one condition; a value per image of the grid, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionPredictions {
    /// Whether the answer is right; absent where there is no row.
    pub right: Vec<Option<bool>>,
    /// The class given; meaningless where there is no row.
    pub given: Vec<u32>,
    /// Whether the answer to the image rounded to 8 bits is right.
    pub rounded: Vec<Option<bool>>,
    /// Probability that the soft-max gives to the predicted class, in `[0, 1]`; NaN where
    /// it cannot be had.
    pub confidence: Vec<f32>,
    /// Size of the perturbation, in the attack's own norm.
    pub norm: Vec<f32>,
    /// True logit minus the largest other one.
    pub margin: Vec<f32>,
    /// Cross entropy, nats.
    pub loss: Vec<f32>,
    /// Under a certificate the ReLUs whose sign the ball leaves open.
    pub unstable: Vec<u32>,
    /// Whether an attack that asked for the image's gradients never had one to follow; absent where no
    /// gradient was asked for.
    pub blind: Vec<Option<bool>>,
    /// Of a frame of a sequence, which classes come first; nothing elsewhere.
    pub ranking: Vec<Ranking>,
    /// Forward passes spent on all images.
    pub forwards: u64,
    /// Backward passes spent on all images.
    pub backwards: u64,
}

/// All predictions of a model.
#[derive(Debug, Clone, Default)]
pub struct PredictionMatrix {
    /// Positions in the official test set, ascending.
    pub images: Vec<u32>,
    /// True class of each image.
    pub labels: Vec<u32>,
    predictions: BTreeMap<(Condition, Branch), ConditionPredictions>,
    own: BTreeMap<Condition, Branch>,
    branches: Vec<Branch>,
}

/// Whether each image is answered right; absent where that is not known.
pub type Right = Vec<Option<bool>>;

/// Whether both of two answers to each image are right; absent where one is.
pub fn both_right(a: Right, b: Right) -> Right {
    let pairs = a.into_iter().zip(b);
    pairs.map(|(a, b)| a.zip(b).map(|(a, b)| a && b)).collect()
}

impl PredictionMatrix {
    /// Reads a model's rows.
    ///
    /// # Errors
    /// When a column is not there.
    pub fn of(model: &Model) -> Result<Self, ReportError> {
        let rows = Outcome::records(&model.rows)
            .map_err(|error| ReportError::make(format!("the answers of `{}`", model.name), error))?;
        Ok(Self::of_rows(&rows, &model.branches, model.banks))
    }

    fn of_rows(rows: &[Outcome<Arc<Condition>>], branches: &[Branch], banks: Option<NormBanks>) -> Self {
        let mut images: Vec<u32> = rows.iter().map(|row| row.image).collect();
        images.sort_unstable();
        images.dedup();
        let mut labels = vec![0; images.len()];
        // Rows come in long stretches of one condition and branch, images in order: both are found
        // again without a search. Equal conditions of one frame are the same allocation.
        let mut open: Vec<(&Arc<Condition>, Branch, ConditionPredictions)> = Vec::new();
        let (mut place, mut slot) = (0, 0);
        for row in rows {
            let same = |(condition, branch, _): &(&Arc<Condition>, Branch, _)| {
                *branch == row.branch && Arc::ptr_eq(condition, &row.condition)
            };
            if !open.get(slot).is_some_and(same) {
                slot = open.iter().position(same).unwrap_or(open.len());
                if slot == open.len() {
                    open.push((
                        &row.condition,
                        row.branch,
                        ConditionPredictions::empty(images.len()),
                    ));
                }
            }
            if images.get(place) != Some(&row.image) {
                place = images.binary_search(&row.image).unwrap_or_default();
            }
            labels[place] = u32::from(row.label);
            open[slot].2.put(place, row);
            place += 1;
        }
        let mut matrix = Self {
            images,
            labels,
            branches: branches.to_vec(),
            ..Self::default()
        };
        for (condition, branch, predictions) in open {
            let condition = Condition::clone(condition);
            if banks.is_none_or(|banks| own_branch(banks, &condition) == branch) {
                matrix.own.entry(condition.clone()).or_insert(branch);
            }
            matrix.predictions.insert((condition, branch), predictions);
        }
        matrix
    }

    /// The same without the answers under some conditions.
    #[must_use]
    pub fn without(&self, conditions: &[&Condition]) -> Self {
        let mut rest = self.clone();
        rest.predictions
            .retain(|(condition, _), _| !conditions.contains(&condition));
        rest
    }

    /// The branch that was trained for a condition.
    pub fn own(&self, condition: &Condition) -> Option<Branch> {
        self.own.get(condition).copied()
    }

    /// Every condition that has rows, in order.
    pub fn conditions(&self) -> Vec<&Condition> {
        let mut all: Vec<&Condition> = self.predictions.keys().map(|(condition, _)| condition).collect();
        all.dedup();
        all
    }

    /// The images that were answered under all of some conditions, through some branch.
    pub fn answered<'a>(&self, conditions: impl IntoIterator<Item = &'a Condition>) -> Vec<u32> {
        let mut all: Option<Vec<bool>> = None;
        for condition in conditions {
            let first = (condition.clone(), Branch::ALL[0]);
            let found = self.predictions.range(first..).next();
            let Some((_, seen)) = found.filter(|((known, _), _)| known == condition) else {
                return Vec::new();
            };
            let seen = seen.right.iter().map(Option::is_some);
            all = Some(match all {
                None => seen.collect(),
                Some(all) => all.iter().zip(seen).map(|(all, seen)| *all && seen).collect(),
            });
        }
        let images = self.images.iter().zip(all.into_iter().flatten());
        images
            .filter_map(|(image, seen)| seen.then_some(*image))
            .collect()
    }

    /// The predictions that a reading looks at; none when one of them is not there.
    pub fn predictions(
        &self,
        policy: BranchPolicy,
        condition: &Condition,
    ) -> Option<Vec<&ConditionPredictions>> {
        let seen = |branch: &Branch| self.predictions.get(&(condition.clone(), *branch));
        match policy.on(&self.branches) {
            BranchPolicy::Fixed(branch) => Some(vec![seen(&branch)?]),
            BranchPolicy::Oracle => Some(vec![seen(self.own.get(condition)?)?]),
            BranchPolicy::Worst => {
                let all: Option<Vec<&ConditionPredictions>> = self.branches.iter().map(seen).collect();
                // A model of which nothing is finished has no branches yet.
                all.filter(|predictions| !predictions.is_empty())
            }
        }
    }

    /// Whether each image is right under a reading and condition.
    pub fn right(&self, policy: BranchPolicy, condition: &Condition) -> Option<Right> {
        let predictions = self.predictions(policy, condition)?;
        let each = predictions.into_iter().map(|seen| seen.right.clone());
        each.reduce(both_right)
    }
}

impl ConditionPredictions {
    fn put<C>(&mut self, place: usize, row: &Outcome<C>) {
        self.right[place] = Some(row.prediction == row.label);
        self.given[place] = u32::from(row.prediction);
        self.rounded[place] = Some(row.rounded == row.label);
        self.confidence[place] = confidence(row.loss, row.margin);
        self.norm[place] = row.norm;
        self.margin[place] = row.margin;
        self.loss[place] = row.loss;
        self.unstable[place] = row.unstable;
        self.blind[place] = (row.backwards > 0).then(|| row.is_blind());
        if !row.ranking.classes().is_empty() {
            self.ranking.resize(self.right.len(), Ranking::default());
            self.ranking[place] = row.ranking.clone();
        }
        self.forwards += u64::from(row.forwards);
        self.backwards += u64::from(row.backwards);
    }

    fn empty(images: usize) -> Self {
        Self {
            right: vec![None; images],
            given: vec![0; images],
            rounded: vec![None; images],
            forwards: 0,
            unstable: vec![0; images],
            confidence: vec![f32::NAN; images],
            norm: vec![0.0; images],
            margin: vec![f32::NAN; images],
            loss: vec![f32::NAN; images],
            blind: vec![None; images],
            ranking: Vec::new(),
            backwards: 0,
        }
    }
}

/// The soft-max probability of the predicted class, from what a row keeps.
///
/// `loss` is minus the logarithm of the true class's probability, and `margin` is the true
/// logit minus the largest other one. When the answer is right, the predicted class is the
/// true one: `exp(-loss)`. When it is wrong, the predicted class is that largest other one,
/// whose probability is the true one's times `exp(-margin)`: `exp(-loss - margin)`. So the
/// confidence is exact up to single precision, though no row keeps it.
pub fn confidence(loss: f32, margin: f32) -> f32 {
    let confidence = (-f64::from(loss) - f64::from(margin).min(0.0)).exp();
    // `min` would turn what is not a number into a certainty.
    confidence.clamp(0.0, 1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::confidence;

    #[test]
    fn confidence_is_the_soft_max_of_the_predicted_class() {
        // Logits 2, 1, 0: the soft-max of class 0 is e^2 / (e^2 + e + 1) = 0.665241.
        let sum = 2.0_f64.exp() + 1.0_f64.exp() + 1.0;
        let top = (2.0_f64.exp() / sum) as f32;
        // Labels 0 (right), 1 and 2 (wrong): in all three class 0 is predicted.
        for (label, margin) in [(0, 1.0), (1, -1.0), (2, -2.0)] {
            let loss = (sum.ln() - [2.0, 1.0, 0.0][label]) as f32;
            assert!((confidence(loss, margin) - top).abs() < 1e-6, "label {label}");
        }
        assert!(confidence(f32::INFINITY, f32::NEG_INFINITY).is_nan());
    }
}
