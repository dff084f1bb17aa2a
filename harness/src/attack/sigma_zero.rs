//! sigma-zero (Cinà et al., ICLR 2025, arXiv 2402.01879): the fewest changed values. Adam on a smooth
//! count of them, `delta^2 / (delta^2 + sigma)`, and a threshold below which a change is dropped, raised
//! while the image is adversarial and lowered while it is not.

use super::adam::Adam;
use super::ball::{length, per_image};
use super::nearest::Nearest;
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::sigma_zero::SigmaZero;
use std::f64::consts::PI;
use tch::{Tensor, no_grad_guard};

/// The last learning rate as a share of the first, and keeps a division by a gradient's size finite.
const LAST_RATE: f64 = 0.1;
const TINY: f64 = 1e-12;

impl Attack for SigmaZero {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::L0, |active, nearest| {
            let (images, unit) = (&active.images, nearest.unit(active));
            let values = (images.numel() / active.len().max(1)) as f64;
            let (mut delta, mut adam) = (images.zeros_like(), Adam::new(images));
            let mut threshold = nearest.known(active).full_like(self.tau);
            let mut rate = self.lr;
            for step in 0..self.steps {
                let points = (images + &delta).clamp(0.0, 1.0);
                let slope = active.slope_of(&points, |logits| {
                    (-margin(&(logits * &unit), &active.labels)).relu()
                })?;
                let _guard = no_grad_guard();
                let fooled = active.fooled(&slope.logits);
                let _ = nearest.offer(active, &points, &fooled);
                let soft = delta.square() + self.sigma;
                let count = &delta * (2.0 * self.sigma / values) / soft.square();
                let gradient = (slope.gradient + count).nan_to_num(0.0, 0.0, 0.0);
                let size = length(&gradient, Norm::Linf).clamp_min(TINY);
                let (along, _) = adam.step(&(gradient / per_image(&size)));
                delta = (images + delta - along * rate).clamp(0.0, 1.0) - images;
                let cosine = (1.0 + (PI * step as f64 / self.steps as f64).cos()) / 2.0;
                rate = self.lr * (LAST_RATE + (1.0 - LAST_RATE) * cosine);
                let up = fooled.to_kind(threshold.kind()) * 2.0 - 1.0;
                threshold = (threshold + up * (self.factor * rate)).clamp(0.0, 1.0);
                delta = delta.masked_fill(&delta.abs().lt_tensor(&per_image(&threshold)), 0.0);
            }
            Ok(())
        })
    }
}
