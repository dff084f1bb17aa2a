//! The probability margin attack.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, BRANCH, EOT, EPS, Loss, NORM_LINF, Norm, PRECISION, RESTARTS, SURROGATE, steps};

parameters! {
    /// Sign steps in two stages.
    Pma {
        /// Norm of the ball and the steps.
        norm: Norm = NORM_LINF,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Number of steps of each run.
        steps: usize = steps("100", "iterations of each of two runs"),
        /// Number of starts.
        restarts: usize = RESTARTS,
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

/// PMA.
pub static PMA: AttackEntry = AttackEntry {
    name: "pma",
    display: "PMA",
    title: "Probability margin attack: two stages, first one term of the difference of probabilities, then both",
    source: "arXiv 2411.15210",
    version: 2,
    rank: 6,
    loss: Loss::ProbabilityMargin,
    passes: |spec| figure(spec, |own: &Pma| 4.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Pma>()
};
