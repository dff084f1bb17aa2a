//! DeepFool.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, EOT, NORM_L2_FIRST, Norm, count, number, steps};

parameters! {
    /// Steps to the nearest linearised boundary.
    DeepFool {
        /// The norm that is made small.
        norm: Norm = NORM_L2_FIRST,
        /// Iterations, at most.
        steps: usize = steps("50", "iterations at most"),
        /// Classes considered.
        candidates: usize = count("10", "classes considered, the likeliest first"),
        /// Share by which the sum of steps is overdone.
        overshoot: f64 = number("0.02", "share by which the sum of steps is overdone"),
    } and [EOT, BASE]
}

/// DeepFool.
pub static DEEPFOOL: AttackEntry = AttackEntry {
    name: "deepfool",
    display: "DeepFool",
    title: "DeepFool: steps to the nearest linearised boundary",
    source: "Moosavi-Dezfooli et al., CVPR 2016, arXiv 1511.04599",
    version: 2,
    minimum_norm: true,
    passes: |spec| figure(spec, |own: &DeepFool| (own.steps * (1 + own.candidates)) as f64),
    ..AttackEntry::of::<DeepFool>()
};
