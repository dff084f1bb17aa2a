//! Small models of which everything is known.

use rlnet::attack::{Classifier, Target};
use rlnet::error::Result;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::Branch;
use tch::{Device, Kind, Tensor};

/// `n` standard normal values.
pub fn normals(seed: u64, key: &str, n: i64) -> Vec<f32> {
    let mut rng = KeyedRng::new(seed, key, &[]);
    (0..n).map(|_| rng.normal() as f32).collect()
}

/// `z = W x + b`, or `z = W relu(V x + c) + b` when there is a hidden layer.
pub struct Toy {
    hidden: Option<(Tensor, Tensor)>,
    /// `[classes, values]`.
    pub weights: Tensor,
    /// `[classes]`.
    pub bias: Tensor,
}

impl Toy {
    /// Normal weights; on a grey image all logits are equal, so that boundaries are near.
    pub fn linear(seed: u64, classes: i64, values: i64) -> Self {
        let weights = Tensor::from_slice(&normals(seed, "weights", classes * values));
        let weights = weights.reshape([classes, values]);
        let grey = Tensor::full([values], 0.5, (Kind::Float, Device::Cpu));
        let bias = -weights.mv(&grey);
        Self {
            hidden: None,
            weights,
            bias,
        }
    }

    /// The same on 16 rectified features.
    pub fn rectified(seed: u64, classes: i64, values: i64) -> Self {
        let first = Self::linear(seed + 1000, 16, values);
        let mut second = Self::linear(seed, classes, 16);
        second.hidden = Some((first.weights, first.bias));
        second
    }

    /// A model that says class 0 whatever it is shown, with gradient zero.
    pub fn constant(classes: i64, values: i64) -> Self {
        let weights = Tensor::zeros([classes, values], (Kind::Float, Device::Cpu));
        let bias = -Tensor::arange(classes, (Kind::Float, Device::Cpu));
        Self {
            hidden: None,
            weights,
            bias,
        }
    }
}

impl Classifier for Toy {
    fn logits(&self, images: &Tensor, _branch: Branch) -> Result<Tensor> {
        let mut values = images.flatten(1, -1);
        if let Some((weights, bias)) = &self.hidden {
            values = (values.matmul(&weights.tr()) + bias).relu();
        }
        Ok(values.matmul(&self.weights.tr()) + &self.bias)
    }

    /// As of a ring in which a logit of one wraps around.
    fn load(&self, images: &Tensor, branch: Branch) -> Result<Option<Tensor>> {
        Ok(Some(self.logits(images, branch)?.abs()))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// Images around grey and their labels as the model gives them.
pub fn images(model: &Toy, seed: u64, shape: [i64; 4], contrast: f64) -> (Tensor, Tensor) {
    let values = normals(seed, "images", shape.iter().product());
    let images = (Tensor::from_slice(&values).reshape(shape) * contrast + 0.5).clamp(0.0, 1.0);
    let labels = model
        .logits(&images, Branch::Single)
        .expect("logits")
        .argmax(1, false);
    (images, labels)
}

/// Images `from..from + n` under their own indices.
pub fn target<'a>(
    model: &'a dyn Classifier,
    images: &Tensor,
    labels: &Tensor,
    from: i64,
    n: i64,
) -> Target<'a> {
    let indices: Vec<u32> = (from..from + n).map(|index| index as u32).collect();
    let (images, labels) = (images.narrow(0, from, n), labels.narrow(0, from, n));
    Target::new(model, Branch::Single, &images, &labels, &indices, 3)
}
