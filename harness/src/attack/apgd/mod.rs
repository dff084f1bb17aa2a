//! Auto-PGD (Croce and Hein, ICML 2020, arXiv 2003.01690): no step size to choose, the best
//! point kept. On cross entropy, on DLR, and on targeted DLR, one run a target class; L1 with
//! sparse steps and a radius that shrinks to its size (Croce and Hein, ICML 2021).

mod l1;
mod schedule;
mod search;
mod sparsity;
#[cfg(test)]
mod tests;

use super::active::ActiveRows;
use super::ball::{Ball, length, per_image};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::apgd::{Apgd, ApgdTargeted};
use search::search;
use tch::{Kind, Tensor, no_grad_guard};

/// Keeps a division by a length finite (the constant of the AutoAttack reference).
const TINY: f64 = 1e-12;

impl Attack for Apgd {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        auto_pgd(self, spec.name(), target, Aim::Loss(objective))
    }
}

impl Attack for ApgdTargeted {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let one_class = Apgd {
            norm: self.norm,
            eps: self.eps,
            steps: self.steps,
            restarts: self.restarts,
        };
        auto_pgd(&one_class, spec.name(), target, Aim::Targets(self.targets))
    }
}

/// What the runs of Auto-PGD maximise.
enum Aim<'a> {
    /// A loss.
    Loss(&'a Objective),
    /// The targeted DLR loss, for so many of the likeliest wrong classes in turn.
    Targets(usize),
}

/// An image that is wrong already, or that a run fooled, takes no part in the next runs; each keeps
/// its first adversarial, the others come back as they were.
fn auto_pgd(attack: &Apgd, name: &str, target: &Target<'_>, aim: Aim<'_>) -> Result<Tensor> {
    let clean = target.logits(&target.images)?;
    let classes = clean.size()[1];
    let mut active = ActiveRows::right(target, &clean);
    // Likeliest first; equal logits in the order of the classes, as in every prediction.
    let ranking = clean.sort_stable(true, 1, true).1;
    let ranks: Vec<Option<i64>> = match aim {
        Aim::Targets(targets) => (1..=(targets as i64).min(classes - 1)).map(Some).collect(),
        Aim::Loss(_) => vec![None],
    };
    for rank in ranks {
        for restart in 0..attack.restarts as u64 {
            if active.is_empty() {
                break;
            }
            let objective = match (&aim, rank) {
                (Aim::Loss(objective), _) => objective.select(active.rows()),
                (Aim::Targets(_), rank) => Objective::TargetedDlr {
                    labels: active.labels.shallow_clone(),
                    targets: active.gather(&ranking).select(1, rank.unwrap_or(1)),
                },
            };
            let mut key = vec![restart];
            key.extend(rank.map(|rank| rank as u64));
            one_run(attack, name, &mut active, &objective, &key)?;
        }
    }
    Ok(active.into_points())
}

/// One random start and its search.
fn one_run(
    attack: &Apgd,
    name: &str,
    active: &mut ActiveRows<'_>,
    objective: &Objective,
    key: &[u64],
) -> Result<()> {
    let Apgd { norm, eps, steps, .. } = *attack;
    if norm == Norm::L1 {
        return l1::shrinking(name, active, objective, eps, steps, key);
    }
    let eps = alike(active, eps);
    within(name, active, objective, norm, &eps, steps, key)
}

/// One random start and its search in balls of radii `eps` `[N]`, one an image (not for L1): images that
/// it fools leave.
pub(super) fn within(
    purpose: &str,
    active: &mut ActiveRows<'_>,
    objective: &Objective,
    norm: Norm,
    eps: &Tensor,
    steps: usize,
    key: &[u64],
) -> Result<()> {
    let start = on_the_sphere(purpose, active, norm, eps, key);
    let _ = search(active, objective, norm, eps, steps, &start, true)?;
    Ok(())
}

/// The same radius for every image, `[N]`.
fn alike(target: &Target<'_>, radius: f64) -> Tensor {
    Tensor::full(
        [target.len() as i64],
        radius,
        (Kind::Float, target.images.device()),
    )
}

/// A random direction scaled to the sphere of radius eps, then the box.
fn on_the_sphere(purpose: &str, target: &Target<'_>, norm: Norm, eps: &Tensor, key: &[u64]) -> Tensor {
    let _guard = no_grad_guard();
    let drawn = match norm {
        Norm::Linf => target.uniform(1.0, purpose, key),
        _ => target.normal(purpose, key),
    };
    let unit = &drawn / per_image(&(length(&drawn, norm) + TINY));
    (&target.images + unit * per_image(eps)).clamp(0.0, 1.0)
}

/// The steepest direction of unit length. Each gradient is first divided by its largest
/// value: a tiny gradient (a saturated softmax) must not be taken for none. A gradient that
/// is not a number moves nothing.
fn steepest(gradient: &Tensor, norm: Norm) -> Tensor {
    let gradient = gradient.nan_to_num(0.0, None, None);
    if norm == Norm::Linf {
        return gradient.sign();
    }
    let largest = length(&gradient, Norm::Linf);
    let divisor = largest.ones_like().where_self(&largest.eq(0.0), &largest);
    let scaled = gradient / per_image(&divisor);
    &scaled / per_image(&(length(&scaled, norm) + TINY))
}

/// Points of the search before the ball is applied: momentum 0.75, none at the first step.
fn step(points: &Tensor, previous: &Tensor, along: &Tensor, ball: &Ball, first: bool) -> Tensor {
    let weight = if first { 1.0 } else { 0.75 };
    let ahead = ball.project(&(points + along));
    ball.project(&(points + (ahead - points) * weight + (points - previous) * (1.0 - weight)))
}
