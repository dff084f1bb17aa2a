//! ALMA.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, EOT, NORM_L2_L1, Norm, never_moves, number, steps};

parameters! {
    /// An augmented Lagrangian of distance and class.
    Alma {
        /// The norm that is made small.
        norm: Norm = NORM_L2_L1,
        /// Number of steps.
        steps: usize = steps("1000", "iterations"),
        /// First learning rate.
        lr: f64 = number("0.1", "first learning rate"),
        /// The distance that the first step is to reach.
        first_distance: f64 = number(
            "0",
            "distance of the first step, which sets the learning rate; 0: lr as it is",
        ),
    } and [EOT, BASE]
}

/// ALMA.
pub static ALMA: AttackEntry = AttackEntry {
    name: "alma",
    display: "ALMA",
    title: "Augmented Lagrangian method for adversarial attacks",
    source: "Rony et al., ICCV 2021, arXiv 2011.11857",
    version: 2,
    minimum_norm: true,
    classes: |_| (3, "use pdgd or fmn"),
    passes: |spec| figure(spec, |own: &Alma| 2.0 * own.steps as f64),
    check: |spec| match spec.read::<Alma>() {
        Some(Alma {
            lr: 0.0,
            first_distance: 0.0,
            ..
        }) => Err(never_moves("lr", "with learning rate 0")),
        _ => Ok(()),
    },
    ..AttackEntry::of::<Alma>()
};
