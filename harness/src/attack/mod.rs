//! Given a [`Classifier`], perturb inputs inside a budget.
//!
//! Attacks see images in `[0, 1]`, a branch and an objective; never a data set, a file or a
//! parameter gradient.

mod apgd;
pub mod autoattack;
pub mod ball;
pub mod classifier;
mod cw;
mod deepfool;
mod draws;
mod fab;
mod fmn;
pub mod gradient;
pub mod nearest;
mod noise;
pub mod objective;
pub mod pgd;
mod radius;
mod square;
mod stream;
pub mod tape;
pub mod target;
#[cfg(test)]
mod toy;

pub use classifier::{Classifier, TorchScript};
pub use objective::Objective;
pub use tape::Tape;
pub use target::{Draws, Spent, Target};

use crate::error::{Error, Result};
use rlnet_suites::AttackSpec;
use std::sync::{Mutex, PoisonError};
use tch::Tensor;

/// Held while libtorch's one random stream is replayed: two runs at once would draw from it
/// in turns.
static STREAM: Mutex<()> = Mutex::new(());

/// Runs an attack on a target: one image `[3, H, W]` inside ball and box for each of the
/// target's, whether or not it fools. What it cost is on the target's account.
///
/// # Errors
/// When the attack is not defined for this model or data, or libtorch refuses an operation.
pub fn run(spec: &AttackSpec, target: &Target<'_>, teacher: Option<&Tensor>) -> Result<Tensor> {
    if target.is_empty() {
        return Ok(target.images.copy());
    }
    let compat = spec.word("reference_rng") == "true";
    let draws = match target.draws {
        Draws::Keyed(seed) if compat => Draws::Stream(seed),
        draws => draws,
    };
    let _turn = compat.then(|| STREAM.lock().unwrap_or_else(PoisonError::into_inner));
    dispatch(spec, &target.drawing(draws, passes(spec)), teacher)
}

/// Passes that a verdict under an attack is the mean of: as many as its gradients are, for a
/// randomised model (Athalye et al., ICML 2018).
pub fn passes(spec: &AttackSpec) -> u32 {
    let parts = match spec.name() {
        "autoattack" => autoattack::stages(spec).unwrap_or_default(),
        _ => Vec::new(),
    };
    let all = std::iter::once(spec).chain(&parts);
    all.map(|attack| attack.count("eot") as u32).max().unwrap_or(1)
}

/// One attack, or one of an attack's parts. The reference seeds its stream for each anew.
fn dispatch(spec: &AttackSpec, target: &Target<'_>, teacher: Option<&Tensor>) -> Result<Tensor> {
    if let Draws::Stream(seed) = target.draws {
        tch::manual_seed(seed as i64);
    }
    let objective = Objective::named(spec, &target.labels, teacher)?;
    let needed = objective.classes_needed();
    if needed > 2 && target.classes()? < needed {
        return Err(Error::Incompatible(format!(
            "{spec}: its loss needs {needed} classes, this model has {}; use loss=ce or loss=margin",
            target.classes()?
        )));
    }
    match spec.name() {
        "fgsm" | "rfgsm" | "ffgsm" => pgd::one_step(spec, target, &objective),
        "pgd" | "bim" => pgd::restarts(spec, target, &objective),
        "mifgsm" => pgd::momentum(spec, target, &objective),
        "cw" => cw::cw(spec, target),
        "deepfool" => deepfool::deepfool(spec, target),
        "fmn" => fmn::fmn(spec, target),
        "noise" => noise::noise(spec, target),
        "radius" => radius::radius(spec, target),
        "apgd-ce" | "apgd-dlr" | "apgd-t" => apgd::auto_pgd(spec, target),
        "autoattack" => autoattack::autoattack(spec, target),
        "fab" | "fab-t" => fab::fab(spec, target),
        "square" => square::square(spec, target),
        other => unreachable!("the catalogue of attacks has no `{other}`"),
    }
}
