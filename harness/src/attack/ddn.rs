//! Decoupled direction and norm (Rony et al., CVPR 2019, arXiv 1811.09600): gradient steps on cross
//! entropy, each put back on a sphere whose radius shrinks while the image is adversarial and grows while
//! it is not.

use super::ball::{length, per_image};
use super::nearest::Nearest;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::ddn::Ddn;
use std::f64::consts::PI;
use tch::{Kind, Tensor, no_grad_guard};

/// The last step as a share of the first, and the largest value of a pixel (the authors' constants).
const LAST_STEP: f64 = 0.01;
const LEVELS: f64 = 255.0;

/// A gradient shorter than this has no direction: a random one takes its place.
const FLAT: f64 = 1e-12;

impl Attack for Ddn {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::L2, |active, nearest| {
            let images = &active.images;
            let objective = Objective::CrossEntropy(active.labels.shallow_clone());
            let farthest = length(&images.maximum(&(1.0 - images)), Norm::L2);
            let mut radius = farthest.full_like(self.radius);
            let mut points = images.shallow_clone();
            for step in 0..self.steps {
                let slope = active.slope(&points, &objective)?;
                let _guard = no_grad_guard();
                let fooled = active.fooled(&slope.logits);
                let _ = nearest.offer(active, &points, &fooled);
                let gradient = slope.gradient.nan_to_num(0.0, 0.0, 0.0);
                let size = length(&gradient, Norm::L2);
                let flat = size.lt(FLAT);
                let mut along = gradient / per_image(&size.clamp_min(FLAT));
                if flat.any().int64_value(&[]) == 1 {
                    along = active
                        .normal("ddn", &[step as u64])
                        .where_self(&per_image(&flat), &along);
                }
                let cosine = (1.0 + (PI * step as f64 / self.steps as f64).cos()) / 2.0;
                let delta = points - images + along * (LAST_STEP + (1.0 - LAST_STEP) * cosine);
                let change = fooled.to_kind(Kind::Float) * (-2.0 * self.gamma) + (1.0 + self.gamma);
                radius = (radius * change).minimum(&farthest);
                let scale = &radius / length(&delta, Norm::L2).clamp_min(FLAT);
                points = (images + delta * per_image(&scale)).clamp(0.0, 1.0);
                if self.quantise {
                    points = (points * LEVELS).round() / LEVELS;
                }
            }
            Ok(())
        })
    }
}
