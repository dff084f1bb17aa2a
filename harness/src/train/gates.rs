//! The mask in force as numbers that gradients reach: `y = x + m relu(-x)`, `m` 1 for a ReLU and 0 for the identity.
//!
//! A gate's gradient is what the loss changes by, to first order, as the unit goes from the identity to the ReLU.

use crate::nn::{Network, ReluMask};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A gate a unit, `[1, C, H, W]` a layer.
#[derive(Debug)]
pub struct Gates {
    layers: Vec<Tensor>,
}

impl Gates {
    /// Those of a network's mask. From now on the network runs with them, until a mask is put in force.
    pub fn of(network: &mut Network) -> Self {
        let device = network.params().device();
        let layer = |(units, shape): (&Vec<u8>, [u64; 3])| {
            let units: Vec<f32> = units.iter().map(|&unit| f32::from(unit)).collect();
            let [c, h, w] = shape.map(|side| side as i64);
            let gates = Tensor::from_slice(&units).reshape([1, c, h, w]);
            gates.to_device(device).set_requires_grad(true)
        };
        let shapes = network.layer_shapes();
        let layers = network.mask().layers().iter().zip(shapes).map(layer).collect();
        let gates = Self { layers };
        network.set_slopes(&gates.layers);
        gates
    }

    /// The gates themselves.
    pub fn layers(&self) -> &[Tensor] {
        &self.layers
    }

    /// What the last backward pass sent to them, once.
    pub fn take_gradients(&self) -> Vec<Tensor> {
        let take = |gates: &Tensor| {
            let gradient = gates.grad();
            if !gradient.defined() {
                return gates.zeros_like();
            }
            let taken = gradient.copy();
            gates.shallow_clone().zero_grad();
            taken
        };
        let _guard = no_grad_guard();
        self.layers.iter().map(take).collect()
    }

    /// The mask that they are.
    pub fn mask(&self) -> ReluMask {
        let _guard = no_grad_guard();
        let layer = |gates: &Tensor| {
            let flat = gates
                .gt(0.5)
                .to_kind(Kind::Uint8)
                .to_device(Device::Cpu)
                .flatten(0, -1);
            let mut units = vec![0_u8; flat.numel()];
            flat.copy_data(&mut units, flat.numel());
            units
        };
        ReluMask::from_layers(self.layers.iter().map(layer).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::{network_spec, spec};
    use rlnet_suites::Branch;

    #[test]
    fn a_gates_gradient_is_what_the_loss_changes_by() {
        let spec = spec("teacher", &[]);
        let mut network = Network::new(network_spec(&spec), 1, Device::Cpu);
        let sizes = network.layer_sizes();
        let keep: Vec<u64> = sizes.iter().map(|n| n / 3).collect();
        let mask = ReluMask::random(&sizes, &keep, 1);
        network.set_mask(mask.clone()).expect("its layers");
        let images = Tensor::rand([3, 3, 32, 32], (Kind::Float, Device::Cpu));
        let loss = |network: &Network| network.logits(&images, Branch::Clean).square().sum(Kind::Double);
        let plain = loss(&network).double_value(&[]);
        let gates = Gates::of(&mut network);
        let gated = loss(&network);
        assert!((gated.double_value(&[]) - plain).abs() < 1e-4 * plain.abs());
        gated.backward();
        let gradients = gates.take_gradients();
        for (layer, (gate, gradient)) in gates.layers().iter().zip(&gradients).enumerate() {
            // Along a direction of the whole layer, so that rounding stays small beside the change.
            let direction = gradient
                / gradient
                    .square()
                    .sum(Kind::Double)
                    .sqrt()
                    .double_value(&[])
                    .max(1e-12);
            let moved = |by: f64| {
                let _guard = no_grad_guard();
                let back = gate.copy();
                let _ = gate.shallow_clone().g_add_(&(&direction * by));
                let value = loss(&network).double_value(&[]);
                gate.shallow_clone().copy_(&back);
                value
            };
            let (h, want) = (1e-2, (gradient * &direction).sum(Kind::Double).double_value(&[]));
            let got = (moved(h) - moved(-h)) / (2.0 * h);
            assert!(
                (got - want).abs() < 0.02 * want.abs() + 1e-4,
                "layer {layer}: {got} against {want}"
            );
        }
        assert_eq!(gates.mask(), mask);
        let after = gates.take_gradients();
        assert!(
            after
                .iter()
                .all(|gradient| gradient.abs().max().double_value(&[]) == 0.0),
            "taken once"
        );
    }
}
