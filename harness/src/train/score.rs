//! The mask stage's score: how much each unit's activation differs from the teacher's.

use crate::nn::ReluMask;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// `D_l[c,h,w] += Σ_n |Ψ_l^T(x_n) - Ψ_l^S(x_n)|` over the clean images of an epoch.
#[derive(Debug, Default)]
pub struct Scores {
    layers: Vec<Tensor>,
}

impl Scores {
    /// Adds one batch: activations `[N, C, H, W]` of every ReLU layer, in execution order.
    pub fn add(&mut self, teacher: &[Tensor], student: &[Tensor]) {
        let _guard = no_grad_guard();
        for (layer, (teacher, student)) in teacher.iter().zip(student).enumerate() {
            let n = student.size()[0];
            let difference = (teacher.narrow(0, 0, n) - student.detach())
                .abs()
                .sum_dim_intlist([0_i64].as_slice(), false, Kind::Double);
            match self.layers.get_mut(layer) {
                Some(sum) => {
                    let _ = sum.g_add_(&difference);
                }
                None => self.layers.push(difference),
            }
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

    /// The mask that keeps exactly `keep[l]` units with the largest score in each layer.
    pub fn mask(&self, keep: &[u64]) -> ReluMask {
        ReluMask::top(&self.values(), keep)
    }
}
