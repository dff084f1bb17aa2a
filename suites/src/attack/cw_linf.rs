//! The Linf attack of Carlini and Wagner.

use super::entry::{AttackEntry, figure};
use super::param::{Role, parameters};
use super::shared::{BASE, EOT, NORM_LINF, Norm, number, steps};

parameters! {
    /// Adam on what is beyond a height that falls.
    CwLinf {
        /// The norm that is made small.
        norm: Norm = NORM_LINF,
        /// Adam's steps for each height and constant.
        steps: usize = steps("1000", "Adam steps a height and constant"),
        /// Adam's learning rate.
        lr: f64 = number("0.01", "Adam's learning rate").meaning(Role::StepSize),
        /// The first constant.
        c: f64 = number("0.00001", "first constant, doubled where nothing nearer is found, up to 20"),
    } and [EOT, BASE]
}

/// Carlini and Wagner in Linf.
pub static CW_LINF: AttackEntry = AttackEntry {
    name: "cw-linf",
    display: "CW L\u{221e}",
    title: "Carlini-Wagner Linf: Adam on what is beyond a height, which falls while the image falls",
    source: "Carlini and Wagner, S&P 2017, arXiv 1608.04644",
    version: 2,
    minimum_norm: true,
    // About 50 heights and 21 constants.
    passes: |spec| figure(spec, |own: &CwLinf| 142.0 * own.steps as f64),
    ..AttackEntry::of::<CwLinf>()
};
