//! Catastrophic overfitting: a network that is trained with one-step attacks learns to withstand one step, and within
//! an epoch no longer withstands several (Wong et al., ICLR 2020, arXiv 2001.03994).
//!
//! After each epoch held-out images are attacked by FGSM and by PGD-10 in the ball of the inner attack. The rule looks
//! at the epochs so far, so a stage that is gone on with judges as one that never stopped.

use super::validate::attacked;
use crate::attack::Classifier;
use crate::attack::pgd::Settings;
use crate::data::Split;
use crate::error::Result;
use rlnet_suites::view::View;
use rlnet_suites::{CurvePoint, TrainSpec};

/// Curve of the accuracy under one step of eps from the image.
const FGSM: &str = "overfitting/fgsm";
/// Curve of the accuracy under ten steps of eps/4 from a uniform start.
const PGD: &str = "overfitting/pgd-10";

/// The largest fall of PGD's accuracy in one epoch: `fast_adversarial` stops its training beyond it.
const FALL: f64 = 0.2;
/// FGSM's accuracy above PGD's, while it rises, beyond which it is no longer an attack (own choice).
const GAP: f64 = 0.25;

/// Accuracies under attack of held-out images, fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Under FGSM.
    pub fgsm: f64,
    /// Under PGD-10.
    pub pgd: f64,
}

impl Held {
    /// Of a frozen network, through the branch of adversarial images; nothing where the stage does not look at it.
    ///
    /// # Errors
    /// When libtorch refuses an operation.
    pub fn measure(model: &dyn Classifier, split: &Split, spec: &TrainSpec) -> Result<Option<Self>> {
        if !spec.stop_at_overfitting || !spec.is_robust() {
            return Ok(None);
        }
        let branch = spec.norm.branch_of(View::Adversarial);
        let own = Settings::of(&spec.attack);
        let under = |alpha: f64, steps: usize, start: f64| {
            let settings = Settings {
                start,
                ..Settings::new(own.norm, own.eps, alpha, steps)
            };
            attacked(model, split, branch, settings, spec.seed)
        };
        Ok(Some(Self {
            fgsm: under(own.eps, 1, 0.0)?,
            pgd: under(own.eps / 4.0, 10, own.eps)?,
        }))
    }

    /// Its points on the stage's curves.
    pub fn points(self) -> [(String, f64); 2] {
        [(FGSM.to_owned(), self.fgsm), (PGD.to_owned(), self.pgd)]
    }

    /// Whether the epochs so far, and then this, are those of a network that overfits. `chance` is the accuracy of
    /// guessing: below twice that, nothing is there to lose.
    pub fn overfits(self, curves: &[CurvePoint], chance: f64) -> bool {
        let of = |metric: &str| -> Vec<f64> {
            let own = curves.iter().filter(|point| point.metric == metric);
            own.map(|point| point.value).collect()
        };
        let (fgsm, pgd) = (of(FGSM), of(PGD));
        let (Some(fgsm), Some(last)) = (fgsm.last(), pgd.last()) else {
            return false;
        };
        let best = pgd.iter().copied().fold(0.0, f64::max);
        if best < 2.0 * chance || self.pgd >= *last {
            return false;
        }
        let fell = last - self.pgd > FALL || self.pgd < 0.5 * best;
        fell || (self.fgsm - self.pgd > GAP && self.fgsm > *fgsm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epochs of (FGSM, PGD-10) in percent; the rule's answer after each.
    fn answers(epochs: &[(f64, f64)]) -> Vec<bool> {
        let mut curves = Vec::new();
        let mut answers = Vec::new();
        for (epoch, (fgsm, pgd)) in (1..).zip(epochs) {
            let held = Held {
                fgsm: fgsm / 100.0,
                pgd: pgd / 100.0,
            };
            answers.push(held.overfits(&curves, 0.1));
            curves.extend(
                held.points()
                    .map(|(metric, value)| CurvePoint { epoch, metric, value }),
            );
        }
        answers
    }

    #[test]
    fn a_fall_within_an_epoch_is_seen_and_a_healthy_training_is_left_alone() {
        let healthy = [
            (18.0, 17.0),
            (25.0, 23.0),
            (22.0, 19.0),
            (33.0, 29.0),
            (40.0, 35.0),
            (41.0, 34.0),
        ];
        assert_eq!(answers(&healthy), [false; 6]);
        // The published sign: more than twenty points at once.
        assert_eq!(answers(&[(40.0, 36.0), (45.0, 15.5)]), [false, true]);
        // Slower: below half of the best.
        assert_eq!(
            answers(&[(30.0, 28.0), (32.0, 20.0), (30.0, 13.0)]),
            [false, false, true]
        );
        // FGSM rises while PGD falls.
        assert_eq!(answers(&[(40.0, 36.0), (55.0, 29.0)]), [false, true]);
        // Both fall: a learning rate that is too large, not this.
        assert_eq!(answers(&[(62.0, 36.0), (55.0, 29.0)]), [false, false]);
        // At chance there is nothing to lose.
        assert_eq!(answers(&[(15.0, 12.0), (14.0, 5.0)]), [false, false]);
    }
}
