//! Auto-PGD on its three losses.

use super::entry::{AttackEntry, figure};
use super::param::parameters;
use super::shared::{
    APGD_STEPS, BASE, BRANCH, EOT, EPS, Loss, NORM, Norm, ORDER, PRECISION, REFERENCE_RNG, RESTARTS,
    SURROGATE, TARGET, TARGETS, TargetOrder,
};

parameters! {
    /// Auto-PGD on one loss.
    Apgd {
        /// Norm of the ball and the steps.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Number of steps.
        steps: usize = APGD_STEPS,
        /// Number of starts.
        restarts: usize = RESTARTS,
    } and [EOT, REFERENCE_RNG, BRANCH, SURROGATE, PRECISION, BASE, TARGET]
}

parameters! {
    /// Auto-PGD, one run a target class.
    ApgdTargeted {
        /// Norm of the ball and the steps.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Number of steps.
        steps: usize = APGD_STEPS,
        /// Number of starts.
        restarts: usize = RESTARTS,
        /// Number of target classes.
        targets: usize = TARGETS,
        /// Which they are, and in which order.
        order: TargetOrder = ORDER,
    } and [REFERENCE_RNG, EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

const INSTEAD: &str = "use apgd-ce";

/// On cross entropy.
pub static APGD_CE: AttackEntry = AttackEntry {
    name: "apgd-ce",
    display: "APGD-CE",
    title: "Auto-PGD on cross entropy: step size halved by progress, best point kept",
    source: "Croce and Hein, ICML 2020, arXiv 2003.01690; L1: Croce and Hein, ICML 2021, arXiv 2103.01208",
    rank: 6,
    passes: |spec| figure(spec, |own: &Apgd| 2.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Apgd>()
};

/// On the difference of logits ratio.
pub static APGD_DLR: AttackEntry = AttackEntry {
    name: "apgd-dlr",
    display: "APGD-DLR",
    title: "Auto-PGD on the difference of logits ratio",
    source: "Croce and Hein, ICML 2020, arXiv 2003.01690",
    rank: 6,
    loss: Loss::Dlr,
    classes: |_| (3, INSTEAD),
    passes: |spec| figure(spec, |own: &Apgd| 2.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Apgd>()
};

/// On the margin of probabilities.
pub static APGD_PM: AttackEntry = AttackEntry {
    name: "apgd-pm",
    display: "APGD-PM",
    title: "Auto-PGD on the probability margin: largest wrong probability minus the true one",
    source: "Croce and Hein, ICML 2020, arXiv 2003.01690; loss: arXiv 2411.15210",
    rank: 6,
    loss: Loss::ProbabilityMargin,
    passes: |spec| figure(spec, |own: &Apgd| 2.0 * (own.steps * own.restarts) as f64),
    ..AttackEntry::of::<Apgd>()
};

/// On the targeted form of that ratio.
pub static APGD_T: AttackEntry = AttackEntry {
    name: "apgd-t",
    display: "APGD-T",
    title: "Auto-PGD on the targeted DLR loss, one run a target class",
    source: "Croce and Hein, ICML 2020, arXiv 2003.01690",
    rank: 7,
    loss: Loss::Dlr,
    classes: |_| (4, INSTEAD),
    passes: |spec| {
        figure(spec, |own: &ApgdTargeted| {
            2.0 * (own.steps * own.restarts * own.targets) as f64
        })
    },
    ..AttackEntry::of::<ApgdTargeted>()
};
