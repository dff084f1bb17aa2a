//! Adam (Kingma and Ba, ICLR 2015), written out so that each row of a batch is its own.

use super::active::per_row;
use tch::Tensor;

/// The decays of both means, and what keeps a division by a root finite.
const BETAS: (f64, f64) = (0.9, 0.999);
const TINY: f64 = 1e-8;

/// The running means of a gradient and of its square.
pub(super) struct Adam {
    mean: Tensor,
    square: Tensor,
    steps: i32,
}

impl Adam {
    /// Before the first step of variables shaped like these.
    pub(super) fn new(like: &Tensor) -> Self {
        Self {
            mean: like.zeros_like(),
            square: like.zeros_like(),
            steps: 0,
        }
    }

    /// What a step along this gradient moves, to be scaled by the learning rate and taken away, and the
    /// root of the mean square that it was divided by.
    pub(super) fn step(&mut self, gradient: &Tensor) -> (Tensor, Tensor) {
        let (b1, b2) = BETAS;
        self.mean = &self.mean * b1 + gradient * (1.0 - b1);
        self.square = &self.square * b2 + gradient.square() * (1.0 - b2);
        self.steps += 1;
        let mean = &self.mean / (1.0 - b1.powi(self.steps));
        let root = (&self.square / (1.0 - b2.powi(self.steps))).sqrt() + TINY;
        (mean / &root, root)
    }
}

per_row!(Adam: mean, square);
