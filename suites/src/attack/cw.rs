//! The L2 attack of Carlini and Wagner.

use super::entry::{AttackEntry, figure};
use super::param::{Role, parameters};
use super::shared::{BASE, EOT, NORM_L2, Norm, count, number, steps};
use crate::error::SuiteError;

parameters! {
    /// Adam on a margin, a binary search over its constant.
    Cw {
        /// The norm that is made small.
        norm: Norm = NORM_L2,
        /// Adam's steps for each constant.
        steps: usize = steps("1000", "Adam steps a constant"),
        /// Constants tried.
        search: usize = count("9", "binary search steps over the constant"),
        /// Adam's learning rate.
        lr: f64 = number("0.01", "Adam's learning rate").meaning(Role::StepSize),
        /// The first constant.
        c: f64 = number("0.001", "first constant"),
        /// The margin that counts as fooled, in logits.
        kappa: f64 = number("0", "margin asked for, in logits"),
    } and [EOT, BASE]
}

/// Carlini and Wagner.
pub static CW: AttackEntry = AttackEntry {
    name: "cw",
    display: "CW",
    title: "Carlini-Wagner L2: the smallest perturbation, Adam on a margin, binary search over c",
    source: "Carlini and Wagner, S&P 2017, arXiv 1608.04644",
    version: 3,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &Cw| 2.0 * (own.steps * own.search) as f64),
    check: |spec| match spec.read::<Cw>() {
        Some(Cw { c: 0.0, .. }) => Err(SuiteError::value(
            "attack parameter",
            "c=0",
            "a constant of zero gives the margin no weight, and grows from zero to zero; name a small one, as the \
             default 0.001",
        )),
        _ => Ok(()),
    },
    ..AttackEntry::of::<Cw>()
};
