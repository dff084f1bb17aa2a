//! Selective network linearization (Cho et al., SNL, ICML 2022): every unit has a slope `a`,
//! `y = a * relu(x) + (1 - a) * x`, and a lasso drives slopes to zero until no more are left than
//! the budget allows. The rest become ReLUs, the others the identity.
//!
//! Constants are those of the authors' code (NYU-DICE-Lab/selective_network_linearization, MIT).
//! One thing is otherwise: their count ends at or below the budget, here the units with the
//! largest slopes are kept, exactly as many as the budget says.

use crate::error::Result;
use crate::nn::checkpoint::Tensors;
use crate::nn::{Network, ReluMask};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A unit counts as a ReLU while its slope is above this.
pub const ACTIVE: f64 = 1e-2;
/// The lasso's weight grows by this factor after an epoch without a new lowest count...
const GROWTH: f64 = 1.1;
/// ... from this epoch on, 1-based.
const PATIENT: u32 = 6;

/// The slopes of all units, `[1, C, H, W]` a layer, and the weight of their lasso.
#[derive(Debug)]
pub struct Slopes {
    layers: Vec<Tensor>,
    /// Units to keep.
    keep: u64,
    /// Weight of the lasso in the next epoch.
    pub lasso: f64,
    /// The lowest count so far.
    pub fewest: u64,
}

impl Slopes {
    /// All slopes 1: the network as it is. From now on the network runs with them.
    pub fn new(network: &mut Network, keep: u64, lasso: f64) -> Self {
        let device = network.params().device();
        let layer = |&[c, h, w]: &[u64; 3]| {
            let shape = [1, c as i64, h as i64, w as i64];
            Tensor::ones(shape, (Kind::Float, device)).set_requires_grad(true)
        };
        let layers: Vec<Tensor> = network.layer_shapes().iter().map(layer).collect();
        let slopes = Self {
            layers,
            keep,
            lasso,
            fewest: u64::MAX,
        };
        slopes.rule(network);
        slopes
    }

    /// Has the network run with them, until a mask is put in force.
    pub fn rule(&self, network: &mut Network) {
        network.set_slopes(&self.layers);
    }

    /// The slopes by name, for the optimiser.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let named = |(layer, slopes): (usize, &Tensor)| (name(layer), slopes.shallow_clone());
        self.layers.iter().enumerate().map(named).collect()
    }

    /// The lasso, `Σ |a|` times its weight.
    pub fn penalty(&self) -> Tensor {
        let sums = self.layers.iter().map(|slopes| slopes.abs().sum(Kind::Float));
        let sum = sums.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from(0.0_f32));
        sum * self.lasso
    }

    /// Units that count as ReLUs.
    pub fn active(&self) -> u64 {
        let _guard = no_grad_guard();
        let layer = |slopes: &Tensor| slopes.gt(ACTIVE).sum(Kind::Int64).int64_value(&[]) as u64;
        self.layers.iter().map(layer).sum()
    }

    /// After an epoch: whether the budget is met; else the weight of the lasso in the next.
    pub fn after(&mut self, epoch: u32) -> bool {
        let active = self.active();
        if active < self.fewest {
            self.fewest = active;
        } else if epoch >= PATIENT {
            self.lasso *= GROWTH;
        }
        active <= self.keep
    }

    /// The units with the largest slopes of the whole network, exactly the budget's number; ties
    /// go to the earlier layer and the lower index.
    pub fn mask(&self) -> ReluMask {
        let values: Vec<Vec<f64>> = self.layers.iter().map(values).collect();
        ReluMask::top_of_all(&values, self.keep)
    }

    /// Puts the slopes into a checkpoint.
    pub fn save(&self, tensors: &mut Tensors) {
        for (layer, slopes) in self.layers.iter().enumerate() {
            tensors.put(name(layer), slopes);
        }
    }

    /// Takes them from a checkpoint, in place.
    ///
    /// # Errors
    /// When a layer is missing or of another shape.
    pub fn load(&mut self, tensors: &Tensors) -> Result<()> {
        let _guard = no_grad_guard();
        for (layer, slopes) in self.layers.iter().enumerate() {
            let stored = tensors.get(&name(layer), &slopes.size())?;
            slopes.shallow_clone().copy_(&stored);
        }
        Ok(())
    }
}

fn name(layer: usize) -> String {
    format!("slope/{layer:03}")
}

/// The values of a tensor, flat, on the host.
pub(super) fn values(of_units: &Tensor) -> Vec<f64> {
    let flat = of_units
        .detach()
        .to_device(Device::Cpu)
        .to_kind(Kind::Double)
        .flatten(0, -1);
    let mut values = vec![0.0; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NetworkSpec, Quirks};
    use rlnet_suites::{Branch, NormBanks};

    fn network() -> Network {
        let spec = NetworkSpec {
            arch: "resnet8-w2".parse().expect("known"),
            image_size: 32,
            classes: 10,
            norm: NormBanks::Single,
            quirks: Quirks::default(),
            mean: [0.5; 3],
            std: [0.25; 3],
        };
        Network::new(spec, 1, Device::Cpu)
    }

    /// Slopes of 1 are the all-ReLU network, slopes of 0 the linear one, and binary slopes a mask.
    #[test]
    fn slopes_of_zero_and_one_are_a_mask() {
        let _guard = no_grad_guard();
        let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
        let sizes = network().layer_sizes();
        let total: u64 = sizes.iter().sum();
        let keep: Vec<u64> = sizes.iter().map(|n| n / 3).collect();
        for mask in [
            ReluMask::full(&sizes),
            ReluMask::top(
                &sizes.iter().map(|&n| vec![0.0; n as usize]).collect::<Vec<_>>(),
                &[0; 7],
            ),
            ReluMask::random(&sizes, &keep, 1),
        ] {
            let mut sloped = network();
            let kept: u64 = mask.kept().iter().sum();
            let slopes = Slopes::new(&mut sloped, kept, 0.0);
            for ((_, slopes), units) in slopes.named().iter().zip(mask.layers()) {
                let units: Vec<f32> = units.iter().map(|&unit| f32::from(unit)).collect();
                let units = Tensor::from_slice(&units).reshape(slopes.size());
                slopes.shallow_clone().copy_(&units);
            }
            let mut masked = network();
            masked.set_mask(mask.clone()).expect("its layers");
            let (a, b) = (
                sloped.logits(&images, Branch::Single),
                masked.logits(&images, Branch::Single),
            );
            assert!(a.allclose(&b, 1e-5, 1e-6, false), "{kept} of {total} units");
            assert_eq!(slopes.mask(), mask);
            assert_eq!(slopes.active(), kept);
        }
    }

    #[test]
    fn the_lasso_grows_only_where_the_count_stands_still() {
        let mut network = network();
        let mut slopes = Slopes::new(&mut network, 10, 1.0);
        // The count is always all units: the first epoch's is a new lowest, the next ones' not.
        for (epoch, lasso) in [(1, 1.0), (5, 1.0), (6, 1.1), (7, 1.21)] {
            assert!(!slopes.after(epoch));
            assert!(
                (slopes.lasso - lasso).abs() < 1e-12,
                "epoch {epoch}: {}",
                slopes.lasso
            );
        }
    }
}
