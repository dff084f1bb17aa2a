//! Given a [`Classifier`], perturb inputs inside a budget.
//!
//! Attacks see images in `[0, 1]`, a branch and an objective; never a data set, a file or a
//! parameter gradient.

mod account;
mod active;
mod adam;
mod allowance;
mod alma;
mod apgd;
pub mod autoattack;
pub mod ball;
pub mod classifier;
mod cw;
mod cw_linf;
mod ddn;
mod deepfool;
mod draws;
mod fab;
mod fgsm;
mod fmn;
pub mod gradient;
pub mod lanes;
mod linear_region;
mod mifgsm;
mod nearest;
mod noise;
pub mod objective;
mod overflow;
mod pdgd;
pub mod pgd;
mod pma;
mod radius;
#[cfg(test)]
mod reference_models;
pub mod scale;
mod sigma_zero;
mod square;
mod stream;
mod superdeepfool;
pub mod tape;
pub mod target;
mod targets;
#[cfg(test)]
mod toy;

pub use account::PassCount;
pub use classifier::{Classifier, TorchScript};
pub(crate) use draws::uniform;
pub use objective::Objective;
pub use tape::Tape;
pub use target::{Draws, Target};

use crate::error::{Error, Result};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::{self as suites, AttackEntry, Goal, Parameters};
use std::sync::{Mutex, PoisonError};
use tch::{Tensor, no_grad_guard};

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
    let draws = match target.draws {
        Draws::Keyed(seed) if spec.reference_rng() => Draws::Stream(seed),
        draws => draws,
    };
    let replays = matches!(draws, Draws::Stream(_));
    let _turn = replays.then(|| STREAM.lock().unwrap_or_else(PoisonError::into_inner));
    let target = target
        .drawing(draws, spec.eot() as u32)
        .at_most(spec.most_passes());
    let Some(goals) = goals(spec.goal(), &target)? else {
        let points = dispatch(spec, &target, teacher)?;
        // No image is made of what is no number, whatever the model's gradients were.
        return Ok(points.where_self(&points.isfinite(), &target.images));
    };
    let target = target.towards(goals);
    let points = dispatch(spec, &target, teacher)?;
    // What is taken for a third class is not handed on: it would count as a success.
    let reached = target.verdict(&points)?;
    Ok(points.where_self(&ball::per_image(&reached), &target.images))
}

/// The class that each image is to be taken for, `[N]`; nothing where any wrong one will do.
fn goals(goal: Goal, target: &Target<'_>) -> Result<Option<Tensor>> {
    Ok(match goal {
        Goal::Any => None,
        Goal::Class(class) => {
            let classes = target.classes()?;
            if class as i64 >= classes {
                return Err(Error::Incompatible(format!(
                    "target={class}: the model has {classes} classes, the last is {}",
                    classes - 1
                )));
            }
            Some(target.labels.full_like(class as i64))
        }
        Goal::Second => {
            let logits = target.logits(&target.images)?;
            Some(objective::true_class_last(&logits, &target.labels).argmax(1, false))
        }
    })
}

/// Attacks without gradients the images that an attack has left right because no gradient of theirs could
/// be followed, inside the same ball: `points` `[N, 3, H, W]` are the attack's, and come back with what was
/// found. What it cost is on the account as well. (Nothing is done for attacks that
/// [`AttackSpec::without_gradients`] has no other for.)
///
/// # Errors
/// When libtorch refuses an operation.
pub fn search_blind(spec: &AttackSpec, target: &Target<'_>, points: Tensor) -> Result<Tensor> {
    let Some(search) = spec.without_gradients() else {
        return Ok(points);
    };
    if spec.goal() != Goal::Any {
        return Ok(points);
    }
    let rows = target.blind();
    if rows.numel() == 0 {
        return Ok(points);
    }
    let _guard = no_grad_guard();
    let blind = target.drawing(target.draws, spec.eot() as u32).take(&rows);
    let fooled =
        |target: &Target<'_>, points: &Tensor| Ok::<_, Error>(target.fooled(&target.logits(points)?));
    let broken = fooled(&blind, &points.index_select(0, &rows))?;
    blind.take(&broken.nonzero().squeeze_dim(1)).broke_itself();
    let rows = rows.index_select(0, &broken.logical_not().nonzero().squeeze_dim(1));
    let left = target.take(&rows);
    let found = run(&search, &left, None)?;
    let broken = left.fooled(&left.logits(&found)?).nonzero().squeeze_dim(1);
    Ok(points.index_copy(0, &rows.index_select(0, &broken), &found.index_select(0, &broken)))
}

