//! The fast minimum-norm attack (Pintor et al., NeurIPS 2021): normalised gradient steps on
//! the logit margin inside a ball whose radius shrinks while the image is adversarial and
//! grows while it is not.

use super::active::ActiveRows;
use super::ball::{Ball, dual, length, per_image};
use super::nearest::Nearest;
use super::scale;
use super::target::{Slope, Target};
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::fmn::Fmn;
use std::f64::consts::PI;
use tch::{Tensor, no_grad_guard};

/// Last step size as a share of the first (the authors' default).
const LAST_STEP: f64 = 0.01;

/// Last share by which the radius changes (the authors' default).
const LAST_GAMMA: f64 = 0.001;

impl Attack for Fmn {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, self.norm, |active, nearest| search(active, self, nearest))
    }
}

/// Offers `nearest` what the attack meets from images that the model must get right. No image's path
/// depends on another's.
pub(super) fn search(active: &ActiveRows<'_>, settings: &Fmn, nearest: &mut Nearest) -> Result<()> {
    let images = &active.images;
    let objective = Objective::Margin(active.labels.shallow_clone());
    let farthest = length(&images.maximum(&(1.0 - images)), settings.norm);
    let mut radius = farthest.full_like(f64::INFINITY);
    let mut points = images.shallow_clone();
    for step in 0..=settings.steps {
        if step == settings.steps {
            // The last step's verdict: a forward pass is enough.
            let fooled = active.surely_fooled(&active.logits(&points)?);
            let _ = nearest.offer(active, &points, &fooled);
            break;
        }
        let slope = active.slope(&points, &objective)?;
        let _guard = no_grad_guard();
        let fooled = active.fooled(&slope.logits);
        let sure = active.surely_fooled(&slope.logits);
        let distance = nearest.offer(active, &points, &sure);
        let best = nearest.known(active);
        let cosine = (1.0 + (PI * step as f64 / settings.steps as f64).cos()) / 2.0;
        let gamma = LAST_GAMMA + (settings.gamma - LAST_GAMMA) * cosine;
        let alpha = settings.alpha * (LAST_STEP + (1.0 - LAST_STEP) * cosine);
        radius = adapted(&radius, &slope, &fooled, &distance, &best, gamma, settings.norm).minimum(&farthest);
        // Where a model gives no usable gradient the point stays, and the radius goes on.
        let gradient = scale::unit(&slope.gradient);
        let size = scale::nonzero(&length(&gradient, Norm::L2));
        let stepped = &points + gradient * per_image(&(alpha / size));
        points = Ball::each(images, &radius, settings.norm).project(&stepped);
    }
    Ok(())
}

/// The next radius `[N]`: less by a share while adversarial and never beyond the best; more
/// by a share when an adversarial is known; until one is, the distance at which the margin,
/// taken as linear, vanishes (ibid., algorithm 1, lines 5 to 10), and a share more: without
/// that the path can end on the boundary itself, where f32 rounds all further steps away.
fn adapted(
    radius: &Tensor,
    slope: &Slope,
    fooled: &Tensor,
    distance: &Tensor,
    best: &Tensor,
    gamma: f64,
    norm: Norm,
) -> Tensor {
    let gradient = scale::finite(&slope.gradient);
    let by = scale::of(&gradient);
    let away = slope.loss.abs() / &by / length(&(gradient / per_image(&by)), dual(norm));
    let guessed = (distance + away).nan_to_num(f64::INFINITY, f64::INFINITY, 0.0);
    let grown = radius.where_self(&best.isfinite(), &guessed) * (1.0 + gamma);
    (radius * (1.0 - gamma)).minimum(best).where_self(fooled, &grown)
}
