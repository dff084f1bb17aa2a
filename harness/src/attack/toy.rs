//! A linear classifier on which attacks can be checked by hand.

use super::{Classifier, Target};
use crate::error::Result;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::Branch;
use tch::{Device, Kind, Tensor};

/// `logits = W x + b`, `W` `[classes, values]`.
pub(super) struct Linear {
    pub(super) weights: Tensor,
    pub(super) bias: Tensor,
}

impl Linear {
    /// Normal weights; images of `values` values.
    pub(super) fn random(classes: i64, values: i64) -> Self {
        let mut rng = KeyedRng::new(5, "toy", &[]);
        let weights: Vec<f32> = (0..classes * values).map(|_| rng.normal() as f32).collect();
        Self {
            weights: Tensor::from_slice(&weights).reshape([classes, values]),
            bias: Tensor::zeros([classes], tch::kind::FLOAT_CPU),
        }
    }
}

impl Classifier for Linear {
    fn logits(&self, images: &Tensor, _branch: Branch) -> Result<Tensor> {
        // Not a matrix product, whose order of summation may depend on the number of rows.
        let terms = images.flatten(1, -1).unsqueeze(1) * &self.weights;
        Ok(terms.sum_dim_intlist([2_i64].as_slice(), false, Kind::Float) + &self.bias)
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// Random images `[n, 3, height, width]` with the labels the model gives them.
pub(super) fn images(model: &Linear, n: i64, height: i64, width: i64) -> (Tensor, Tensor) {
    let mut rng = KeyedRng::new(6, "toy images", &[]);
    let values: Vec<f32> = (0..n * 3 * height * width)
        .map(|_| rng.uniform() as f32)
        .collect();
    let images = Tensor::from_slice(&values).reshape([n, 3, height, width]);
    let labels = images.flatten(1, -1).matmul(&model.weights.tr()).argmax(1, false);
    (images, labels)
}

/// The images from `first` on, `n` of them, under their own indices.
pub(super) fn target<'a>(
    model: &'a Linear,
    images: &Tensor,
    labels: &Tensor,
    first: i64,
    n: i64,
) -> Target<'a> {
    let indices: Vec<u32> = (first..first + n).map(|index| index as u32).collect();
    Target::new(
        model,
        Branch::Single,
        &images.narrow(0, first, n),
        &labels.narrow(0, first, n),
        &indices,
        3,
    )
}
