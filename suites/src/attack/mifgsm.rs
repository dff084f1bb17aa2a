//! Momentum iterative FGSM.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{ALPHA, BASE, BRANCH, EOT, EPS, NORM_LINF, Norm, PRECISION, SURROGATE, number, steps};

parameters! {
    /// Sign steps along the accumulated gradient.
    Mifgsm {
        /// Norm of the ball and the steps.
        norm: Norm = NORM_LINF,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of a step.
        alpha: f64 = ALPHA,
        /// Number of steps.
        steps: usize = steps("10", "number of steps"),
        /// Decay of the accumulated gradient.
        momentum: f64 = number("1", "decay of the accumulated gradient"),
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

/// MI-FGSM.
pub static MIFGSM: AttackEntry = AttackEntry {
    name: "mifgsm",
    display: "MI-FGSM",
    title: "Momentum iterative FGSM: sign steps along the accumulated normalised gradient",
    source: "Dong et al., CVPR 2018, arXiv 1710.06081",
    rank: 4,
    passes: |spec| figure(spec, |own: &Mifgsm| 2.0 * own.steps as f64),
    ..AttackEntry::of::<Mifgsm>()
};
