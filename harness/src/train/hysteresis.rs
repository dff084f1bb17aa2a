//! AutoReP's search (Peng et al., ICCV 2023): an indicator a unit is trained, and a unit becomes the identity when its
//! indicator falls below `-t`, a ReLU again when it rises above `t`. A unit near the border does not flip at every step.
//!
//! Constants are those of the authors' code (harveyp123/AutoReP). Two things are otherwise: its rate of 2e-4 is made for
//! about 39,100 steps, here a step is as much larger as a stage is shorter; and its count ends near the budget, here the
//! units with the largest indicators of the whole network are kept, exactly as many as the budget says.

use super::adam::Adam;
use super::gates::Gates;
use super::snl::values;
use crate::error::Result;
use crate::nn::checkpoint::Tensors;
use crate::nn::params::Params;
use crate::nn::{Network, ReluMask};
use rlnet_corruptions::random::KeyedRng;
use tch::{Kind, Tensor, no_grad_guard};

/// Half the width of the hysteresis.
const THRESHOLD: f64 = 0.003;
/// Weight of the share of ReLUs beyond the budget.
const DENSITY: f64 = 10.0;
/// L2 penalty of the indicators.
const DECAY: f64 = 1e-3;
/// The rate of Adam times the steps of a stage: 2e-4 for 100 epochs of 391 steps.
const TRAVEL: f64 = 7.82;

/// The indicators of all units, `[1, C, H, W]` a layer, and the gates they rule.
#[derive(Debug)]
pub struct Indicators {
    layers: Vec<Tensor>,
    gates: Gates,
    adam: Adam,
    /// Units to keep.
    keep: u64,
    /// Units in all.
    total: u64,
}

impl Indicators {
    /// Indicators uniform in [0, 1), drawn by the seed, of a network with all its ReLUs.
    pub fn new(network: &mut Network, keep: u64, seed: u64) -> Self {
        let device = network.params().device();
        let layer = |(place, shape): (usize, &[u64; 3])| {
            let [c, h, w] = shape.map(|side| side as i64);
            let mut rng = KeyedRng::new(seed, "indicators", &[place as u64]);
            let drawn: Vec<f32> = (0..c * h * w).map(|_| rng.uniform() as f32).collect();
            let drawn = Tensor::from_slice(&drawn).reshape([1, c, h, w]);
            drawn.to_device(device).set_requires_grad(true)
        };
        let layers: Vec<Tensor> = network.layer_shapes().iter().enumerate().map(layer).collect();
        let named = |(place, layer): (usize, &Tensor)| (name(place), layer.shallow_clone());
        let named: Vec<(String, Tensor)> = layers.iter().enumerate().map(named).collect();
        Self {
            adam: Adam::new(&Params::new(device, 0), &named, DECAY),
            gates: Gates::of(network),
            total: network.layer_sizes().iter().sum(),
            layers,
            keep,
        }
    }

    /// Has the network run with the gates, until a mask is put in force.
    pub fn rule(&self, network: &mut Network) {
        network.set_slopes(self.gates.layers());
    }

    /// After a backward pass, in a stage of so many steps: moves the indicators by the gates' gradients, then the gates
    /// by the indicators.
    pub fn step(&mut self, steps: usize) {
        let gradients = self.gates.take_gradients();
        let density = if self.kept() > self.keep {
            DENSITY / self.total as f64
        } else {
            0.0
        };
        self.adam.zero_grad();
        // The straight-through estimator's slope is softplus; as a linear form its gradient is what Adam is to see.
        let terms = self.layers.iter().zip(&gradients).map(|(layer, gradient)| {
            let sent = layer.detach().softplus() * (gradient + density);
            (layer * sent).sum(Kind::Float)
        });
        if let Some(sum) = terms.reduce(|a, b| a + b) {
            sum.backward();
        }
        self.adam.step(TRAVEL / steps.max(1) as f64);
        let _guard = no_grad_guard();
        for (gates, layer) in self.gates.layers().iter().zip(&self.layers) {
            // Above t: a ReLU. Between: what it was.
            let kept = layer
                .gt(THRESHOLD)
                .logical_or(&layer.gt(-THRESHOLD).logical_and(&gates.gt(0.5)));
            gates.shallow_clone().copy_(&kept.to_kind(Kind::Float));
        }
    }

