//! Square attack (Andriushchenko et al., ECCV 2020): random search over square patches that
//! looks at nothing but logits.
//!
//! A change of the perturbation is kept when it lowers the margin of the true class. Each
//! image draws its own patches from its own generator; `reference_rng=true` replays the
//! reference, where a batch shares them.

mod proposals;
mod sampler;

use super::active::ActiveRows;
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use proposals::Proposals;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::square::Square;
use sampler::PatchSampler;
use tch::{Tensor, no_grad_guard};

impl Attack for Square {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        square(self, target)
    }
}

/// The adversarial image where one was found, else the clean image.
fn square(attack: &Square, target: &Target<'_>) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let queries = attack.queries;
    let mut active = ActiveRows::right(target, &target.logits(&target.images)?);
    let mut stream = target.stream();
    for restart in 0..attack.restarts as u64 {
        if active.is_empty() {
            break;
        }
        // The reference counts neither the clean pass nor the start.
        let budget = match (&stream, restart) {
            (Some(_), _) => queries + 1,
            (None, 0) => queries - 1,
            (None, _) => queries,
        };
        let mut sampler = match stream.take() {
            Some(stream) => PatchSampler::Stream(stream),
            None => PatchSampler::keyed(&active, restart),
        };
        let mut proposals = Proposals::new(&active, attack.norm, attack.eps);
        let _ = search(&mut active, &mut proposals, &mut sampler, attack.p, budget)?;
        if let PatchSampler::Stream(used) = sampler {
            stream = Some(used);
        }
    }
    Ok(active.into_points())
}

/// At most `budget` queries an image: the start is the first. An image leaves when fooled. The best points
/// of those that stand.
fn search(
    active: &mut ActiveRows<'_>,
    proposals: &mut Proposals,
    sampler: &mut PatchSampler,
    share: f64,
    budget: usize,
) -> Result<Tensor> {
    if budget == 0 {
        return Ok(active.images.shallow_clone());
    }
    let mut points = proposals.start(sampler);
    let logits = active.logits(&points)?;
    let mut loss = -margin(&logits, &active.labels);
    let mut fooled = active.fooled(&logits);
    for iteration in 0..budget {
        active.write_where(&fooled, &points);
        active.leave(&fooled, &mut [&mut points, &mut loss, proposals, sampler]);
        if active.is_empty() || iteration + 1 == budget {
            break;
        }
        let candidates = proposals.next(&points, patch_share(share, iteration), sampler);
        let logits = active.logits(&candidates)?;
        let its_loss = -margin(&logits, &active.labels);
        fooled = active.fooled(&logits);
        let better = its_loss.lt_tensor(&loss);
        loss = its_loss.where_self(&better, &loss);
        let taken = better.logical_or(&fooled).reshape([-1, 1, 1, 1]);
        points = candidates.where_self(&taken, &points);
    }
    Ok(points)
}

/// The share of the pixels a patch covers: halved after these iterations, which are those
/// of the paper's budget of 10,000 and, as in AutoAttack, not scaled to another budget.
fn patch_share(first: f64, iteration: usize) -> f64 {
    const HALVED_AFTER: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
    let halvings = HALVED_AFTER.iter().filter(|&&last| iteration > last).count();
    first / f64::from(1_u32 << halvings)
}

#[cfg(test)]
mod tests;
