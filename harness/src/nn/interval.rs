//! Images, and a box around each, through the layers as they train: interval bounds (IBP, Gowal et al., arXiv
//! 1810.12715) with gradients to the weights.
//!
//! The images' own pass is that of [`TrainPass`], to the bit. In train mode a norm takes the batch statistics of the
//! images' own values for the box too, and gradients reach the weights through these statistics (Shi et al., NeurIPS
//! 2021; CTBench, ICML 2025). Bounds are those of single precision: a loss needs no proof; `certify` gives proofs.

use super::layers::{BankedNorm, Conv, Linear, Mode};
use super::mask::Activation;
use super::pass::{FeatureMap, Pass, Pool, Seen, Taps, TrainPass, pooled};
use std::fmt::Arguments;
use tch::{Kind, Tensor, no_grad_guard};

/// Values `[N, ...]`, and the lowest and highest that they may be.
#[derive(Debug)]
pub struct Boxed {
    /// The images' own values.
    pub value: Tensor,
    /// Lowest.
    pub lower: Tensor,
    /// Highest.
    pub upper: Tensor,
}

impl Boxed {
    /// Everything by the same map, which must not fall anywhere.
    pub(crate) fn map(&self, rising: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            value: rising(&self.value),
            lower: rising(&self.lower),
            upper: rising(&self.upper),
        }
    }

    /// Centre of the box and half of its sides.
    pub(crate) fn halves(&self) -> (Tensor, Tensor) {
        (
            (&self.lower + &self.upper) * 0.5,
            (&self.upper - &self.lower) * 0.5,
        )
    }

    /// A value, and a box by its centre and half of its sides.
    pub(crate) fn of(value: Tensor, centre: &Tensor, radius: &Tensor) -> Self {
        Self {
            value,
            lower: centre - radius,
            upper: centre + radius,
        }
    }
}

impl FeatureMap for Boxed {
    fn sum(self, other: &Self) -> Self {
        Self {
            value: self.value + &other.value,
            lower: self.lower + &other.lower,
            upper: self.upper + &other.upper,
        }
    }

    fn scores(_heads: u64, _queries: &Self, _keys: &Self) -> Self {
        unreachable!("networks with attention are refused before they train with a certified loss")
    }

    fn mix(_scores: &Self, _values: &Self) -> Self {
        unreachable!("networks with attention are refused before they train with a certified loss")
    }

    fn max_pool(&self, pool: Pool) -> Self {
        self.map(|xs| xs.max_pool(pool))
    }
}

/// A pass of boxes.
pub(super) struct IntervalPass<'a> {
    train: TrainPass<'a>,
    mode: Mode,
    activations: std::slice::Iter<'a, Activation>,
    labels: &'a Tensor,
    /// For every ReLU layer the share of the images on which each unit's sign is known, `[C, H, W]` (double); when
    /// asked for.
    known: Option<Vec<Tensor>>,
}

impl<'a> IntervalPass<'a> {
    /// A pass of images with `labels` `[N]` (int64). `known` asks for the shares of images on which signs are known.
    pub(super) fn new(
        (mode, activations, taps): (Mode, &'a [Activation], Taps),
        labels: &'a Tensor,
        known: bool,
    ) -> Self {
        Self {
            train: TrainPass::new(mode, activations, taps),
            mode,
            activations: activations.iter(),
            labels,
            known: known.then(Vec::new),
        }
    }

    /// What was asked to be remembered.
    pub(super) fn into_seen(self) -> (Seen, Vec<Tensor>) {
        (self.train.seen, self.known.unwrap_or_default())
    }
}

impl Pass for IntervalPass<'_> {
    type Map = Boxed;

    fn conv(&mut self, layer: &Conv, xs: &Boxed) -> Boxed {
        layer.forward_box(xs, self.mode)
    }

    fn norm(&mut self, layer: &BankedNorm, xs: &Boxed) -> Boxed {
        layer.forward_box(xs, self.mode)
    }

