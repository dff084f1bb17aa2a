//! Square attack (Andriushchenko et al., ECCV 2020): random search over square patches that
//! looks at nothing but logits.
//!
//! A change of the perturbation is kept when it lowers the margin of the true class. Each
//! image draws its own patches from its own generator; `reference_rng=true` replays the
//! reference, where a batch shares them.

mod dice;
mod moves;

use super::objective::margin;
use super::stream::TorchStream;
use super::target::{Draws, Target};
use crate::error::Result;
use dice::Dice;
use moves::Moves;
use rlnet_suites::AttackSpec;
use tch::{Kind, Tensor, no_grad_guard};

/// The search from one start: the best point of each image and which of them still are
/// classified rightly (`[N]` bool).
struct Found {
    points: Tensor,
    right: Tensor,
}

/// Square: the adversarial image where one was found, else the clean image.
pub(super) fn square(spec: &AttackSpec, target: &Target<'_>) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let kept = target.images.copy();
    if target.is_empty() {
        return Ok(kept);
    }
    let compat = spec.word("reference_rng") == "true";
    let queries = spec.count("queries");
    let clean = target.fooled(&target.logits(&target.images)?);
    let mut rows = clean.logical_not().nonzero().squeeze_dim(1);
    let (Draws::Keyed(seed) | Draws::Stream(seed)) = target.draws;
    let mut stream = compat.then(|| TorchStream::new(seed));
    for restart in 0..spec.count("restarts") as u64 {
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
        let mut dice = match stream.take() {
            Some(stream) => Dice::Stream(stream),
            None => Dice::keyed(&active, restart),
        };
        let mut moves = Moves::new(&active, spec.norm(), spec.size("eps"));
        let found = search(&active, &mut moves, &mut dice, spec.number("p"), budget)?;
        if let Dice::Stream(used) = dice {
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
    moves: &mut Moves,
    dice: &mut Dice,
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
    let mut points = moves.start(dice);
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
            moves.keep(&stay);
            dice.keep(&stay);
        }
        if active.is_empty() || iteration + 1 == budget {
            break;
        }
        let candidates = moves.next(&points, patch_share(share, iteration), dice);
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
