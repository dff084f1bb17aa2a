//! SuperDeepFool.

use super::deepfool::DEEPFOOL;
use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, EOT, NORM_L2, Norm, count, steps};

parameters! {
    /// DeepFool, turned towards the normal of the boundary.
    SuperDeepFool {
        /// The norm that is made small.
        norm: Norm = NORM_L2,
        /// DeepFools, at most.
        steps: usize = steps("100", "DeepFools at most, each of at most 100 iterations"),
        /// Bisections of the way back to the image.
        bisections: usize = count("10", "bisections of the way back to the image"),
    } and [EOT, BASE]
}

/// SuperDeepFool.
pub static SUPERDEEPFOOL: AttackEntry = AttackEntry {
    name: "superdeepfool",
    display: "SuperDeepFool",
    title: "SuperDeepFool: DeepFool turned towards the normal of the boundary, then a bisection",
    source: "Abdollahpoor et al., arXiv 2303.12481",
    uses: &[&DEEPFOOL],
    minimum_norm: true,
    // Two or three DeepFools of two or three iterations, each with a gradient a class, are the rule.
    passes: |spec| {
        figure(spec, |own: &SuperDeepFool| {
            (own.bisections + 40 * own.steps.min(3)) as f64
        })
    },
    ..AttackEntry::of::<SuperDeepFool>()
};
