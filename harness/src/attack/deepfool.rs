//! DeepFool (Moosavi-Dezfooli et al., CVPR 2016): a step to the nearest boundary of the
//! linearised model, again and again until the class changes.

use super::active::ActiveRows;
use super::ball::{dual, length, per_image};
use super::nearest::Nearest;
use super::objective::true_class_last;
use super::scale;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::deepfool::DeepFool;
use tch::{Kind, Tensor, no_grad_guard};

/// Every step goes this much further (L2 length; the authors' code). Without it the path can
/// end on the boundary itself, with steps that f32 rounds away, and never cross it. A Linf
/// step is lengthened by the sign vector of the same L2 length.
const NUDGE: f64 = 1e-4;

/// No image is so far from another: such a boundary is no boundary.
const FAR: f64 = 1e30;

impl Attack for DeepFool {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, self.norm, |active, nearest| {
            let (points, fooled) = path(self, active, &active.images)?;
            let _ = nearest.offer(active, &points, &fooled);
            Ok(())
        })
    }
}

/// The first adversarial on each image's path from `start`, else its last point, and which are adversarial
/// (`[M]` bool); an image leaves when it is there.
pub(super) fn path(attack: &DeepFool, rows: &Target<'_>, start: &Tensor) -> Result<(Tensor, Tensor)> {
    let (norm, reach) = (attack.norm, 1.0 + attack.overshoot);
    let mut active = ActiveRows::all(rows);
    let mut candidates = None;
    let mut start = start.shallow_clone();
    let mut sum = start.zeros_like();
    let mut points = start.shallow_clone();
    for _ in 0..attack.steps {
        if active.is_empty() {
            break;
        }
        let classes: &Tensor = match &mut candidates {
            Some(classes) => classes,
            none => none.insert(ranked(&active, &start, attack.candidates)?),
        };
        let made = active.in_batches(&[&points, classes], |part, rows| {
            let (points, classes) = (&rows[0], &rows[1]);
            let labels = part.labels.unsqueeze(1);
            let differences = |logits: &Tensor| {
                let all = logits.gather(1, classes, false) - logits.gather(1, &labels, false);
                all.unbind(1)
            };
            let (mut losses, mut gradients) = (Vec::new(), Vec::new());
            part.slopes_of(points, differences, |loss, gradient| {
                losses.push(loss);
                gradients.push(gradient);
            })?;
            let _guard = no_grad_guard();
            let step = step(&Tensor::stack(&losses, 1), &Tensor::stack(&gradients, 1), norm);
            Ok(vec![step])
        })?;
        let _guard = no_grad_guard();
        sum += &made[0];
        points = (&start + &sum * reach).clamp(0.0, 1.0);
        let fooled = active.surely_fooled(&active.logits(&points)?);
        active.write(&points);
        active.leave(&fooled, &mut [&mut start, &mut sum, &mut points, &mut candidates]);
    }
    let fooled = active.flags().logical_not();
    Ok((active.into_points(), fooled))
}

/// The likeliest wrong classes of each point, `[N, candidates - 1]`: the true class is the remaining
/// candidate.
fn ranked(target: &Target<'_>, points: &Tensor, candidates: usize) -> Result<Tensor> {
    let logits = target.logits(points)?;
    let others = logits.size()[1] - 1;
    let count = (candidates as i64 - 1).clamp(1, others);
    let wrong = true_class_last(&logits, &target.labels);
    Ok(wrong.topk(count, 1, true, true).1)
}

/// The shortest step to one of the linearised boundaries `losses + gradients * step = 0`,
/// losses `[N, K]`, gradients `[N, K, 3, H, W]` (ibid., eq. 8 for L2, section 3.4 for Linf).
fn step(losses: &Tensor, gradients: &Tensor, norm: Norm) -> Tensor {
    let shape = gradients.size();
    let (n, k) = (shape[0], shape[1]);
    let gradients = scale::finite(gradients).flatten(0, 1);
    let by = scale::of(&gradients);
    let gradients = gradients / per_image(&by);
    let sizes = length(&gradients, dual(norm)).reshape([n, k]);
    let gradients = gradients.reshape(&shape);
    // A boundary without a slope, or at no distance that is a number, is nowhere.
    let distances = (losses.abs() / by.reshape([n, k]) / &sizes).nan_to_num(f64::INFINITY, None, None);
    let (distance, best) = distances.min_dim(1, true);
    let values = shape[2..].iter().product::<i64>() as f64;
    let nudged = match norm {
        Norm::Linf => &distance + NUDGE / values.sqrt(),
        _ => &distance + NUDGE,
    };
    let distance = nudged.where_self(&distance.lt(FAR), &distance.zeros_like());
    let size = scale::nonzero(&sizes.gather(1, &best, false));
    let place = best.reshape([n, 1, 1, 1, 1]);
    let mut one = shape.clone();
    one[1] = 1;
    let gradient = gradients
        .gather(1, &place.expand(&one, false), false)
        .squeeze_dim(1);
    if norm == Norm::Linf {
        gradient.sign() * per_image(&distance)
    } else {
        gradient * per_image(&(distance / size))
    }
    .to_kind(Kind::Float)
}
