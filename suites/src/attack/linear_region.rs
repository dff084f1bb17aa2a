//! The linear-region attack.

use super::apgd::APGD_PM;
use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{APGD_STEPS, BASE, BRANCH, EOT, EPS, Loss, NORM, Norm, PRECISION, SURROGATE, count};

parameters! {
    /// Programs over the linear pieces of a margin, from where Auto-PGD ends.
    LinearRegion {
        /// Norm of the ball.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Steps of Auto-PGD.
        steps: usize = APGD_STEPS,
        /// Programs.
        programs: usize = count("30", "linear or quadratic programs an image, at most"),
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

/// The linear-region attack.
pub static LINEAR_REGION: AttackEntry = AttackEntry {
    name: "linear-region",
    display: "Linear region",
    title: "From Auto-PGD's endpoints: the best point of the linear region in the ball, then the regions beside it",
    source: "after Croce and Hein, GCPR 2018, arXiv 1811.11493; Croce, Rauber and Hein, IJCV 2020, arXiv 1903.11359",
    uses: &[&APGD_PM],
    rank: 6,
    loss: Loss::ProbabilityMargin,
    passes: |spec| figure(spec, |own: &LinearRegion| 2.0 * (own.steps + own.programs) as f64),
    // As the same steps of Auto-PGD, and more.
    effort: |_| 2,
    ..AttackEntry::of::<LinearRegion>()
};
