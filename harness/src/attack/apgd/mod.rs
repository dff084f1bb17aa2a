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
use super::draws::RowKey;
use super::target::Target;
use super::targets::Targets;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::apgd::{Apgd, ApgdTargeted};
use search::search;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Keeps a division by a length finite (the constant of the AutoAttack reference).
const TINY: f64 = 1e-12;

impl Attack for ApgdTargeted {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let one_class = Apgd {
            norm: self.norm,
            eps: self.eps,
            steps: self.steps,
            restarts: self.restarts,
        };
        let clean = target.logits(&target.images)?;
        let mut active = ActiveRows::right(target, &clean);
        if active.is_empty() {
            return Ok(active.into_points());
        }
        let aims = Targets::of(&active, &clean, self.norm, self.order, self.targets)?;
        for place in 0..aims.classes.size()[1] {
            let [classes, ranks, fresh] = aims.at(place);
            for restart in 0..self.restarts as u64 {
                let new = active.gather(&fresh);
                active.only(&new, |active| {
                    let objective = Objective::TargetedDlr {
                        labels: active.labels.shallow_clone(),
                        targets: active.gather(&classes),
                    };
                    let ranks = whole(&active.gather(&ranks));
                    // A class has the same draws in every order.
                    let key = |row: usize| vec![restart, ranks[row]];
                    let _ = one_run(&one_class, spec.name(), active, &objective, &key)?;
                    Ok(())
                })?;
            }
        }
        Ok(active.into_points())
    }
}

impl Attack for Apgd {
    /// An image that is wrong already, or that a run fooled, takes no part in the next runs; each keeps
    /// its first adversarial, the others come back as they were.
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let mut active = ActiveRows::right(target, &target.logits(&target.images)?);
        for restart in 0..self.restarts as u64 {
            if active.is_empty() {
                break;
            }
            let objective = objective.select(active.rows());
            let _ = one_run(self, spec.name(), &mut active, &objective, &|_| vec![restart])?;
        }
        Ok(active.into_points())
    }
}

/// Whole numbers `[N]` as a list.
fn whole(numbers: &Tensor) -> Vec<u64> {
    let mut values = vec![0_i64; numbers.numel()];
    numbers
        .to_device(Device::Cpu)
        .copy_data(&mut values, numbers.numel());
    values.into_iter().map(|value| value as u64).collect()
}

/// One random start and its search: images that it fools leave; of the others the points of highest loss.
pub(super) fn one_run(
    attack: &Apgd,
    name: &str,
    active: &mut ActiveRows<'_>,
    objective: &Objective,
    key: RowKey<'_>,
) -> Result<Tensor> {
    let Apgd { norm, eps, steps, .. } = *attack;
    if norm == Norm::L1 {
        return l1::shrinking(name, active, objective, eps, steps, key);
    }
    let eps = alike(active, eps);
    within(name, active, objective, norm, &eps, steps, key)
}

/// The same in balls of radii `eps` `[N]`, one an image (not for L1).
pub(super) fn within(
    purpose: &str,
    active: &mut ActiveRows<'_>,
    objective: &Objective,
    norm: Norm,
    eps: &Tensor,
    steps: usize,
    key: RowKey<'_>,
) -> Result<Tensor> {
    let start = on_the_sphere(purpose, active, norm, eps, key);
    search(active, objective, norm, eps, steps, &start, true)
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
fn on_the_sphere(purpose: &str, target: &Target<'_>, norm: Norm, eps: &Tensor, key: RowKey<'_>) -> Tensor {
    let _guard = no_grad_guard();
    let drawn = match norm {
        Norm::Linf => target.uniform_each(1.0, purpose, key),
        _ => target.normal_each(purpose, key),
    };
    let unit = &drawn / per_image(&(length(&drawn, norm) + TINY));
    (&target.images + unit * per_image(eps)).clamp(0.0, 1.0)
}

/// Points of the search before the ball is applied: momentum 0.75, none at the first step.
fn step(points: &Tensor, previous: &Tensor, along: &Tensor, ball: &Ball, first: bool) -> Tensor {
    let weight = if first { 1.0 } else { 0.75 };
    let ahead = ball.project(&(points + along));
    ball.project(&(points + (ahead - points) * weight + (points - previous) * (1.0 - weight)))
}
