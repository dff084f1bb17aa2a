//! What an attack maximises, per image.

use crate::error::{Error, Result};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Loss;
use tch::{Kind, Tensor};

/// Keeps a ratio of logits finite (the constant of the AutoAttack reference).
const TINY: f64 = 1e-12;

/// A loss to maximise, one value an image, so that no image's gradient depends on its batch.
#[derive(Debug)]
pub enum Objective {
    /// Cross entropy against labels `[N]`.
    CrossEntropy(Tensor),
    /// Difference of logits ratio against labels `[N]` (Croce and Hein, ICML 2020, eq. 5):
    /// `-(z_y - max_{i≠y} z_i) / (z_(1) - z_(3))`. Needs three classes.
    Dlr(Tensor),
    /// Its targeted form, labels and targets `[N]` (ibid., eq. 6):
    /// `-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)`. Needs four classes.
    TargetedDlr {
        /// True classes.
        labels: Tensor,
        /// Classes to be taken for.
        targets: Tensor,
    },
    /// Largest wrong logit minus the true one, labels `[N]` (Carlini and Wagner, S&P 2017).
    Margin(Tensor),
    /// `KL(teacher || model)` at a temperature, teacher logits `[N, classes]`: the inner
    /// attack of robust soft-label distillation (Zi et al., RSLAD, ICCV 2021). The factor T²
    /// is left out: a sign step does not see it.
    Distillation {
        /// The teacher's logits, constants.
        teacher: Tensor,
        /// Softens both sides.
        temperature: f64,
    },
}

impl Objective {
    /// The objective that a specification's `loss` names, against labels `[N]`; `teacher`
    /// gives the teacher's logits of the clean images when they are asked for.
    ///
    /// # Errors
    /// When the loss needs a teacher and there is none.
    pub fn named(spec: &AttackSpec, labels: &Tensor, teacher: Option<&Tensor>) -> Result<Self> {
        let labels = labels.shallow_clone();
        Ok(match spec.loss() {
            Loss::Dlr => Self::Dlr(labels),
            Loss::Margin => Self::Margin(labels),
            Loss::KlTeacher => Self::Distillation {
                teacher: teacher
                    .ok_or_else(|| {
                        Error::Incompatible(format!(
                            "{spec}: loss=kl-teacher needs a model that was distilled from a teacher; \
                             this one has none, use loss=ce"
                        ))
                    })?
                    .shallow_clone(),
                temperature: rlnet_suites::train::TEMPERATURE,
            },
            Loss::CrossEntropy => Self::CrossEntropy(labels),
        })
    }

    /// The objective of some of the images, `rows` `[M]` int64.
    pub fn select(&self, rows: &Tensor) -> Self {
        let take = |tensor: &Tensor| tensor.index_select(0, rows);
        match self {
            Self::CrossEntropy(labels) => Self::CrossEntropy(take(labels)),
            Self::Dlr(labels) => Self::Dlr(take(labels)),
            Self::Margin(labels) => Self::Margin(take(labels)),
            Self::TargetedDlr { labels, targets } => Self::TargetedDlr {
                labels: take(labels),
                targets: take(targets),
            },
            Self::Distillation { teacher, temperature } => Self::Distillation {
                teacher: take(teacher),
                temperature: *temperature,
            },
        }
    }

    /// The loss of each image, `[N]`.
    pub fn per_image(&self, logits: &Tensor) -> Tensor {
        match self {
            Self::CrossEntropy(labels) => {
                logits.cross_entropy_loss::<Tensor>(labels, None, tch::Reduction::None, -100, 0.0)
            }
            Self::Dlr(labels) => {
                let sorted = logits.sort(1, true).0;
                let spread = sorted.select(1, 0) - sorted.select(1, 2) + TINY;
                margin(logits, labels) / spread
            }
            Self::TargetedDlr { labels, targets } => {
                let sorted = logits.sort(1, true).0;
                let low = (sorted.select(1, 2) + sorted.select(1, 3)) * 0.5;
                let spread = sorted.select(1, 0) - low + TINY;
                (class(logits, targets) - class(logits, labels)) / spread
            }
            Self::Margin(labels) => margin(logits, labels),
            Self::Distillation { teacher, temperature } => {
                let target = (teacher / *temperature).log_softmax(1, Kind::Float);
                let log_p = (logits / *temperature).log_softmax(1, Kind::Float);
                (target.exp() * (target - log_p)).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
            }
        }
    }
}

/// Each image's logit of its class, `[N]`.
pub(super) fn class(logits: &Tensor, classes: &Tensor) -> Tensor {
    logits.gather(1, &classes.unsqueeze(1), false).squeeze_dim(1)
}

/// Largest wrong logit minus the true one, `[N]`: positive when the image is misclassified.
pub fn margin(logits: &Tensor, labels: &Tensor) -> Tensor {
    let mine = labels.unsqueeze(1);
    let others = logits.scatter_value(1, &mine, f64::NEG_INFINITY);
    others.amax([1_i64].as_slice(), false) - class(logits, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_a_row_worked_by_hand() {
        // z = (1, 4, 3, 0), true class 2: sorted 4, 3, 1, 0.
        let logits = Tensor::from_slice(&[1.0_f64, 4.0, 3.0, 0.0]).reshape([1, 4]);
        let label = || Tensor::from_slice(&[2_i64]);
        let value = |objective: Objective| objective.per_image(&logits).double_value(&[0]);
        assert_eq!(value(Objective::Margin(label())), 1.0);
        assert!((value(Objective::Dlr(label())) - 1.0 / 3.0).abs() < 1e-9);
        let targeted = Objective::TargetedDlr {
            labels: label(),
            targets: Tensor::from_slice(&[0_i64]),
        };
        // -(3 - 1) / (4 - (1 + 0) / 2)
        assert!((value(targeted) + 2.0 / 3.5).abs() < 1e-9);
        let sum: f64 = [1.0_f64, 4.0, 3.0, 0.0].iter().map(|z| z.exp()).sum();
        assert!((value(Objective::CrossEntropy(label())) - (sum.ln() - 3.0)).abs() < 1e-9);
    }
}
