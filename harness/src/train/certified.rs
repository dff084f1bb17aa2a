//! Losses over interval bounds, for the adversarial role: IBP (Gowal et al., arXiv 1810.12715), SABR (Müller et al.,
//! ICLR 2023) and MTL-IBP (De Palma et al., ICLR 2024).
//!
//! | loss | the role's images | the box | the role's cross entropy |
//! |---|---|---|---|
//! | `ibp` | clean | the ball | that of the worst logits |
//! | `sabr` | attacked in the ball of radius `(1 - lambda) eps` | of radius `lambda eps` around them: in the ball | the same |
//! | `mtl-ibp` | attacked by the stage's attack | the ball | `(1 - alpha)` of the attacked images' own, `alpha` of the bound |
//!
//! The ball is in Linf, cut to `[0, 1]`, and its radius rises in a line. The role's norms take the statistics of its
//! images, for the box too ([`crate::nn::interval`]). Distillation and attention see the images' own pass.

use super::loss::cross_entropy;
use crate::attack::pgd::Settings;
use rlnet_suites::attack::Norm;
use rlnet_suites::train::certified::{Bounded, Loss};
use tch::{Kind, Tensor, no_grad_guard};

/// The inner attack: the stage's own for MTL-IBP, none for IBP; SABR's keeps the relation of step and radius.
pub(super) fn inner(bounded: &Bounded, usual: Settings, done: f64) -> Settings {
    match bounded.loss {
        Loss::MtlIbp => usual,
        Loss::Ibp => Settings::new(Norm::Linf, 0.0, usual.alpha, 0),
        Loss::Sabr => {
            let eps = bounded.radius(done) * (1.0 - bounded.share);
            let alpha = eps * usual.alpha / usual.eps.max(f64::MIN_POSITIVE);
            Settings::new(Norm::Linf, eps, alpha, usual.steps)
        }
    }
}

/// Lower and upper ends of the boxes, `[N, 3, H, W]`, for images and what the attack made of them.
pub(super) fn boxes(
    bounded: &Bounded,
    done: f64,
    (images, attacked): (&Tensor, &Tensor),
) -> (Tensor, Tensor) {
    let _guard = no_grad_guard();
    let (centre, radius) = match bounded.loss {
        Loss::Sabr => (attacked, bounded.radius(done) * bounded.share),
        Loss::Ibp | Loss::MtlIbp => (images, bounded.radius(done)),
    };
    (
        (centre - radius).clamp(0.0, 1.0),
        (centre + radius).clamp(0.0, 1.0),
    )
}

/// What intervals say of a role.
pub(super) struct Bounds {
    bounded: Bounded,
    worst: Tensor,
    /// Cross entropy of the worst logits, mean over the images.
    pub(super) loss: Tensor,
    /// For every ReLU layer the share of the images on which each unit's sign is known, where it was asked for.
    pub(super) known: Vec<Tensor>,
}

impl Bounds {
    /// `worst` `[N, classes]`: how much each logit may be above the label's.
    pub(super) fn new(bounded: Bounded, worst: &Tensor, labels: &Tensor, known: Vec<Tensor>) -> Self {
        Self {
            bounded,
            loss: cross_entropy(worst, labels),
            worst: worst.detach(),
            known,
        }
    }

    /// The role's cross entropy, given that of its images.
    pub(super) fn mixed(&self, own: Tensor) -> Tensor {
        match self.bounded.loss {
            Loss::MtlIbp => own * (1.0 - self.bounded.share) + &self.loss * self.bounded.share,
            Loss::Ibp | Loss::Sabr => self.loss.shallow_clone(),
        }
    }

    /// The share of the images whose boxes are proven: no logit may be above the label's, whose own difference is 0.
    pub(super) fn certified(&self) -> Tensor {
        let above = self.worst.gt(0.0).any_dim(1, false);
        above.logical_not().to_kind(Kind::Double).mean(Kind::Double)
    }
}