/// An attack's computation, on its typed parameters.
trait Attack: Parameters {
    /// One image `[3, H, W]` inside ball and box for each of the target's. `objective` is the loss that
    /// the attack names, for those that follow one.
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor>;
}

type Run = fn(&AttackSpec, &Target<'_>, &Objective) -> Result<Tensor>;

/// Each attack of the registry with its computation.
static IMPLEMENTED: &[(&AttackEntry, Run)] = &[
    (&suites::fgsm::FGSM, typed::<suites::fgsm::Fgsm>),
    (&suites::fgsm::RFGSM, typed::<suites::fgsm::Rfgsm>),
    (&suites::fgsm::FFGSM, typed::<suites::fgsm::Ffgsm>),
    (&suites::fgsm::NFGSM, typed::<suites::fgsm::Nfgsm>),
    (&suites::pgd::BIM, typed::<suites::pgd::Bim>),
    (&suites::pgd::PGD, typed::<suites::pgd::Pgd>),
    (&suites::mifgsm::MIFGSM, typed::<suites::mifgsm::Mifgsm>),
    (&suites::noise::NOISE, typed::<suites::noise::Noise>),
    (&suites::apgd::APGD_CE, typed::<suites::apgd::Apgd>),
    (&suites::apgd::APGD_DLR, typed::<suites::apgd::Apgd>),
    (&suites::apgd::APGD_PM, typed::<suites::apgd::Apgd>),
    (&suites::apgd::APGD_T, typed::<suites::apgd::ApgdTargeted>),
    (&suites::pma::PMA, typed::<suites::pma::Pma>),
    (
        &suites::linear_region::LINEAR_REGION,
        typed::<suites::linear_region::LinearRegion>,
    ),
    (&suites::fab::FAB, typed::<suites::fab::Fab>),
    (&suites::fab::FAB_T, typed::<suites::fab::FabTargeted>),
    (&suites::square::SQUARE, typed::<suites::square::Square>),
    (
        &suites::autoattack::AUTOATTACK,
        typed::<suites::autoattack::AutoAttack>,
    ),
    (
        &suites::autoattack::AUTOATTACK_PLUS,
        typed::<suites::autoattack::AutoAttackPlus>,
    ),
    (&suites::cw::CW, typed::<suites::cw::Cw>),
    (&suites::cw_linf::CW_LINF, typed::<suites::cw_linf::CwLinf>),
    (&suites::deepfool::DEEPFOOL, typed::<suites::deepfool::DeepFool>),
    (
        &suites::superdeepfool::SUPERDEEPFOOL,
        typed::<suites::superdeepfool::SuperDeepFool>,
    ),
    (&suites::ddn::DDN, typed::<suites::ddn::Ddn>),
    (&suites::pdgd::PDGD, typed::<suites::pdgd::Pdgd>),
    (&suites::pdgd::PDPGD, typed::<suites::pdgd::Pdpgd>),
    (&suites::alma::ALMA, typed::<suites::alma::Alma>),
    (&suites::fmn::FMN, typed::<suites::fmn::Fmn>),
    (
        &suites::sigma_zero::SIGMA_ZERO,
        typed::<suites::sigma_zero::SigmaZero>,
    ),
    (&suites::radius::RADIUS, typed::<suites::radius::Radius>),
    (&suites::overflow::OVERFLOW, typed::<suites::overflow::Overflow>),
];

fn typed<A: Attack>(spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
    let attack: A = spec.read().ok_or_else(|| not_implemented(spec))?;
    attack.run(spec, target, objective)
}

fn not_implemented(spec: &AttackSpec) -> Error {
    Error::Incompatible(format!("{spec}: this program has no computation of this attack"))
}

/// One attack, or one of an attack's parts. The reference seeds its stream for each anew.
fn dispatch(spec: &AttackSpec, target: &Target<'_>, teacher: Option<&Tensor>) -> Result<Tensor> {
    let (_, run) = IMPLEMENTED
        .iter()
        .find(|(entry, _)| entry.name == spec.name())
        .ok_or_else(|| not_implemented(spec))?;
    if spec.fewest_classes() > 2
        && let Some(why) = spec.lacks_classes(target.classes()? as usize)
    {
        return Err(Error::Incompatible(format!("{spec}: this model {why}")));
    }
    if let Draws::Stream(seed) = target.draws {
        tch::manual_seed(seed as i64);
    }
    run(spec, target, &Objective::named(spec, target, teacher)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::attack::CATALOGUE;

    #[test]
    fn every_attack_of_the_registry_has_its_computation() {
        let implemented = IMPLEMENTED.iter().map(|(entry, _)| entry.name);
        assert!(implemented.eq(CATALOGUE.iter().map(|entry| entry.name)));
    }
}