    fn relu(&mut self, name: Arguments<'_>, xs: Boxed) -> Boxed {
        if let Some(known) = &mut self.known {
            let _guard = no_grad_guard();
            let crossing = xs.lower.lt(0.0).logical_and(&xs.upper.gt(0.0));
            known.push(crossing.logical_not().to_kind(Kind::Double).mean_dim(
                [0_i64].as_slice(),
                false,
                Kind::Double,
            ));
        }
        let activation = self.activations.next().unwrap_or(&Activation::Relu);
        let (lower, upper) = activation.forward_box(xs.lower, xs.upper);
        Boxed {
            value: self.train.relu(name, xs.value),
            lower,
            upper,
        }
    }

    fn stage(&mut self, xs: &Boxed, through: Option<&BankedNorm>) {
        self.train.stage(&xs.value, through);
    }

    /// Logits, and the least and largest that each may be above the label's.
    fn head(&mut self, layer: &Linear, xs: &Boxed) -> Boxed {
        let pooled = xs.map(pooled);
        let (centre, radius) = pooled.halves();
        let (middle, reach) = layer.differences(&centre, &radius, self.labels);
        Boxed::of(layer.forward(&pooled.value), &middle, &reach)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Network, NetworkSpec, Quirks, ReluMask};
    use super::*;
    use crate::certify::interval::propagate;
    use crate::certify::{Region, crown, trace};
    use rlnet_corruptions::random::KeyedRng;
    use rlnet_suites::attack::Norm;
    use rlnet_suites::{Branch, NormBanks};
    use tch::Device;

    const EPS: f64 = 2.0 / 255.0;

    fn images(n: i64, side: i64) -> Tensor {
        let mut rng = KeyedRng::new(3, "images", &[]);
        let values: Vec<f64> = (0..n * 3 * side * side).map(|_| rng.uniform()).collect();
        Tensor::from_slice(&values).reshape([n, 3, side, side])
    }

    /// A network with two banks, some of its ReLUs dropped, in double precision.
    fn network(arch: &str, side: u64) -> Network {
        let spec = NetworkSpec {
            arch: arch.parse().expect(arch),
            image_size: side,
            classes: 4,
            norm: NormBanks::Dual,
            quirks: Quirks::default(),
            mean: [0.4, 0.5, 0.6],
            std: [0.2, 0.25, 0.3],
        };
        let mut network = Network::new(spec, 1, Device::Cpu);
        let sizes = network.layer_sizes();
        let keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
        let mask = ReluMask::random(&sizes, &keep, 3);
        network.set_mask(mask).expect("its layers");
        let _guard = no_grad_guard();
        for param in network.params().iter() {
            param
                .tensor
                .shallow_clone()
                .set_data(&param.tensor.to_kind(Kind::Double));
        }
        network
    }

    fn boxes(images: &Tensor) -> (Tensor, Tensor) {
        ((images - EPS).clamp(0.0, 1.0), (images + EPS).clamp(0.0, 1.0))
    }

    /// In eval mode the largest differences are those of the intervals that proofs begin with, and the logits are the
    /// network's own.
    #[test]
    fn boxes_are_those_of_the_certificates() {
        for (arch, side) in [("resnet8-w2", 16), ("wrn-10-1", 16), ("mobilenetv2-x0.25", 32)] {
            let network = network(arch, side as u64);
            let images = images(2, side);
            let labels = Tensor::from_slice(&[1_i64, 2]);
            let mode = Mode::Eval(Branch::Adversarial);
            let _guard = no_grad_guard();
            let seen = network.forward_box(&images, boxes(&images), &labels, (mode, Taps::Nothing, true));
            let logits = network.logits(&images, Branch::Adversarial);
            assert!(seen.forward.logits.equal(&logits), "{arch}");
            let sizes: Vec<usize> = seen.known.iter().map(Tensor::numel).collect();
            assert_eq!(
                sizes.iter().map(|n| *n as u64).collect::<Vec<_>>(),
                network.layer_sizes(),
                "{arch}"
            );
            let frozen = network.into_frozen();
            let graph = trace::graph(&frozen, Branch::Adversarial)
                .expect(arch)
                .to(Kind::Double, Device::Cpu);
            for (place, label) in [(0, 1), (1, 2)] {
                let region = Region::new(&images.narrow(0, place, 1), EPS, Norm::Linf).expect("a region");
                let others: Vec<i64> = (0..4).filter(|class| *class != label).collect();
                let rows = crown::margins(4, label, &others, (Kind::Double, Device::Cpu));
                let (_, margins) =
                    propagate(&graph, &region, &rows, |_, interval, _| Ok(interval)).expect(arch);
                for (target, lower) in others.iter().zip(0..) {
                    let ours = -seen.worst.double_value(&[place, *target]);
                    let theirs = margins.lower.double_value(&[0, lower]);
                    // Its normalisation has constants in single precision.
                    assert!(
                        (ours - theirs).abs() < 1e-6 * theirs.abs().max(1.0),
                        "{arch}: {ours} and {theirs}"
                    );
                }
            }
        }
    }

