//! Decoupled direction and norm.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, EOT, NORM_L2, Norm, never_moves, number, steps, word};

parameters! {
    /// Gradient steps, each put back on a sphere of its own radius.
    Ddn {
        /// The norm that is made small.
        norm: Norm = NORM_L2,
        /// Number of steps.
        steps: usize = steps("100", "iterations"),
        /// Share by which the radius changes.
        gamma: f64 = number("0.05", "share by which the radius changes at a step"),
        /// First radius.
        radius: f64 = number("1", "first radius"),
        /// Whether points are rounded to 255ths.
        quantise: bool = word(&["true", "false"], "whether points are rounded to 8 bits at every step"),
    } and [EOT, BASE]
}

/// DDN.
pub static DDN: AttackEntry = AttackEntry {
    name: "ddn",
    display: "DDN",
    title: "Decoupled direction and norm: gradient steps on a sphere that shrinks and grows",
    source: "Rony et al., CVPR 2019, arXiv 1811.09600",
    version: 2,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &Ddn| 2.0 * own.steps as f64),
    check: |spec| match spec.read::<Ddn>() {
        Some(Ddn { radius: 0.0, .. }) => Err(never_moves("radius", "on a sphere of radius 0")),
        _ => Ok(()),
    },
    ..AttackEntry::of::<Ddn>()
};
