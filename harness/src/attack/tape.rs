//! Passes of a model whose gradients can be asked for, wherever the model computes.

use super::Classifier;
use super::gradient::gradient;
use crate::error::Result;
use rlnet_suites::Branch;
use tch::Tensor;

/// Passes of one batch of images, kept until their gradients are no longer needed.
pub trait Tape {
    /// Logits `[N, classes]` of the images through a branch: what losses are made of. A tape may hold several
    /// passes.
    ///
    /// # Errors
    /// When the model fails.
    fn logits(&mut self, branch: Branch) -> Result<Tensor>;

    /// The gradient `[N, 3, H, W]` of a loss of these logits (one number) with respect to the images; zero where
    /// the loss does not depend on them. `keep` leaves the passes there for another loss.
    ///
    /// # Errors
    /// When the model fails.
    fn gradient(&self, loss: &Tensor, keep: bool) -> Result<Tensor>;
}

/// The tape of a model of this process: libtorch's own.
pub struct Autograd<'a, M: ?Sized> {
    model: &'a M,
    images: Tensor,
}

impl<'a, M: Classifier + ?Sized> Autograd<'a, M> {
    /// A tape for images `[N, 3, H, W]`.
    pub fn new(model: &'a M, images: &Tensor) -> Self {
        Self {
            model,
            images: images.detach().set_requires_grad(true),
        }
    }
}

impl<M: Classifier + ?Sized> Tape for Autograd<'_, M> {
    fn logits(&mut self, branch: Branch) -> Result<Tensor> {
        self.model.logits(&self.images, branch)
    }

    fn gradient(&self, loss: &Tensor, keep: bool) -> Result<Tensor> {
        gradient(loss, &self.images, keep)
    }
}
