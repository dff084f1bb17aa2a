//! Adam (Kingma and Ba, ICLR 2015) with PyTorch's defaults, whose state can be saved.

use crate::nn::params::Params;
use tch::{Tensor, no_grad_guard};

/// Decay of the mean of gradients and of their squares, and what keeps a quotient finite.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g²`,
/// `p <- p - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`.
#[derive(Debug)]
pub struct Adam {
    items: Vec<Item>,
    decay: f64,
    steps: u64,
}

#[derive(Debug)]
struct Item {
    name: String,
    value: Tensor,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// An optimiser of all trainable tensors of a network and of some `others` by name, at rest.
    /// `decay` is an L2 penalty.
    pub fn new(params: &Params, others: &[(String, Tensor)], decay: f64) -> Self {
        let trainable = params.iter().filter(|param| param.trainable);
        let tensors = trainable.map(|param| (param.name.clone(), param.tensor.shallow_clone()));
        let others = others
            .iter()
            .map(|(name, value)| (name.clone(), value.shallow_clone()));
        let item = |(name, value): (String, Tensor)| Item {
            name,
            mean: value.zeros_like(),
            square: value.zeros_like(),
            value,
        };
        Self {
            items: tensors.chain(others).map(item).collect(),
            decay,
            steps: 0,
        }
    }

    /// Forgets the gradients of the last step.
    pub fn zero_grad(&self) {
        for item in &self.items {
            item.value.shallow_clone().zero_grad();
        }
    }

    /// One update. A tensor that took no part in the loss is left alone, as in PyTorch.
    pub fn step(&mut self, lr: f64) {
        let _guard = no_grad_guard();
        self.steps += 1;
        let (first, second) = (1.0 - power(BETA1, self.steps), 1.0 - power(BETA2, self.steps));
        for item in &mut self.items {
            let gradient = item.value.grad();
            if !gradient.defined() {
                continue;
            }
            let gradient = gradient + &item.value * self.decay;
            let _ = item.mean.g_mul_scalar_(BETA1);
            let _ = item.mean.g_add_(&(&gradient * (1.0 - BETA1)));
            let _ = item.square.g_mul_scalar_(BETA2);
            let _ = item.square.g_add_(&(gradient.square() * (1.0 - BETA2)));
            let size = (&item.square / second).sqrt() + EPS;
            let _ = item.value.g_sub_(&(&item.mean / size * (lr / first)));
        }
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on from a number of updates.
    pub fn resume(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Name, mean and mean square of every tensor, to be saved or overwritten in place.
    pub fn moments(&self) -> impl Iterator<Item = (&str, &Tensor, &Tensor)> {
        self.items
            .iter()
            .map(|item| (item.name.as_str(), &item.mean, &item.square))
    }
}

fn power(base: f64, exponent: u64) -> f64 {
    base.powf(exponent as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Two steps of f(p) = p² / 2 (gradient p) from 1 at a rate of 0.1, worked by hand.
    #[test]
    fn two_steps_worked_by_hand() {
        let params = Params::new(Device::Cpu, 0);
        let p = Tensor::from_slice(&[1.0_f64]).set_requires_grad(true);
        let mut adam = Adam::new(&params, &[("p".to_owned(), p.shallow_clone())], 0.0);
        let (mut want, mut m, mut v) = (1.0_f64, 0.0, 0.0);
        for t in 1..=2 {
            adam.zero_grad();
            (p.square() * 0.5).sum(tch::Kind::Double).backward();
            adam.step(0.1);
            let g = want;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (mean, square) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
            want -= 0.1 * mean / (square.sqrt() + 1e-8);
            let got = p.double_value(&[0]);
            assert!((got - want).abs() < 1e-12, "step {t}: {got} against {want}");
        }
        // The first step of Adam is the rate, whatever the gradient's size.
        assert!((want - 0.8).abs() < 1e-3);
    }
}
