//! One model's rows as plain columns: for every branch and condition one value an image.
//! Metrics that look at an image across conditions (joint accuracy, distances, classes,
//! calibration) read this; it is made in one pass over the rows.

use crate::error::ReportError;
use crate::metrics::branch_policy::BranchPolicy;
use crate::model::Model;
use crate::parquet;
use polars::prelude::*;
use rlnet_suites::{Branch, Condition};
use std::collections::BTreeMap;

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

impl PredictionMatrix {
    /// Reads a model's rows.
    ///
    /// # Errors
    /// When a column is not there.
    pub fn of(model: &Model) -> Result<Self, ReportError> {
        Self::read(model)
            .map_err(|error| ReportError::make(format!("the answers of `{}`", model.name), error))
    }

    fn read(model: &Model) -> PolarsResult<Self> {
        let rows = &model.rows;
        let image = parquet::u32s(rows, "image")?;
        let branch = parquet::strs(rows, "branch")?;
        let at = parquet::u32s(rows, "at")?;
        let (label, own) = (parquet::u32s(rows, "label")?, parquet::u32s(rows, "own")?);
        let (right, backwards) = (parquet::u32s(rows, "right")?, parquet::u32s(rows, "backwards")?);
        let (margin, loss) = (parquet::f32s(rows, "margin")?, parquet::f32s(rows, "loss")?);
        let norm = parquet::f32s(rows, "norm")?;
        let given = parquet::u32s(rows, "prediction")?;
        let (rounded, forwards) = (parquet::u32s(rows, "rounded")?, parquet::u32s(rows, "forwards")?);
        let mut images = image.clone();
        images.sort_unstable();
        images.dedup();
        let mut matrix = Self {
            labels: vec![0; images.len()],
            images,
            branches: model.branches.clone(),
            ..Self::default()
        };
        // Rows come in long stretches of one seen, images in order: both are found again
        // without a search.
        let mut open: Vec<((&str, u32), ConditionPredictions, Branch)> = Vec::new();
        let (mut place, mut slot) = (0, 0);
        for i in 0..image.len() {
            let key = (branch[i], at[i]);
            if open.get(slot).is_none_or(|(known, ..)| *known != key) {
                slot = match open.iter().position(|(known, ..)| *known == key) {
                    Some(found) => found,
                    None => {
                        let Ok(name) = branch[i].parse() else { continue };
                        open.push((key, ConditionPredictions::empty(matrix.images.len()), name));
                        open.len() - 1
                    }
                };
            }
            if matrix.images.get(place) != Some(&image[i]) {
                place = matrix.images.binary_search(&image[i]).unwrap_or_default();
            }
            matrix.labels[place] = label[i];
            let (_, seen, name) = &mut open[slot];
            seen.right[place] = Some(right[i] == 1);
            seen.given[place] = given[i];
            seen.rounded[place] = Some(rounded[i] == label[i]);
            seen.confidence[place] = confidence(loss[i], margin[i]);
            seen.norm[place] = norm[i];
            seen.margin[place] = margin[i];
            seen.loss[place] = loss[i];
            seen.forwards += u64::from(forwards[i]);
            seen.backwards += u64::from(backwards[i]);
            if own[i] == 1
                && let Some(condition) = model.conditions.get(at[i] as usize)
                && !matrix.own.contains_key(condition)
            {
                matrix.own.insert(condition.clone(), *name);
            }
            place += 1;
        }
        for ((_, at), seen, branch) in open {
            if let Some(condition) = model.conditions.get(at as usize) {
                matrix.predictions.insert((condition.clone(), branch), seen);
            }
        }
        Ok(matrix)
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
        let mut all = predictions[0].right.clone();
        for seen in &predictions[1..] {
            for (known, other) in all.iter_mut().zip(&seen.right) {
                *known = known.zip(*other).map(|(a, b)| a && b);
            }
        }
        Some(all)
    }
}

impl ConditionPredictions {
    fn empty(images: usize) -> Self {
        Self {
            right: vec![None; images],
            given: vec![0; images],
            rounded: vec![None; images],
            forwards: 0,
            confidence: vec![f32::NAN; images],
            norm: vec![0.0; images],
            margin: vec![f32::NAN; images],
            loss: vec![f32::NAN; images],
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
