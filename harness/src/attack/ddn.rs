//! Decoupled direction and norm (Rony et al., CVPR 2019, arXiv 1811.09600): gradient steps on cross
//! entropy, each put back on a sphere whose radius shrinks while the image is adversarial and grows while
//! it is not.

use super::ball::{length, per_image};
use super::nearest::Nearest;
use super::objective::log_odds;
use super::target::Target;
use super::{Attack, Objective, scale};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::ddn::Ddn;
use std::f64::consts::PI;
use tch::{Kind, Tensor, no_grad_guard};

/// The last step as a share of the first, and the largest value of a pixel (the authors' constants).
const LAST_STEP: f64 = 0.01;
const LEVELS: f64 = 255.0;

impl Attack for Ddn {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::L2, |active, nearest| {
            let (images, unit) = (&active.images, nearest.unit(active));
            let farthest = length(&images.maximum(&(1.0 - images)), Norm::L2);
            let mut radius = farthest.full_like(self.radius);
            let mut points = images.shallow_clone();
            for step in 0..self.steps {
                let slope = active.slope_of(&points, |logits| log_odds(&(logits * &unit), &active.labels))?;
                let _guard = no_grad_guard();
                let fooled = active.fooled(&slope.logits);
                let _ = nearest.offer(active, &points, &fooled);
                let gradient = scale::unit(&slope.gradient);
                let size = length(&gradient, Norm::L2);
                // Without a direction a random one takes its place.
                let flat = size.eq(0.0);
                let mut along = gradient / per_image(&scale::nonzero(&size));
                if flat.any().int64_value(&[]) == 1 {
                    along = active
                        .normal("ddn", &[step as u64])
                        .where_self(&per_image(&flat), &along);
                }
                let cosine = (1.0 + (PI * step as f64 / self.steps as f64).cos()) / 2.0;
                let delta = points - images + along * (LAST_STEP + (1.0 - LAST_STEP) * cosine);
                let change = fooled.to_kind(Kind::Float) * (-2.0 * self.gamma) + (1.0 + self.gamma);
                radius = (radius * change).minimum(&farthest);
                let factor = &radius / scale::nonzero(&length(&delta, Norm::L2));
                points = (images + delta * per_image(&factor)).clamp(0.0, 1.0);
                if self.quantise {
                    points = (points * LEVELS).round() / LEVELS;
                }
            }
            Ok(())
        })
    }
}
