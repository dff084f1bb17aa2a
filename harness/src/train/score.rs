//! The mask stage's score: how much each unit's activation differs from the teacher's.

use crate::nn::ReluMask;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// `D_l[c,h,w] += Σ_n |Ψ_l^T(x_n) - Ψ_l^S(x_n)|` over the clean images of an epoch.
#[derive(Debug, Default)]
pub struct Scores {
    layers: Vec<Tensor>,
}

impl Scores {
    /// Adds one batch, `[N, C, H, W]` for every ReLU layer in execution order: the teacher's
    /// activations, and the student's (or its inputs to the layers: see `Score`). `known` are weights of the units,
    /// `[C, H, W]` a layer.
    pub fn add(&mut self, teacher: &[Tensor], student: &[Tensor], known: Option<&[Tensor]>) {
        let _guard = no_grad_guard();
        for (layer, (teacher, student)) in teacher.iter().zip(student).enumerate() {
            let n = student.size()[0];
            let difference = (teacher.narrow(0, 0, n) - student.detach())
                .abs()
                .sum_dim_intlist([0_i64].as_slice(), false, Kind::Double);
            let difference = match known.and_then(|known| known.get(layer)) {
                Some(known) => difference * known,
                None => difference,
            };
            self.sum(layer, difference);
        }
    }

    /// Adds the sizes of the gates' gradients after a step, `[1, C, H, W]` a layer: what the loss would change by, to
    /// first order, were the unit the other of ReLU and identity (Taylor importance; Molchanov et al., CVPR 2019).
    pub fn add_sizes(&mut self, gradients: &[Tensor]) {
        let _guard = no_grad_guard();
        for (layer, gradient) in gradients.iter().enumerate() {
            self.sum(layer, gradient.squeeze_dim(0).abs().to_kind(Kind::Double));
        }
    }

    fn sum(&mut self, layer: usize, term: Tensor) {
        match self.layers.get_mut(layer) {
            Some(sum) => {
                let _ = sum.g_add_(&term);
            }
            None => self.layers.push(term),
        }
    }

    /// The sums of each layer, flat in (channel, row, column) order.
    pub fn values(&self) -> Vec<Vec<f64>> {
        let values = |layer: &Tensor| {
            let flat = layer.to_device(Device::Cpu).flatten(0, -1);
            let mut values = vec![0.0; flat.numel()];
            flat.copy_data(&mut values, flat.numel());
            values
        };
        self.layers.iter().map(values).collect()
    }

    /// Sums as [`values`](Self::values) gave them, of layers of these shapes (channels, height,
    /// width). No values: no batch was added yet.
    pub fn from_values(values: &[Vec<f64>], shapes: &[[u64; 3]], device: Device) -> Self {
        let layer = |(values, shape): (&Vec<f64>, &[u64; 3])| {
            Tensor::from_slice(values)
                .reshape(shape.map(|n| n as i64))
                .to_device(device)
        };
        Self {
            layers: values.iter().zip(shapes).map(layer).collect(),
        }
    }

    /// The mask that keeps exactly `keep[l]` units with the largest score in each layer.
    pub fn mask(&self, keep: &[u64]) -> ReluMask {
        ReluMask::top(&self.values(), keep)
    }
}

/// Weight of the past in an averaged score. A unit that flips every epoch then scores within
/// 5 % of the mean of its two states: (1 - 0.9) / (1 + 0.9).
const MEMORY: f64 = 0.9;

/// Folds an epoch's scores into the running average, which they start when there is none.
pub fn average(past: Option<Vec<Vec<f64>>>, scores: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let Some(mut past) = past else {
        return scores;
    };
    for (past, score) in past.iter_mut().flatten().zip(scores.into_iter().flatten()) {
        *past = MEMORY * *past + (1.0 - MEMORY) * score;
    }
    past
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit whose sign is known on a third of the images keeps a third of its difference.
    #[test]
    fn unstable_units_score_less() {
        let maps = |values: &[f32]| [Tensor::from_slice(values).reshape([1, 2, 1, 1])];
        let mut scores = Scores::default();
        let known = [Tensor::from_slice(&[1.0 / 3.0, 1.0_f64]).reshape([2, 1, 1])];
        scores.add(&maps(&[3.0, 1.0]), &maps(&[0.0, 0.0]), Some(&known));
        assert_eq!(scores.values(), [vec![1.0, 1.0]]);
        scores.add(&maps(&[3.0, 0.5]), &maps(&[0.0, 0.0]), Some(&known));
        assert_eq!(scores.values(), [vec![2.0, 1.5]]);
    }

    #[test]
    fn averaging_calms_a_score_that_alternates() {
        let mut past = None;
        for epoch in 0..200 {
            let score = if epoch % 2 == 0 { 0.0 } else { 2.0 };
            past = Some(average(past, vec![vec![score]]));
        }
        let settled = past.expect("scores")[0][0];
        assert!((settled - 1.0).abs() < 0.053, "{settled}");
    }
}
