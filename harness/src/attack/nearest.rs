//! The nearest adversarial of each image seen so far: what a minimum-norm attack hands on.

use super::active::ActiveRows;
use super::ball::{length, per_image};
use super::target::Target;
use crate::error::{Error, Result};
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// One point an image: its nearest adversarial, or the clean image while none is known.
#[derive(Debug)]
pub(super) struct Nearest {
    /// `[N, 3, H, W]`, in the box.
    pub(super) points: Tensor,
    /// `[N]`: their distances from the images; 0 for an image that the model gets wrong
    /// without any attack, infinite while nothing was found.
    pub(super) distance: Tensor,
    norm: Norm,
}

impl Nearest {
    /// The clean images' verdicts, the rows that are to be attacked (the ones that the model gets right),
    /// and the clean logits `[N, classes]`.
    ///
    /// # Errors
    /// When the model knows fewer than two classes, or libtorch refuses an operation.
    pub(super) fn of_clean<'a>(target: &Target<'a>, norm: Norm) -> Result<(Self, ActiveRows<'a>, Tensor)> {
        let _guard = no_grad_guard();
        let logits = if target.is_empty() {
            Tensor::zeros([0, 2], (Kind::Float, target.images.device()))
        } else {
            target.logits(&target.images)?
        };
        let classes = logits.size()[1];
        if classes < 2 {
            return Err(Error::Incompatible(format!(
                "a minimum-norm attack looks for the nearest other class, but the model gives {classes} \
                 logit an image; evaluate a model with two classes or more"
            )));
        }
        let right = target.fooled(&logits).logical_not();
        let clean = Self {
            points: target.images.copy(),
            distance: right.to_kind(Kind::Float).masked_fill(&right, f64::INFINITY),
            norm,
        };
        Ok((clean, ActiveRows::right(target, &logits), logits))
    }

    /// The nearest adversarials `[N, 3, H, W]` that `run` offers, which sees the images that the model gets
    /// right, if there are any.
    ///
    /// # Errors
    /// When the model knows fewer than two classes, or the search fails.
    pub(super) fn search(
        target: &Target<'_>,
        norm: Norm,
        run: impl FnOnce(&ActiveRows<'_>, &mut Self) -> Result<()>,
    ) -> Result<Tensor> {
        let (mut nearest, active, _) = Self::of_clean(target, norm)?;
        if !active.is_empty() {
            run(&active, &mut nearest)?;
        }
        Ok(nearest.points)
    }

    /// Takes the points `[M, 3, H, W]` of the standing rows that fool (`[M]` bool) and are nearer than what
    /// was known. Gives the points' distances `[M]`.
    pub(super) fn offer(&mut self, rows: &ActiveRows<'_>, points: &Tensor, fooled: &Tensor) -> Tensor {
        let _guard = no_grad_guard();
        let distance = length(&(points - &rows.images), self.norm);
        let known = self.known(rows);
        let better = distance.lt_tensor(&known).logical_and(fooled);
        let kept = rows.gather(&self.points);
        rows.scatter(&points.where_self(&per_image(&better), &kept), &self.points);
        rows.scatter(&distance.where_self(&better, &known), &self.distance);
        distance
    }

    /// The smallest distances `[M]` known of the standing rows, infinite where none is.
    pub(super) fn known(&self, rows: &ActiveRows<'_>) -> Tensor {
        rows.gather(&self.distance)
    }
}
