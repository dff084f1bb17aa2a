//! The fast minimum-norm attack.

use super::entry::{AttackEntry, figure};
use super::param::{Role, parameters};
use super::shared::{BASE, EOT, NORM, Norm, number, steps};

parameters! {
    /// Gradient steps while the radius adapts.
    Fmn {
        /// The norm that is made small.
        norm: Norm = NORM,
        /// Number of steps.
        steps: usize = steps("100", "iterations"),
        /// First step size, the L2 length of a step.
        alpha: f64 = number("1", "first step size, annealed by a cosine to a hundredth")
            .meaning(Role::StepSize),
        /// First share by which the radius changes.
        gamma: f64 = number("0.05", "first share by which the radius changes"),
    } and [EOT, BASE]
}

/// FMN.
pub static FMN: AttackEntry = AttackEntry {
    name: "fmn",
    display: "FMN",
    title: "Fast minimum-norm attack: gradient steps while the radius adapts",
    source: "Pintor et al., NeurIPS 2021, arXiv 2102.12827",
    version: 2,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &Fmn| 2.0 * own.steps as f64),
    ..AttackEntry::of::<Fmn>()
};
