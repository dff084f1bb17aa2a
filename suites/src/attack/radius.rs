//! The smallest radius that breaks each image.

use super::apgd::{APGD_PM, APGD_T};
use super::entry::{AttackEntry, figure};
use super::fab::FAB_T;
use super::fmn::FMN;
use super::param::parameters;
use super::shared::{BASE, EOT, NORM_2, Norm, count, steps};
use super::superdeepfool::SUPERDEEPFOOL;

parameters! {
    /// Minimum-norm attacks, then bisections of the radius.
    Radius {
        /// The norm that is made small.
        norm: Norm = NORM_2,
        /// Iterations of each attack used.
        steps: usize = steps("100", "iterations of each attack used"),
        /// Bisections.
        brackets: usize = count("6", "bisections of the radius by Auto-PGD"),
    } and [EOT, BASE]
}

/// The smallest radius.
pub static RADIUS: AttackEntry = AttackEntry {
    name: "radius",
    display: "smallest radius",
    title: "The smallest radius that breaks each image: minimum-norm attacks bracketed by Auto-PGD",
    source: "this project; see docs/attacks/radius.md",
    version: 2,
    uses: &[&FAB_T, &FMN, &SUPERDEEPFOOL, &APGD_PM, &APGD_T],
    minimum_norm: true,
    // FMN and FAB-T (in L2 SuperDeepFool, which is cheap), then Auto-PGD in each bracket.
    passes: |spec| figure(spec, |own: &Radius| ((29 + own.brackets * 20) * own.steps) as f64),
    ..AttackEntry::of::<Radius>()
};
