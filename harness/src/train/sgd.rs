//! SGD with momentum and weight decay, whose state can be saved: tch's own cannot, and a
//! resume without it would train something else.

use crate::nn::params::Params;
use tch::{Tensor, no_grad_guard};

/// `v <- momentum * v + (g + decay * p)`, `p <- p - lr * v` (PyTorch's SGD without Nesterov).
#[derive(Debug)]
pub struct Sgd {
    names: Vec<String>,
    params: Vec<Tensor>,
    velocities: Vec<Tensor>,
    momentum: f64,
    decay: f64,
}

impl Sgd {
    /// An optimiser of all trainable tensors, at rest.
    pub fn new(params: &Params, momentum: f64, decay: f64) -> Self {
        let trainable = || params.iter().filter(|param| param.trainable);
        Self {
            names: trainable().map(|param| param.name.clone()).collect(),
            params: trainable().map(|param| param.tensor.shallow_clone()).collect(),
            velocities: trainable().map(|param| param.tensor.zeros_like()).collect(),
            momentum,
            decay,
        }
    }

    /// Forgets the gradients of the last step.
    pub fn zero_grad(&self) {
        for param in &self.params {
            param.shallow_clone().zero_grad();
        }
    }

    /// One update. A tensor that took no part in the loss is left alone, as in PyTorch.
    pub fn step(&mut self, lr: f64) {
        let _guard = no_grad_guard();
        for (param, velocity) in self.params.iter_mut().zip(&mut self.velocities) {
            let gradient = param.grad();
            if !gradient.defined() {
                continue;
            }
            let total = gradient + &*param * self.decay;
            let _ = velocity.g_mul_scalar_(self.momentum);
            let _ = velocity.g_add_(&total);
            let _ = param.g_sub_(&(&*velocity * lr));
        }
    }

    /// Name and velocity of every tensor, to be saved or overwritten in place.
    pub fn velocities(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.iter().map(String::as_str).zip(&self.velocities)
    }
}
