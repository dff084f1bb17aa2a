//! Given a [`Classifier`], perturb inputs inside a budget.
//!
//! Attacks see images in `[0, 1]`, a branch and an objective; never a data set, a file or a
//! parameter gradient.

pub mod ball;
pub mod classifier;
mod draws;
mod fab;
mod noise;
pub mod objective;
pub mod pgd;
mod square;
mod stream;
pub mod target;
#[cfg(test)]
mod toy;

pub use classifier::{Classifier, TorchScript};
pub use objective::Objective;
pub use target::{Draws, Spent, Target};

use crate::error::Result;
use rlnet_suites::AttackSpec;
use tch::Tensor;

/// Runs an attack on a target: one image `[3, H, W]` inside ball and box for each of the
/// target's, whether or not it fools. What it cost is on the target's account.
///
/// # Errors
/// When the attack is not defined for this model or data, or libtorch refuses an operation.
pub fn run(spec: &AttackSpec, target: &Target<'_>, teacher: Option<&Tensor>) -> Result<Tensor> {
    let objective = Objective::named(spec, &target.labels, teacher)?;
    match spec.name() {
        "fgsm" | "rfgsm" | "ffgsm" => pgd::one_step(spec, target, &objective),
        "pgd" | "bim" => pgd::restarts(spec, target, &objective),
        "mifgsm" => pgd::momentum(spec, target, &objective),
        "noise" => noise::noise(spec, target),
        "fab" | "fab-t" => fab::fab(spec, target),
        "square" => square::square(spec, target),
        other => unreachable!("the catalogue of attacks has no `{other}`"),
    }
}
