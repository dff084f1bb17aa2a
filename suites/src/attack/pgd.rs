//! Projected gradient descent, with and without random starts.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{
    ALPHA, BASE, BRANCH, EARLY_STOP, EOT, EPS, LOSS, NORM, NORM_LINF, Norm, PRECISION, RESTARTS, START,
    SURROGATE, Start, TARGET, steps,
};

parameters! {
    /// Steps along the gradient, projected onto the ball.
    Pgd {
        /// Norm of the ball and the steps.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of a step.
        alpha: f64 = ALPHA,
        /// Number of steps.
        steps: usize = steps("20", "number of steps"),
        /// Number of starts.
        restarts: usize = RESTARTS,
        /// The first of them.
        start: Start = START,
        /// Whether an image leaves at the first iterate that fools.
        early_stop: bool = EARLY_STOP,
    } and [LOSS, EOT, BRANCH, SURROGATE, PRECISION, BASE, TARGET]
}

parameters! {
    /// PGD from the image itself.
    Bim {
        /// Norm of the ball and the steps.
        norm: Norm = NORM_LINF,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of a step.
        alpha: f64 = ALPHA,
        /// Number of steps.
        steps: usize = steps("10", "number of steps"),
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

/// PGD.
pub static PGD: AttackEntry = AttackEntry {
    name: "pgd",
    display: "PGD",
    title: "Projected gradient descent, last iterate, each image on its own",
    source: "Madry et al., ICLR 2018, arXiv 1706.06083; defaults of RLNet's evaluation; \
             L1 steps: Tramer and Boneh, NeurIPS 2019, arXiv 1904.13000",
    rank: 5,
    trains: true,
    passes: |spec| figure(spec, |own: &Pgd| 2.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Pgd>()
};

/// The basic iterative method.
pub static BIM: AttackEntry = AttackEntry {
    name: "bim",
    display: "BIM",
    title: "Basic iterative method: PGD from the image itself",
    source: "Kurakin et al., ICLR 2017 workshop, arXiv 1607.02533",
    rank: 4,
    passes: |spec| figure(spec, |own: &Bim| 2.0 * own.steps as f64),
    ..AttackEntry::of::<Bim>()
};
