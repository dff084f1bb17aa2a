//! Square attack (Andriushchenko et al., ECCV 2020): random search over square patches that
//! looks at nothing but logits.
//!
//! A change of the perturbation is kept when it lowers the margin of the true class. Each
//! image draws its own patches from its own generator; `reference_rng=true` replays the
//! reference, where a batch shares them.

mod proposals;
mod sampler;

use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use proposals::Proposals;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::square::Square;
use sampler::PatchSampler;
use tch::{Kind, Tensor, no_grad_guard};

/// The search from one start: the best point of each image and which of them still are
/// classified rightly (`[N]` bool).
struct Found {
    points: Tensor,
    right: Tensor,
}

impl Attack for Square {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        square(self, target)
    }
}

/// The adversarial image where one was found, else the clean image.
fn square(attack: &Square, target: &Target<'_>) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let kept = target.images.copy();
    let queries = attack.queries;
    let clean = target.fooled(&target.logits(&target.images)?);
    let mut rows = clean.logical_not().nonzero().squeeze_dim(1);
    let mut stream = target.stream();
    for restart in 0..attack.restarts as u64 {
        let active = target.take(&rows);
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
        let found = search(&active, &mut proposals, &mut sampler, attack.p, budget)?;
        if let PatchSampler::Stream(used) = sampler {
            stream = Some(used);
        }
        let fooled = found.right.logical_not().nonzero().squeeze_dim(1);
        let _ = kept.shallow_clone().index_copy_(
            0,
            &rows.index_select(0, &fooled),
            &found.points.index_select(0, &fooled),
        );
        rows = rows.index_select(0, &found.right.nonzero().squeeze_dim(1));
    }
    Ok(kept)
}

/// At most `budget` queries an image: the start is the first. An image leaves when fooled.
fn search(
    target: &Target<'_>,
    proposals: &mut Proposals,
    sampler: &mut PatchSampler,
    share: f64,
    budget: usize,
) -> Result<Found> {
    let device = target.images.device();
    let best = target.images.copy();
    let right = Tensor::ones([target.len() as i64], (Kind::Bool, device));
    if budget == 0 {
        return Ok(Found { points: best, right });
    }
    let mut rows = Tensor::arange(target.len() as i64, (Kind::Int64, device));
    let mut active = target.take(&rows);
    let mut points = proposals.start(sampler);
    let logits = active.logits(&points)?;
    let mut loss = -margin(&logits, &active.labels);
    let mut fooled = active.fooled(&logits);
    for iteration in 0..budget {
        if fooled.any().int64_value(&[]) != 0 {
            let gone = fooled.nonzero().squeeze_dim(1);
            let stay = fooled.logical_not().nonzero().squeeze_dim(1);
            let places = rows.index_select(0, &gone);
            let _ = best
                .shallow_clone()
                .index_copy_(0, &places, &points.index_select(0, &gone));
            let _ = right.shallow_clone().index_fill_(0, &places, 0);
            rows = rows.index_select(0, &stay);
            points = points.index_select(0, &stay);
            loss = loss.index_select(0, &stay);
            active = active.take(&stay);
            proposals.keep(&stay);
            sampler.keep(&stay);
        }
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
    let _ = best.shallow_clone().index_copy_(0, &rows, &points);
    Ok(Found { points: best, right })
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
