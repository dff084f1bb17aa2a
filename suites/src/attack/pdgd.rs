//! Primal-dual attacks, on the gradient of the distance and on its proximal step.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, EOT, NORM, NORM_L2, Norm, steps};

parameters! {
    /// Gradient descent on both terms.
    Pdgd {
        /// The norm that is made small.
        norm: Norm = NORM_L2,
        /// Number of steps.
        steps: usize = steps("500", "iterations"),
    } and [EOT, BASE]
}

parameters! {
    /// Descent on the constraint, a proximal step on the distance.
    Pdpgd {
        /// The norm that is made small.
        norm: Norm = NORM,
        /// Number of steps.
        steps: usize = steps("500", "iterations"),
    } and [EOT, BASE]
}

/// PDGD.
pub static PDGD: AttackEntry = AttackEntry {
    name: "pdgd",
    display: "PDGD",
    title: "Primal-dual gradient descent: the weight of the distance is a variable of its own",
    source: "Matyasko and Chau, arXiv 2106.01538",
    version: 2,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &Pdgd| 2.0 * own.steps as f64),
    ..AttackEntry::of::<Pdgd>()
};

/// PDPGD.
pub static PDPGD: AttackEntry = AttackEntry {
    name: "pdpgd",
    display: "PDPGD",
    title: "Primal-dual proximal gradient descent: the distance by its proximal step",
    source: "Matyasko and Chau, arXiv 2106.01538",
    version: 2,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &Pdpgd| 2.0 * own.steps as f64),
    ..AttackEntry::of::<Pdpgd>()
};