    /// In train mode, on batch statistics: gradients of the loss against differences in double precision.
    #[test]
    fn gradients_of_the_bound_are_its_slopes() {
        let network = network("resnet8-w2", 16);
        let images = images(3, 16);
        let labels = Tensor::from_slice(&[0_i64, 3, 1]);
        let loss = || {
            let mode = Mode::Train(Branch::Adversarial);
            let seen = network.forward_box(&images, boxes(&images), &labels, (mode, Taps::Nothing, false));
            seen.worst.log_softmax(-1, Kind::Double).nll_loss(&labels)
        };
        let total = loss();
        total.backward();
        let mut compared = 0;
        for (place, param) in network
            .params()
            .iter()
            .filter(|param| param.trainable)
            .enumerate()
        {
            let gradient = param.tensor.grad();
            if !gradient.defined() {
                assert!(param.name.contains("clean"), "{} has no gradient", param.name);
                continue;
            }
            let mut rng = KeyedRng::new(5, "direction", &[place as u64]);
            let values: Vec<f64> = (0..param.tensor.numel()).map(|_| rng.normal()).collect();
            let direction = Tensor::from_slice(&values).reshape(param.tensor.size());
            let expected = Tensor::sum(&(&gradient * &direction), Kind::Double).double_value(&[]);
            let _guard = no_grad_guard();
            let moved = |by: f64| {
                let mut tensor = param.tensor.shallow_clone();
                tensor += &direction * by;
                let value = loss().double_value(&[]);
                tensor -= &direction * by;
                value
            };
            const STEP: f64 = 1e-6;
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!(
                (slope - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{}: {slope} and {expected}",
                param.name
            );
            compared += 1;
        }
        assert!(compared > 20, "{compared}");
    }

    /// A pass with a box leaves the same logits, statistics and gradients of the images' own loss as one without.
    #[test]
    fn the_images_own_pass_is_the_usual_one() {
        let (with, without) = (network("resnet8-w2", 16), network("resnet8-w2", 16));
        let images = images(4, 16);
        let labels = Tensor::from_slice(&[0_i64, 1, 2, 3]);
        let mode = Mode::Train(Branch::Adversarial);
        let boxed = with.forward_box(&images, boxes(&images), &labels, (mode, Taps::Stages, false));
        let usual = without.forward(&images, mode, Taps::Stages);
        assert!(boxed.forward.logits.equal(&usual.logits));
        assert_eq!(boxed.forward.seen.stages.len(), usual.seen.stages.len());
        for (one, other) in with.params().iter().zip(without.params().iter()) {
            assert!(one.tensor.equal(&other.tensor), "{}", one.name);
        }
        // Every value lies in its box.
        assert!(boxed.worst.double_value(&[0, 0]).abs() < 1e-12);
        let own = &usual.logits - usual.logits.gather(1, &labels.unsqueeze(1), false);
        assert_eq!((own - &boxed.worst).le(1e-9).all().int64_value(&[]), 1);
    }
}
