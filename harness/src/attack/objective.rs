//! What an attack maximises, per image.

use super::Target;
use crate::error::{Error, Result};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Loss;
use tch::{Kind, Tensor};

/// Keeps a ratio of logits finite (the constant of the AutoAttack reference).
const TINY: f64 = 1e-12;

/// So many times below the two largest logits of its row, and 1, a logit is no answer of the model: its
/// class was left out by a large negative number, as by -inf (own choice; masks are -1e9 and the like).
const LEFT_OUT: f64 = -1e4;

/// A loss to maximise, one value an image, so that no image's gradient depends on its batch.
#[derive(Debug)]
pub enum Objective {
    /// Cross entropy against labels `[N]`.
    CrossEntropy(Tensor),
    /// Difference of logits ratio against labels `[N]` (Croce and Hein, ICML 2020, eq. 5):
    /// `-(z_y - max_{i≠y} z_i) / (z_(1) - z_(3))`. Needs three classes; where the model leaves out all
    /// but two there is no ratio, and the difference stands for itself.
    Dlr(Tensor),
    /// Its targeted form, labels and targets `[N]` (ibid., eq. 6):
    /// `-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)`. Needs four classes; of three that are not left out
    /// the third stands for both, and two have no ratio.
    TargetedDlr {
        /// True classes.
        labels: Tensor,
        /// Classes to be taken for.
        targets: Tensor,
    },
    /// Largest wrong logit minus the true one, labels `[N]` (Carlini and Wagner, S&P 2017).
    Margin(Tensor),
    /// Largest wrong probability minus the true one, labels `[N]` (arXiv 2411.15210): a mixture of the
    /// cross entropies of both classes, weighted by their probabilities.
    ProbabilityMargin(Tensor),
    /// The same loss with the sign turned: towards the classes that it holds.
    Towards(Box<Self>),
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
    /// The objective that a specification's `loss` names, against the target's labels, or towards the
    /// classes that its images are to be taken for; `teacher` gives the teacher's logits of the clean
    /// images when they are asked for.
    ///
    /// # Errors
    /// When the loss needs a teacher and there is none, or has no class to go to.
    pub(super) fn named(spec: &AttackSpec, target: &Target<'_>, teacher: Option<&Tensor>) -> Result<Self> {
        if let Some(goals) = target.goals() {
            let goals = goals.shallow_clone();
            return Ok(match spec.loss() {
                Loss::CrossEntropy => Self::Towards(Box::new(Self::CrossEntropy(goals))),
                Loss::Margin => Self::Towards(Box::new(Self::Margin(goals))),
                Loss::ProbabilityMargin => Self::Towards(Box::new(Self::ProbabilityMargin(goals))),
                Loss::Dlr => Self::TargetedDlr {
                    labels: target.labels.shallow_clone(),
                    targets: goals,
                },
                Loss::KlTeacher => {
                    return Err(Error::Incompatible(format!(
                        "{spec}: loss=kl-teacher goes away from the teacher's answer, to no class; use \
                         loss=ce with target"
                    )));
                }
            });
        }
        let labels = target.labels.shallow_clone();
        Ok(match spec.loss() {
            Loss::Dlr => Self::Dlr(labels),
            Loss::Margin => Self::Margin(labels),
            Loss::ProbabilityMargin => Self::ProbabilityMargin(labels),
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
        self.each(&|tensor| tensor.index_select(0, rows))
    }

    /// The same objective.
    pub fn shallow_clone(&self) -> Self {
        self.each(&Tensor::shallow_clone)
    }

    /// With each of its tensors changed.
    fn each(&self, take: &dyn Fn(&Tensor) -> Tensor) -> Self {
        match self {
            Self::CrossEntropy(labels) => Self::CrossEntropy(take(labels)),
            Self::Dlr(labels) => Self::Dlr(take(labels)),
            Self::Margin(labels) => Self::Margin(take(labels)),
            Self::ProbabilityMargin(labels) => Self::ProbabilityMargin(take(labels)),
            Self::Towards(loss) => Self::Towards(Box::new(loss.each(take))),
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

    /// The loss of each image, `[N]`, where f32 rounds the true class's probability to one and cross entropy
    /// to zero as well: there `log(1 + e^x)` is `e^x` to the last bit, with `x` the logarithm of what the
    /// other classes' exponentials are to the true one's. (Its slope would lack the true class's part.)
    pub fn exact(&self, logits: &Tensor) -> Tensor {
        let loss = self.per_image(logits);
        match self {
            Self::CrossEntropy(labels) => log_odds(logits, labels).exp().where_self(&loss.eq(0.0), &loss),
            _ => loss,
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
                margin(logits, labels) / one_where(&left_out(&sorted).select(1, 2), &spread)
            }
            Self::TargetedDlr { labels, targets } => {
                let sorted = logits.sort(1, true).0;
                let out = left_out(&sorted);
                let third = sorted.select(1, 2);
                let fourth = third.where_self(&out.select(1, 3), &sorted.select(1, 3));
                let low = (third + fourth) * 0.5;
                let spread = sorted.select(1, 0) - low + TINY;
                let spread = one_where(&out.select(1, 2), &spread);
                (class(logits, targets) - class(logits, labels)) / spread
            }
            Self::Margin(labels) => margin(logits, labels),
            Self::ProbabilityMargin(labels) => {
                let [own, wrong] = probabilities(logits, labels);
                (wrong - own).to_kind(logits.kind())
            }
            Self::Towards(loss) => -loss.per_image(logits),
            Self::Distillation { teacher, temperature } => {
                let target = (teacher / *temperature).log_softmax(1, Kind::Float);
                let log_p = (logits / *temperature).log_softmax(1, Kind::Float);
                // A class without probability adds nothing: 0 log 0 = 0.
                let gap = (&target - log_p).masked_fill(&target.isneginf(), 0.0);
                (target.exp() * gap).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
            }
        }
    }
}

/// Which logits (`[N, classes]` bool) are of classes that the model leaves out: -inf, or far below all
/// that it answers.
pub fn left_out(logits: &Tensor) -> Tensor {
    let known = logits
        .detach()
        .masked_fill(&logits.isfinite().logical_not(), f64::NEG_INFINITY);
    let top = known.topk(known.size()[1].min(2), 1, true, true).0;
    let size = top.masked_fill(&top.isfinite().logical_not(), 0.0).abs();
    let size = size.amax([1_i64].as_slice(), true).clamp_min(1.0);
    logits.lt_tensor(&(size * LEFT_OUT))
}

/// `values` `[N]`, and 1 where `flags` are set.
fn one_where(flags: &Tensor, values: &Tensor) -> Tensor {
    values.ones_like().where_self(flags, values)
}

/// The logarithm of the other classes' probability over the true one's, `[N]`. Its slope has the direction of cross
/// entropy's, and does not vanish where f32 rounds the true class's probability to one.
pub(super) fn log_odds(logits: &Tensor, labels: &Tensor) -> Tensor {
    let others = logits.scatter_value(1, &labels.unsqueeze(1), f64::NEG_INFINITY);
    others.logsumexp([1_i64].as_slice(), false) - class(logits, labels)
}

/// Each image's logit of its class, `[N]`.
pub(super) fn class(logits: &Tensor, classes: &Tensor) -> Tensor {
    logits.gather(1, &classes.unsqueeze(1), false).squeeze_dim(1)
}

/// Logits to rank wrong classes by, `[N, classes]`: the true class is below all, those that are left out
/// with -inf as well.
pub(super) fn true_class_last(logits: &Tensor, labels: &Tensor) -> Tensor {
    let finite = logits.clamp_min(f64::from(f32::MIN));
    finite.scatter_value(1, &labels.unsqueeze(1), f64::NEG_INFINITY)
}

/// The probability of each image's class and the largest of the others, each `[N]`.
fn probabilities(logits: &Tensor, labels: &Tensor) -> [Tensor; 2] {
    // In double precision: small logits give probabilities that differ by less than single precision resolves.
    let all = logits.softmax(1, Kind::Double);
    let wrong = all.scatter_value(1, &labels.unsqueeze(1), f64::NEG_INFINITY);
    [class(&all, labels), wrong.amax([1_i64].as_slice(), false)]
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
    /// Loss and gradient of one row, the first class being true.
    fn of_row(row: &[f32], objective: &Objective) -> (f64, Vec<f32>) {
        let logits = Tensor::from_slice(row).unsqueeze(0).set_requires_grad(true);
        let loss = objective.per_image(&logits);
        loss.sum(Kind::Float).backward();
        let gradient = Vec::<f32>::try_from(logits.grad().flatten(0, -1)).expect("a gradient");
        (loss.double_value(&[0]), gradient)
    }

    #[test]
    fn a_class_that_is_left_out_changes_no_loss() {
        let zero = || Tensor::from_slice(&[0_i64]);
        let targeted = || Objective::TargetedDlr {
            labels: zero(),
            targets: Tensor::from_slice(&[1_i64]),
        };
        for mask in [f32::NEG_INFINITY, -1e9, -3e38] {
            // (3, 1, 0.5, -1) and a class that is left out: (1 - 3) / (3 - 0.5), (1 - 3) / (3 - (0.5 - 1) / 2).
            for (objective, wanted) in [(Objective::Dlr(zero()), -0.8), (targeted(), -2.0 / 3.25)] {
                let (plain, slope) = of_row(&[3.0, 1.0, 0.5, -1.0], &objective);
                let (masked, with) = of_row(&[3.0, 1.0, 0.5, -1.0, mask], &objective);
                assert!((plain - wanted).abs() < 1e-6, "{plain}");
                assert_eq!((plain, slope.as_slice()), (masked, &with[..4]), "{mask}");
            }
            // Three classes: the third stands for the fourth. Two: the difference itself, which has a slope.
            let (of_three, _) = of_row(&[3.0, 1.0, 0.5, mask], &targeted());
            assert!((of_three + 0.8).abs() < 1e-6, "{of_three}");
            for objective in [Objective::Dlr(zero()), targeted()] {
                let (of_two, slope) = of_row(&[3.0, 1.0, mask, mask], &objective);
                assert_eq!(
                    (of_two, slope.as_slice()),
                    (-2.0, &[-1.0, 1.0, 0.0, 0.0][..]),
                    "{mask}"
                );
            }
        }
        // Large logits are answers, of whatever scale.
        let (steep, _) = of_row(&[3e4, 1e4, -5e7], &Objective::Dlr(zero()));
        assert!((steep + 2e4 / (3e4 + 5e7)).abs() < 1e-6, "{steep}");
    }

    #[test]
    fn the_true_class_is_ranked_behind_those_that_are_left_out() {
        let logits = Tensor::from_slice(&[f32::NEG_INFINITY, 2.0, 3.0, f32::NEG_INFINITY]).unsqueeze(0);
        let order = true_class_last(&logits, &Tensor::from_slice(&[2_i64])).argsort_stable(true, 1, true);
        assert_eq!(
            Vec::<i64>::try_from(order.flatten(0, -1)).expect("ranks"),
            [1, 0, 3, 2]
        );
    }

    #[test]
    fn a_class_without_probability_adds_nothing_to_the_divergence() {
        let row = [2.0_f32, 1.0, f32::NEG_INFINITY];
        let objective = Objective::Distillation {
            teacher: Tensor::from_slice(&[1.0_f32, 2.0, f32::NEG_INFINITY]).unsqueeze(0),
            temperature: 1.0,
        };
        let (loss, slope) = of_row(&row, &objective);
        // KL of (q, 1 - q) from (1 - q, q) with q = 1 / (1 + e): (1 - 2q) ln((1 - q) / q) = 1 - 2q.
        let q = 1.0 / (1.0 + 1.0_f64.exp());
        assert!((loss - (1.0 - 2.0 * q)).abs() < 1e-6, "{loss}");
        assert!(slope.iter().all(|value| value.is_finite()), "{slope:?}");
    }
}
