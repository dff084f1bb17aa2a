//! Whether confidence can be believed: expected calibration error (Naeini et al., AAAI 2015;
//! Guo et al., ICML 2017) with 15 bins of equal width, over the predicted class. Confidence
//! is worked out from each row's loss and margin (see [`crate::metrics::prediction_matrix::confidence`]).
//! Of the whole distribution only two classes' probabilities can be had, so there is no Brier
//! score and no class-wise calibration here.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::prediction_matrix::PredictionMatrix;
use rlnet_suites::Condition;

/// Bins of equal width, as in Guo et al.
pub const BINS: usize = 15;

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Answers.
    pub answers: u64,
    /// Right ones.
    pub right: u64,
    /// Sum of their confidences.
    pub confidence: f64,
}

/// How confidence and accuracy agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Bins from 0 to 1.
    pub bins: [Bin; BINS],
    /// Answers whose confidence cannot be had (infinite or undefined loss).
    pub left_out: u64,
    /// Mean cross entropy, nats, of all answers with a finite one.
    pub loss: f64,
}

impl Calibration {
    /// Measures some conditions together; the worst of branches has no confidence of its own.
    pub fn of(matrix: &PredictionMatrix, policy: BranchPolicy, conditions: &[Condition]) -> Option<Self> {
        let mut found = Self {
            bins: [Bin::default(); BINS],
            left_out: 0,
            loss: 0.0,
        };
        let (mut losses, mut finite) = (0.0, 0_u64);
        for condition in conditions {
            let predictions = matrix.predictions(policy, condition)?;
            let [seen] = predictions.as_slice() else {
                return None;
            };
            for (i, right) in seen.right.iter().enumerate() {
                let Some(right) = right else { continue };
                found.add(*right, f64::from(seen.confidence[i]));
                if seen.loss[i].is_finite() {
                    losses += f64::from(seen.loss[i]);
                    finite += 1;
                }
            }
        }
        found.loss = losses / finite.max(1) as f64;
        (found.answers() > 0).then_some(found)
    }

    fn add(&mut self, right: bool, confidence: f64) {
        if !confidence.is_finite() {
            self.left_out += 1;
            return;
        }
        // Bins are open below and closed above, as in the reference code.
        let place = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[place.clamp(1, BINS) - 1];
        bin.answers += 1;
        bin.right += u64::from(right);
        bin.confidence += confidence;
    }

    /// Answers with a confidence.
    pub fn answers(&self) -> u64 {
        self.bins.iter().map(|bin| bin.answers).sum()
    }

    /// Mean confidence.
    pub fn confidence(&self) -> f64 {
        self.bins.iter().map(|bin| bin.confidence).sum::<f64>() / self.answers().max(1) as f64
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.bins.iter().map(|bin| bin.right).sum::<u64>() as f64 / self.answers().max(1) as f64
    }

    /// Expected calibration error: mean over answers of their bin's |accuracy - confidence|.
    pub fn ece(&self) -> f64 {
        let gaps = self
            .bins
            .iter()
            .map(|bin| (bin.right as f64 - bin.confidence).abs());
        gaps.sum::<f64>() / self.answers().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_gap_weighed_by_answers() {
        let mut found = Calibration {
            bins: [Bin::default(); BINS],
            left_out: 0,
            loss: 0.0,
        };
        // Two answers near 0.9, one right: |1 - 1.8| = 0.8. Two near 0.3, none right: 0.6.
        // (0.8 + 0.6) / 4 = 0.35.
        for (right, confidence) in [(true, 0.9), (false, 0.9), (false, 0.3), (false, 0.3)] {
            found.add(right, confidence);
        }
        found.add(true, f64::NAN);
        assert!((found.ece() - 0.35).abs() < 1e-12);
        assert_eq!((found.answers(), found.left_out), (4, 1));
        assert!((found.confidence() - 0.6).abs() < 1e-12 && found.accuracy() == 0.25);
    }
}
