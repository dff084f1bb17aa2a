//! sigma-zero.

use super::entry::{AttackEntry, figure};
use super::param::{Role, parameters};
use super::shared::{BASE, EOT, NORM_L0, Norm, number, steps};

parameters! {
    /// The fewest changed values.
    SigmaZero {
        /// The norm that is made small.
        norm: Norm = NORM_L0,
        /// Number of steps.
        steps: usize = steps("1000", "iterations"),
        /// First learning rate.
        lr: f64 = number("1", "first learning rate, annealed by a cosine to a tenth").meaning(Role::StepSize),
        /// How sharp the count of changed values is.
        sigma: f64 = number("0.001", "how sharp the count of changed values is, the smaller the sharper"),
        /// First threshold.
        tau: f64 = number("0.3", "first threshold below which a change is dropped"),
        /// Change of the threshold.
        factor: f64 = number("0.01", "change of the threshold, as a share of the learning rate"),
    } and [EOT, BASE]
}

/// sigma-zero.
pub static SIGMA_ZERO: AttackEntry = AttackEntry {
    name: "sigma-zero",
    display: "\u{3c3}-zero",
    title: "sigma-zero: the fewest changed values, by Adam on a smooth count of them",
    source: "Cin\u{e0} et al., ICLR 2025, arXiv 2402.01879",
    version: 2,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &SigmaZero| 2.0 * own.steps as f64),
    ..AttackEntry::of::<SigmaZero>()
};
