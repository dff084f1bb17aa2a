//! Primal-dual attacks (Matyasko and Chau, arXiv 2106.01538): the weight of the distance against that of
//! the constraint is a variable of its own, raised while the image is adversarial and lowered while it is
//! not. PDGD descends on both terms; PDPGD descends on the constraint and takes the distance's proximal
//! step, which norms without a useful gradient have as well.

use super::active::ActiveRows;
use super::adam::Adam;
use super::ball::{length, per_image, soft_threshold};
use super::nearest::Nearest;
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::pdgd::{Pdgd, Pdpgd};
use tch::{Kind, Tensor, no_grad_guard};

/// The last learning rates as shares of the first: of the image, and of the weights (the authors' constants,
/// as those below).
const LAST_RATE: f64 = 0.01;
const LAST_DUAL_RATE: f64 = 0.1;
const DUAL_RATE: f64 = 0.1;

/// The first ratio of both weights, and the largest.
const FIRST_RATIO: f64 = 0.01;
const LARGEST_RATIO: f64 = 1e6;

/// What is kept of the mean weights at a step.
const KEPT: f64 = 0.9;

/// Proximal steps after each step of Adam, and the relative change at which an image needs no more.
const PROXIMAL_STEPS: usize = 5;
const SETTLED: f64 = 0.01;

impl Attack for Pdgd {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::L2, |active, nearest| {
            primal_dual(active, nearest, self.steps, |gradient, delta, walk| {
                let [far, fooling] = &walk.weights;
                let size = length(delta, Norm::L2);
                let outwards = delta / per_image(&size.masked_fill(&size.eq(0.0), 1.0));
                let gradient = gradient * per_image(fooling) + outwards * per_image(far);
                delta - walk.adam.step(&gradient).0 * walk.rate
            })
        })
    }
}

impl Attack for Pdpgd {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, self.norm, |active, nearest| {
            primal_dual(active, nearest, self.steps, |gradient, delta, walk| {
                let (step, root) = walk.adam.step(gradient);
                let moved = inside(&active.images, &(delta - step * walk.rate));
                let largest = length(&root, Norm::Linf);
                let [far, fooling] = &walk.weights;
                let strength = far / fooling * walk.rate / &largest;
                let metric = root / per_image(&largest);
                nearer(&active.images, &moved, &metric, &strength, self.norm)
            })
        })
    }
}

/// What a step may use beside gradient and perturbation.
struct Walk {
    adam: Adam,
    /// Adam's learning rate at this step.
    rate: f64,
    /// The weights `[M]` of the distance and of the constraint.
    weights: [Tensor; 2],
}

/// Steps on `softplus(z_y - max z)`; `step` makes a perturbation of the one before.
fn primal_dual(
    active: &ActiveRows<'_>,
    nearest: &mut Nearest,
    steps: usize,
    step: impl Fn(&Tensor, &Tensor, &mut Walk) -> Tensor,
) -> Result<()> {
    let (images, unit) = (&active.images, nearest.unit(active));
    let bound = LARGEST_RATIO.ln();
    let mut delta = images.zeros_like();
    let mut dual = nearest.known(active).full_like(-FIRST_RATIO.ln());
    let mut walk = Walk {
        adam: Adam::new(images),
        rate: 0.0,
        weights: weights(&dual),
    };
    for made in 0..steps {
        let points = (images + &delta).clamp(0.0, 1.0);
        let slope = active.slope_of(&points, |logits| -margin(&(logits * &unit), &active.labels))?;
        let _guard = no_grad_guard();
        let _ = nearest.offer(active, &points, &active.fooled(&slope.logits));
        let gap = -margin(&(&slope.logits * &unit), &active.labels);
        // The gradient of softplus.
        let gradient = (slope.gradient * per_image(&sigmoid(&gap))).nan_to_num(0.0, 0.0, 0.0);
        walk.rate = 0.1 * LAST_RATE.powf(made as f64 / steps as f64);
        delta = inside(images, &step(&gradient, &delta, &mut walk));
        let left = (steps - 1 - made) as f64 / (steps - 1).max(1) as f64;
        let rate = DUAL_RATE * (left * (1.0 - LAST_DUAL_RATE) + LAST_DUAL_RATE);
        dual = (dual + gap.sign().nan_to_num(0.0, 0.0, 0.0) * rate).clamp(-bound, bound);
        for (mean, now) in walk.weights.iter_mut().zip(weights(&dual)) {
            *mean = &*mean * KEPT + now * (1.0 - KEPT);
        }
    }
    Ok(())
}

/// The soft-max of (0, dual).
fn weights(dual: &Tensor) -> [Tensor; 2] {
    [sigmoid(&-dual), sigmoid(dual)]
}

/// By way of double precision: libtorch's vectors and what is left over of them round differently, and an
/// image's place in its batch would be seen.
fn sigmoid(values: &Tensor) -> Tensor {
    values.to_kind(Kind::Double).sigmoid().to_kind(values.kind())
}

/// The part of a perturbation that stays in the box.
fn inside(images: &Tensor, delta: &Tensor) -> Tensor {
    (images + delta).clamp(0.0, 1.0) - images
}

/// Proximal steps from `moved` in Adam's metric (Melchior et al., arXiv 1910.10094); an image that has
/// settled makes no more.
fn nearer(images: &Tensor, moved: &Tensor, metric: &Tensor, strength: &Tensor, norm: Norm) -> Tensor {
    let mut delta = moved.shallow_clone();
    let mut going = strength.isnan().logical_not();
    for _ in 0..PROXIMAL_STEPS {
        let next = proximal(&(&delta - metric * (&delta - moved)), strength, norm);
        let next = inside(images, &next).where_self(&per_image(&going), &delta);
        let change = length(&(&next - &delta), Norm::L2) / length(&next, Norm::L2);
        // All of an image may be zero: 0 / 0 is settled, x / 0 is not.
        going = going.logical_and(&change.nan_to_num(0.0, None, None).gt(SETTLED));
        delta = next;
    }
    delta
}

/// `argmin_z |z - v|^2 / 2 + strength |z|` in a norm, strengths `[M]`.
fn proximal(v: &Tensor, strength: &Tensor, norm: Norm) -> Tensor {
    let size = v.abs();
    match norm {
        Norm::L2 => {
            let share: Tensor = 1.0 - strength / length(v, Norm::L2);
            v * per_image(&share.nan_to_num(0.0, None, 0.0).clamp_min(0.0))
        }
        // The largest values are cut to one height, and what is cut off adds up to the strength.
        Norm::Linf => {
            let flat = size.flatten(1, -1).to_kind(Kind::Double);
            let height = soft_threshold(&flat, &flat, &strength.to_kind(Kind::Double).unsqueeze(1));
            v.sign() * size.minimum(&per_image(&height.to_kind(size.kind())))
        }
        Norm::L1 | Norm::L0 => v.sign() * (size - per_image(strength)).clamp_min(0.0),
    }
}