    /// Units that are ReLUs.
    pub fn kept(&self) -> u64 {
        let _guard = no_grad_guard();
        let layers = self.gates.layers().iter();
        layers
            .map(|gates| gates.sum(Kind::Double).double_value(&[]) as u64)
            .sum()
    }

    /// The mask in force; at the end of a stage the units with the largest indicators of the whole network.
    pub fn mask(&self, end: bool) -> ReluMask {
        match end {
            true => ReluMask::top_of_all(&self.layers.iter().map(values).collect::<Vec<_>>(), self.keep),
            false => self.gates.mask(),
        }
    }

    /// Puts them into a checkpoint.
    pub fn save(&self, tensors: &mut Tensors) {
        for (place, (layer, gates)) in self.layers.iter().zip(self.gates.layers()).enumerate() {
            tensors.put(name(place), layer);
            tensors.put(gate(place), gates);
        }
        for (name, mean, square) in self.adam.moments() {
            tensors.put(format!("mean/{name}"), mean);
            tensors.put(format!("square/{name}"), square);
        }
    }

    /// Updates so far.
    pub fn updates(&self) -> u64 {
        self.adam.steps()
    }

    /// Takes them from a checkpoint, in place, after so many updates.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn load(&mut self, tensors: &Tensors, updates: u64) -> Result<()> {
        let _guard = no_grad_guard();
        let put = |name: &str, into: &Tensor| -> Result<()> {
            into.shallow_clone().copy_(&tensors.get(name, &into.size())?);
            Ok(())
        };
        for (place, (layer, gates)) in self.layers.iter().zip(self.gates.layers()).enumerate() {
            put(&name(place), layer)?;
            put(&gate(place), gates)?;
        }
        for (name, mean, square) in self.adam.moments() {
            put(&format!("mean/{name}"), mean)?;
            put(&format!("square/{name}"), square)?;
        }
        self.adam.resume(updates);
        Ok(())
    }
}

fn name(layer: usize) -> String {
    format!("indicator/{layer:03}")
}

fn gate(layer: usize) -> String {
    format!("gate/{layer:03}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::{network_spec, spec};
    use tch::Device;

    /// Without a loss only the budget pushes: units go, those with the smallest indicators first, none comes back, and it
    /// ends near the budget.
    #[test]
    fn units_go_until_the_budget_is_met_and_do_not_flicker() {
        let spec = spec("teacher", &[]);
        let mut network = Network::new(network_spec(&spec), 1, Device::Cpu);
        let total: u64 = network.layer_sizes().iter().sum();
        let budget = total / 5;
        let mut indicators = Indicators::new(&mut network, budget, 7);
        assert_eq!(indicators.kept(), total);
        let steps = 2000;
        let mut before = indicators.mask(false);
        for step in 0..steps {
            indicators.step(steps);
            let mask = indicators.mask(false);
            let came_back = before
                .layers()
                .iter()
                .flatten()
                .zip(mask.layers().iter().flatten());
            assert!(came_back.clone().all(|(was, is)| is <= was), "step {step}");
            before = mask;
        }
        let kept = indicators.kept();
        assert!(kept <= budget && kept > budget / 2, "{kept} of {budget}");
        assert_eq!(indicators.mask(true).kept().iter().sum::<u64>(), budget);
    }

    /// An indicator inside the hysteresis leaves its unit as it was, outside it rules.
    #[test]
    fn between_the_thresholds_a_unit_stays_what_it_was() {
        let spec = spec("teacher", &[]);
        let mut network = Network::new(network_spec(&spec), 1, Device::Cpu);
        let mut indicators = Indicators::new(&mut network, u64::MAX, 7);
        let put = |indicators: &Indicators, value: f64| {
            let _guard = no_grad_guard();
            for layer in &indicators.layers {
                let _ = layer.shallow_clone().fill_(value);
            }
        };
        let total = indicators.kept();
        // (indicator, units that are ReLUs after it)
        for (value, kept) in [
            (-0.002, total),
            (-0.004, 0),
            (0.002, 0),
            (0.004, total),
            (0.0, total),
        ] {
            put(&indicators, value);
            // A rate next to zero: the indicators stay where they are put.
            indicators.step(usize::MAX >> 12);
            assert_eq!(indicators.kept(), kept, "{value}");
        }
    }
}
