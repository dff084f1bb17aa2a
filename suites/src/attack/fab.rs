//! The fast adaptive boundary attack.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{
    APGD_STEPS, BASE, EOT, EPS, NORM, Norm, ORDER, REFERENCE_RNG, RESTARTS, TARGETS, TargetOrder,
};

parameters! {
    /// Towards the nearest boundary.
    Fab {
        /// The norm that is made small.
        norm: Norm = NORM,
        /// Radius within which an image counts as broken.
        eps: f64 = EPS,
        /// Iterations of a run.
        steps: usize = APGD_STEPS,
        /// Number of runs.
        restarts: usize = RESTARTS,
    } and [REFERENCE_RNG, EOT, BASE]
}

parameters! {
    /// Towards the boundary with each of some classes.
    FabTargeted {
        /// The norm that is made small.
        norm: Norm = NORM,
        /// Radius within which an image counts as broken.
        eps: f64 = EPS,
        /// Iterations of a run.
        steps: usize = APGD_STEPS,
        /// Number of runs a target class.
        restarts: usize = RESTARTS,
        /// Number of target classes.
        targets: usize = TARGETS,
        /// Which they are, and in which order.
        order: TargetOrder = ORDER,
    } and [REFERENCE_RNG, EOT, BASE]
}

/// Untargeted.
pub static FAB: AttackEntry = AttackEntry {
    name: "fab",
    display: "FAB",
    title: "Fast adaptive boundary, untargeted: towards the nearest adversarial, until within eps",
    source: "Croce and Hein, ICML 2020, arXiv 1907.02044",
    version: 2,
    rank: 3,
    // A gradient of each class's difference, and a search along a line.
    passes: |spec| figure(spec, |own: &Fab| 20.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Fab>()
};

/// Targeted.
pub static FAB_T: AttackEntry = AttackEntry {
    name: "fab-t",
    display: "FAB-T",
    title: "Fast adaptive boundary, one run a target class",
    source: "Croce and Hein, ICML 2020, arXiv 1907.02044 and 2003.01690",
    version: 2,
    rank: 3,
    passes: |spec| {
        figure(spec, |own: &FabTargeted| {
            3.0 * (own.steps * own.restarts * own.targets) as f64
        })
    },
    ..AttackEntry::of::<FabTargeted>()
};
