//! An attack on the arithmetic: values that leave the ring.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{ALPHA, BASE, BRANCH, EOT, EPS, NORM, Norm, RESTARTS, START, Start, steps};

parameters! {
    /// Steps that make the largest product of a layer larger, until it wraps around.
    Overflow {
        /// Norm of the ball and the steps.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of a step.
        alpha: f64 = ALPHA,
        /// Number of steps.
        steps: usize = steps("50", "number of steps"),
        /// Number of starts.
        restarts: usize = RESTARTS,
        /// The first of them.
        start: Start = START,
    } and [EOT, BRANCH, BASE]
}

/// The overflow attack.
pub static OVERFLOW: AttackEntry = AttackEntry {
    name: "overflow",
    display: "Overflow",
    title: "Steps that drive a layer's largest product out of the ring of a model in fixed-point arithmetic",
    source: "this project, after Carlini and Wagner's advice to attack what a defence is made of (arXiv 1902.06705)",
    overflows: true,
    passes: |spec| figure(spec, |own: &Overflow| 3.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Overflow>()
};
