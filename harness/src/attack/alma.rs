//! ALMA (Rony et al., ICCV 2021, arXiv 2011.11857): the augmented Lagrangian of "smallest distance, such
//! that the image is adversarial", its multiplier and penalty adapted for each image at every step.

use super::active::ActiveRows;
use super::ball::{length, per_image};
use super::nearest::Nearest;
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::alma::Alma;
use tch::{Kind, Tensor, no_grad_guard};

/// What the difference of logits must be short of zero by (the authors' constants, as all below).
const TOLERANCE: f64 = 1e-4;
const TINY: f64 = 1e-8;

/// Steps between two looks at the constraint, the share below which it has improved, and the growth of
/// the penalty where it has not.
const EVERY: usize = 10;
const IMPROVED: f64 = 0.95;
const GROWTH: f64 = 1.2;

/// The bounds of the multiplier.
const MULTIPLIER: (f64, f64) = (1e-6, 1e12);

/// Decay of the multiplier's mean and of RMSprop's, and its momentum; the last learning rate as a share.
const DECAY: f64 = 0.9;
const LAST_RATE: f64 = 0.01;

/// Doublings and bisections that look for the first learning rate.
const DOUBLINGS: usize = 60;
const BISECTIONS: usize = 20;

impl Attack for Alma {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, self.norm, |active, nearest| alma(self, active, nearest))
    }
}

fn alma(attack: &Alma, active: &ActiveRows<'_>, nearest: &mut Nearest) -> Result<()> {
    let (images, labels, norm) = (&active.images, &active.labels, attack.norm);
    let unit = nearest.unit(active);
    let mut delta = images.zeros_like();
    let (mut square, mut momentum) = (images.ones_like(), images.zeros_like());
    let mut rate = nearest.known(active).full_like(attack.lr);
    let (mut multiplier, mut penalty) = (rate.ones_like(), rate.ones_like());
    let mut before = rate.zeros_like();
    // The step of the first adversarial; beyond the last while there is none.
    let mut found = rate.full_like((attack.steps + 1) as f64);
    for step in 0..attack.steps {
        let points = (images + &delta).clamp(0.0, 1.0);
        let slope = active.slope_of(&points, |logits| ratio(&(logits * &unit), labels))?;
        let _guard = no_grad_guard();
        let t = ratio(&(&slope.logits * &unit), labels);
        if step == 0 {
            before = t.shallow_clone();
        } else {
            if (step + 1) % EVERY == 0 {
                let known = found.le(attack.steps as f64);
                let settled = known.logical_or(&t.lt_tensor(&(&before * IMPROVED)));
                penalty = penalty.where_self(&settled, &(&penalty * GROWTH));
                before = t.shallow_clone();
            }
            let next = &multiplier * DECAY + slope_of_penalty(&t, &penalty, &multiplier) * (1.0 - DECAY);
            multiplier = next.clamp(MULTIPLIER.0, MULTIPLIER.1);
        }
        let hit = t.lt(0.0).logical_and(&active.fooled(&slope.logits));
        let _ = nearest.offer(active, &points, &hit);
        let first = hit.logical_and(&found.gt(attack.steps as f64));
        found = found.masked_fill(&first, step as f64);
        let weight = slope_of_penalty(&t, &penalty, &multiplier);
        let mut gradient = slope.gradient * per_image(&weight);
        if step > 0 {
            gradient += slope_of_distance(&(&points - images), norm);
        }
        let gradient = gradient.nan_to_num(0.0, 0.0, 0.0);
        if step == 0 && attack.first_distance > 0.0 {
            rate = first_rate(active, &gradient, norm, attack.first_distance);
        }
        let since = (step as f64 - &found).clamp_min(0.0) / (attack.steps as f64 - &found);
        // By way of double precision, where no image's place in its batch is seen.
        let shrunk = (since.to_kind(Kind::Double) * LAST_RATE.ln()).exp();
        let now = &rate * shrunk.to_kind(rate.kind());
        // In the authors' order of operations: last bits decide signs of differences in L1.
        square = square * DECAY + &gradient * (1.0 - DECAY) * &gradient;
        momentum = momentum * DECAY + gradient / (square.sqrt() + TINY);
        delta = (delta - &momentum * per_image(&now) + images).clamp(0.0, 1.0) - images;
    }
    Ok(())
}

/// `(z_y - max z + tolerance) / (z_(1) - z_(3))`, `[N]`: positive wherever the true class leads.
fn ratio(logits: &Tensor, labels: &Tensor) -> Tensor {
    let top = logits.topk(3, 1, true, true).0;
    (TOLERANCE - margin(logits, labels)) / (top.select(1, 0) - top.select(1, 2) + TINY)
}

/// The derivative of the penalty `mu t + mu rho t^2 + rho^2 t^3 / 6` (`t >= 0`), `mu t / (1 - rho t)`.
fn slope_of_penalty(t: &Tensor, rho: &Tensor, mu: &Tensor) -> Tensor {
    let above = mu + mu * rho * t * 2.0 + (rho * t).square() * 0.5;
    let shrink: Tensor = 1.0 - rho * t.clamp_max(0.0);
    let below = mu / shrink.square();
    above.where_self(&t.ge(0.0), &below)
}

/// The length `[M]` by libtorch's own norm, whose order of summation is the authors': the last bit of a length decides the
/// last bisection of the first learning rate, which the least of 20 halves of 1 changes by a ten thousandth.
fn distance(delta: &Tensor, norm: Norm) -> Tensor {
    let order = if norm == Norm::L1 { 1.0 } else { 2.0 };
    delta.flatten(1, -1).norm_scalaropt_dim(order, [1], false)
}

fn slope_of_distance(delta: &Tensor, norm: Norm) -> Tensor {
    match norm {
        Norm::L1 => delta.sign(),
        _ => {
            let size = distance(delta, norm);
            delta / per_image(&size.masked_fill(&size.eq(0.0), 1.0))
        }
    }
}

/// The learning rate `[M]` at which one plain step reaches this distance; of an image without gradient in a
/// random direction. The doubling is bounded: the distance may lie outside the box.
fn first_rate(active: &ActiveRows<'_>, gradient: &Tensor, norm: Norm, target: f64) -> Tensor {
    let random = active.normal("alma", &[]);
    let unit = &random / per_image(&length(&random, Norm::L2).clamp_min(1.0));
    let flat = length(gradient, Norm::L2).le(1e-6);
    let along = unit.where_self(&per_image(&flat), gradient);
    let short = |rate: &Tensor| {
        let points = (&active.images - &along * per_image(rate)).clamp(0.0, 1.0);
        distance(&(points - &active.images), norm).lt(target)
    };
    let mut high = Tensor::ones([active.len() as i64], (along.kind(), along.device()));
    let mut low = high.zeros_like();
    for _ in 0..DOUBLINGS {
        let more = short(&high);
        if more.any().int64_value(&[]) == 0 {
            break;
        }
        low = high.where_self(&more, &low);
        high = (&high * 2.0).where_self(&more, &high);
    }
    for _ in 0..BISECTIONS {
        let middle = (&low + &high) * 0.5;
        let more = short(&middle);
        low = middle.where_self(&more, &low);
        high = high.where_self(&more, &middle);
    }
    (low + high) * 0.5
}
