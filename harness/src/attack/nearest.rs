//! The nearest adversarial of each image seen so far: what a minimum-norm attack hands on.

use super::ball::{length, per_image};
use super::target::Target;
use crate::error::{Error, Result};
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// One point an image: its nearest adversarial, or the clean image while none is known.
#[derive(Debug)]
pub struct Nearest {
    /// `[N, 3, H, W]`, in the box.
    pub points: Tensor,
    /// `[N]`: their distances from the images; 0 for an image that the model gets wrong
    /// without any attack, infinite while nothing was found.
    pub distance: Tensor,
    norm: Norm,
}

impl Nearest {
    /// The clean images' verdicts, and the rows `[M]` int64 of those that are to be attacked:
    /// the ones that the model gets right.
    ///
    /// # Errors
    /// When the model knows fewer than two classes, or libtorch refuses an operation.
    pub fn of_clean(target: &Target<'_>, norm: Norm) -> Result<(Self, Tensor)> {
        let _guard = no_grad_guard();
        let device = target.images.device();
        if target.is_empty() {
            let nothing = Self {
                points: target.images.copy(),
                distance: Tensor::zeros([0], (Kind::Float, device)),
                norm,
            };
            return Ok((nothing, Tensor::zeros([0], (Kind::Int64, device))));
        }
        Self::of_logits(target, &target.logits(&target.images)?, norm)
    }

    /// The same of the clean images' logits `[N, classes]`.
    ///
    /// # Errors
    /// When the model knows fewer than two classes.
    pub fn of_logits(target: &Target<'_>, logits: &Tensor, norm: Norm) -> Result<(Self, Tensor)> {
        let _guard = no_grad_guard();
        let classes = logits.size()[1];
        if classes < 2 {
            return Err(Error::Incompatible(format!(
                "a minimum-norm attack looks for the nearest other class, but the model gives {classes} \
                 logit an image; evaluate a model with two classes or more"
            )));
        }
        let right = target.fooled(logits).logical_not();
        let clean = Self {
            points: target.images.copy(),
            distance: right.to_kind(Kind::Float).masked_fill(&right, f64::INFINITY),
            norm,
        };
        Ok((clean, right.nonzero().squeeze_dim(1)))
    }

    /// Takes the points `[M, 3, H, W]` of rows `[M]` that fool and are nearer than what was
    /// known; `images` are the clean ones of those rows. Gives the points' distances `[M]`.
    pub fn offer(&mut self, rows: &Tensor, images: &Tensor, points: &Tensor, fooled: &Tensor) -> Tensor {
        let _guard = no_grad_guard();
        let distance = length(&(points - images), self.norm);
        let known = self.distance.index_select(0, rows);
        let better = distance.lt_tensor(&known).logical_and(fooled);
        let kept = self.points.index_select(0, rows);
        let _ = self
            .points
            .index_copy_(0, rows, &points.where_self(&per_image(&better), &kept));
        let _ = self
            .distance
            .index_copy_(0, rows, &distance.where_self(&better, &known));
        distance
    }

    /// Takes what another search from rows `[M]` found, at these distances `[M]` (infinite
    /// where it found nothing), where it is nearer.
    pub fn merge(&mut self, rows: &Tensor, points: &Tensor, distance: &Tensor) {
        let _guard = no_grad_guard();
        let known = self.distance.index_select(0, rows);
        let better = distance.lt_tensor(&known);
        let kept = self.points.index_select(0, rows);
        let points = points.where_self(&per_image(&better), &kept);
        let _ = self.points.index_copy_(0, rows, &points);
        let _ = self.distance.index_copy_(0, rows, &known.minimum(distance));
    }
}
