//! What the dropped units of a ReLU layer compute where it is not the identity: `scale * x + shift`, a number each for
//! every channel, trained with the weights (linearity grafting: Chen et al., ICML 2022, whose numbers are of single units).
//!
//! Everything that computes a layer asks [`Activation`](super::mask::Activation) for it: training, attacks, certificates,
//! exports and protocols.

use super::layout::laid_out;
use super::params::Params;
use rlnet_suites::LayerRecord;
use tch::{Device, Tensor};

/// The two numbers of every channel of a ReLU layer: parameters of the network, `[C]` each, used or not.
#[derive(Debug)]
pub struct DroppedMap {
    scale: Tensor,
    shift: Tensor,
}

impl DroppedMap {
    /// The identity, to be trained: parameters `dropped.LAYER.scale` and `dropped.LAYER.shift`.
    pub fn new(params: &mut Params, layer: &LayerRecord) -> Self {
        let channels = [layer.shape[0] as i64];
        let name = &layer.name;
        Self {
            scale: params.constant(&format!("dropped.{name}.scale"), &channels, 1.0, true),
            shift: params.constant(&format!("dropped.{name}.shift"), &channels, 0.0, true),
        }
    }

    /// The same for some units of the layer, 1 kept and 0 dropped.
    pub fn of(&self, units: &[u8], shape: &[u64; 3], device: Device) -> DroppedUnits {
        let dropped: Vec<bool> = units.iter().map(|&unit| unit == 0).collect();
        let [c, h, w] = shape.map(|side| side as i64);
        let dropped = Tensor::from_slice(&dropped).reshape([1, c, h, w]);
        DroppedUnits {
            scale: self.scale.shallow_clone(),
            shift: self.shift.shallow_clone(),
            dropped: laid_out(&dropped.to_device(device)),
        }
    }
}

/// The dropped units of a layer under a mask.
#[derive(Debug)]
pub struct DroppedUnits {
    /// The parameters themselves: an optimiser gives them other memory, so no view of them is kept.
    scale: Tensor,
    shift: Tensor,
    /// `[1, C, H, W]` (bool).
    dropped: Tensor,
}

impl DroppedUnits {
    /// What follows a masked ReLU that lets its dropped units pass: scale and shift of every unit, `[1, C, H, W]`, 1 and
    /// 0 where it is kept. Gradients reach the channels' numbers.
    pub fn behind(&self) -> (Tensor, Tensor) {
        let of = |channels: &Tensor, kept: f64| {
            let channels = channels.reshape([1, -1, 1, 1]);
            channels.where_scalarother(&self.dropped, kept)
        };
        (of(&self.scale, 1.0), of(&self.shift, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mask::Activation;
    use super::super::{Network, NetworkSpec, Quirks, ReluMask, model};
    use super::*;
    use crate::deployed::FixedPointModel;
    use crate::deployed::plan::DeployedPlan;
    use crate::deployed::widths::widths;
    use crate::nn::layers::Mode;
    use crate::nn::model::ModelHeader;
    use crate::nn::pass::Taps;
    use rlnet_corruptions::random::KeyedRng;
    use rlnet_suites::objective::Dropped;
    use rlnet_suites::protocol::Workload;
    use rlnet_suites::{Branch, LinearRecord, NormBanks};
    use tch::{Kind, no_grad_guard};

    fn draw(size: &[i64], seed: u64) -> Tensor {
        let mut rng = KeyedRng::new(seed, "dropped", &[]);
        let count: i64 = size.iter().product();
        let values: Vec<f32> = (0..count).map(|_| rng.normal() as f32).collect();
        Tensor::from_slice(&values).reshape(size)
    }

    /// Half of its ReLUs dropped, those of the last layer altogether and none of the first one's.
    fn network(norm: NormBanks) -> Network {
        let spec = NetworkSpec {
            arch: "resnet8-w4".parse().expect("known"),
            image_size: 16,
            classes: 5,
            norm,
            quirks: Quirks::default(),
            mean: [0.4, 0.5, 0.6],
            std: [0.2, 0.25, 0.3],
        };
        let mut network = Network::new(spec, 1, Device::Cpu);
        let sizes = network.layer_sizes();
        let mut keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
        keep[0] = sizes[0];
        *keep.last_mut().expect("layers") = 0;
        network
            .set_mask(ReluMask::random(&sizes, &keep, 3))
            .expect("its layers");
        network
    }

    /// The same, its dropped units anything but the identity: some scales are negative.
    fn grafted(norm: NormBanks) -> Network {
        let mut network = network(norm);
        network.replace_dropped(Dropped::Affine);
        let _guard = no_grad_guard();
        let own = network.params().iter().filter(|param| is_own(&param.name));
        for (place, param) in own.enumerate() {
            let values = draw(&param.tensor.size(), place as u64);
            param.tensor.shallow_clone().copy_(&values);
        }
        network
    }

    fn is_own(name: &str) -> bool {
        name.starts_with("dropped.")
    }

    fn images(n: i64) -> Tensor {
        draw(&[n, 3, 16, 16], 9).sigmoid()
    }

    /// The formula as PyTorch users write it, `m relu(x) + (1 - m) (a x + b)`, and its gradients worked out by hand.
    #[test]
    fn a_dropped_unit_is_its_channels_line_and_gradients_reach_both_numbers() {
        let layer = LayerRecord {
            name: "stem".into(),
            shape: [2, 2, 2],
            kept: 0,
        };
        let mut params = Params::new(Device::Cpu, 0);
        let map = DroppedMap::new(&mut params, &layer);
        let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
        assert_eq!(names, ["dropped.stem.scale", "dropped.stem.shift"]);
        let (a, b) = (
            Tensor::from_slice(&[-0.5_f32, 2.0]),
            Tensor::from_slice(&[0.25_f32, -1.0]),
        );
        for (param, value) in params.iter().zip([&a, &b]) {
            // As an optimiser does it that keeps all parameters in one piece of memory.
            param.tensor.shallow_clone().set_data(value);
        }
        // The first channel keeps one unit, the second three.
        let units = [1, 0, 0, 0, 1, 1, 0, 1];
        let mask = ReluMask::from_layers(vec![units.to_vec()]);
        let plain = mask.activations(&[layer.shape], Device::Cpu).remove(0);
        let activation = plain.with(&map, &units, &layer.shape, Device::Cpu);
        let xs = draw(&[3, 2, 2, 2], 1);
        let m = Tensor::from_slice(&units)
            .to_kind(Kind::Float)
            .reshape([1, 2, 2, 2]);
        let wide = |numbers: &Tensor| numbers.reshape([1, 2, 1, 1]);
        let want: Tensor = &m * xs.relu() + (1.0 - &m) * (wide(&a) * &xs + wide(&b));
        let got = activation.forward(xs.shallow_clone());
        assert!((&got - want).abs().max().double_value(&[]) < 1e-6);
        // Fixed, it is the same to the bit, and asks for no gradient.
        let fixed = activation.frozen(None).forward(xs.shallow_clone());
        assert!(fixed.equal(&got) && !fixed.requires_grad() && got.requires_grad());

        let weights = draw(&[3, 2, 2, 2], 2);
        (got * &weights).sum(Kind::Float).backward();
        let by_channel = |terms: Tensor| {
            let of: Tensor = (1.0 - &m) * terms;
            of.sum_dim_intlist([0_i64, 2, 3].as_slice(), false, Kind::Float)
        };
        for (param, want) in params
            .iter()
            .zip([by_channel(&weights * &xs), by_channel(weights.shallow_clone())])
        {
            let away = (param.tensor.grad() - want).abs().max().double_value(&[]);
            assert!(away < 1e-5, "{}: {away}", param.name);
        }
        // A box is turned over by a negative scale, not inside out.
        let (lower, upper) = activation.forward_box(&xs - 0.5, &xs + 0.5);
        let inside = activation.forward(xs);
        assert_eq!(lower.le_tensor(&inside).all().int64_value(&[]), 1);
        assert_eq!(upper.ge_tensor(&inside).all().int64_value(&[]), 1);
        assert!(matches!(
            Activation::Relu.with(&map, &[1; 8], &layer.shape, Device::Cpu),
            Activation::Relu
        ));
    }

    #[test]
    fn a_network_starts_as_with_the_identity_to_the_bit_and_then_differs() {
        let branch = Branch::Adversarial;
        let (plain, mut started) = (network(NormBanks::Dual), network(NormBanks::Dual));
        started.replace_dropped(Dropped::Affine);
        let xs = images(4);
        assert!(started.logits(&xs, branch).equal(&plain.logits(&xs, branch)));
        assert!(
            started
                .freeze()
                .logits(&xs, branch)
                .equal(&plain.freeze().logits(&xs, branch))
        );
        // Its own parameters come behind the others, whose places stay.
        let names = |network: &Network| -> Vec<String> {
            network.params().iter().map(|param| param.name.clone()).collect()
        };
        assert!(names(&started).starts_with(&names(&plain)));
        assert_eq!(
            names(&started).len(),
            names(&plain).len() + 2 * plain.layers().len()
        );
        started.replace_dropped(Dropped::Affine);
        assert_eq!(
            names(&started).len(),
            names(&plain).len() + 2 * plain.layers().len()
        );
        let away: Tensor = grafted(NormBanks::Dual).logits(&xs, branch) - plain.logits(&xs, branch);
        assert!(away.abs().max().double_value(&[]) > 1e-2);
        // With every ReLU there is nothing to replace.
        let all = |mut network: Network| {
            network
                .set_mask(ReluMask::full(&network.layer_sizes()))
                .expect("its layers");
            network.logits(&xs, branch)
        };
        assert!(all(grafted(NormBanks::Dual)).equal(&all(plain)));
    }

    /// What attacks run is what trains, it reaches no parameter, and later updates do not reach it.
    #[test]
    fn a_frozen_network_has_the_numbers_of_its_moment() {
        let network = grafted(NormBanks::Dual);
        let branch = Branch::Clean;
        let frozen = network.freeze();
        let gradient = |folded: bool| {
            let xs = images(2).set_requires_grad(true);
            let logits = if folded {
                frozen.logits(&xs, branch)
            } else {
                network.logits(&xs, branch)
            };
            let loss = logits.square().sum(Kind::Float);
            let gradient = Tensor::run_backward(&[&loss], &[&xs], false, false).remove(0);
            (logits.detach(), gradient)
        };
        let (plain, folded) = (gradient(false), gradient(true));
        for (one, other) in [(&plain.0, &folded.0), (&plain.1, &folded.1)] {
            let scale = one.abs().max().double_value(&[]);
            assert!((one - other).abs().max().double_value(&[]) < 1e-4 * scale);
        }
        assert!(!frozen.logits(&images(1), branch).requires_grad());
        let _guard = no_grad_guard();
        for param in network.params().iter().filter(|param| is_own(&param.name)) {
            let _ = param.tensor.shallow_clone().fill_(0.0);
        }
        assert!(frozen.logits(&images(2), branch).equal(&folded.0));
        assert!(!network.logits(&images(2), branch).equal(&plain.0));
    }

    /// Every value lies in its box, which a negative scale turns over.
    #[test]
    fn boxes_hold_what_is_in_them() {
        let network = grafted(NormBanks::Dual);
        let _guard = no_grad_guard();
        let (xs, labels) = (images(3), Tensor::from_slice(&[0_i64, 1, 2]));
        let around = ((&xs - 0.02).clamp(0.0, 1.0), (&xs + 0.02).clamp(0.0, 1.0));
        let mode = (Mode::Eval(Branch::Clean), Taps::Nothing, false);
        let bounded = network.forward_box(&xs, around, &labels, mode);
        for step in [-0.02, -0.01, 0.0, 0.01, 0.02] {
            let logits = network.logits(&(&xs + step).clamp(0.0, 1.0), Branch::Clean);
            let above: Tensor = &logits - logits.gather(1, &labels.unsqueeze(1), false);
            assert_eq!(
                (above - &bounded.worst).le(1e-4).all().int64_value(&[]),
                1,
                "{step}"
            );
        }
    }

    #[test]
    fn a_model_file_brings_the_numbers_back_and_counts_their_products() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        let (network, plain) = (grafted(NormBanks::Dual), network(NormBanks::Dual));
        let classes: Vec<String> = (0..5).map(|class| class.to_string()).collect();
        let header = ModelHeader::of(&network, &classes, "shapes", 1);
        model::save(&path, &network, &header).expect("saved");
        let (loaded, read) = model::load(&path, Device::Cpu).expect("loaded");
        assert_eq!((loaded.dropped(), &read), (Dropped::Affine, &header));
        let xs = images(2);
        assert!(
            loaded
                .logits(&xs, Branch::Clean)
                .equal(&network.logits(&xs, Branch::Clean))
        );
        // A header without the word is one of a network without the numbers: it is refused, not read wrongly.
        let mut other = header.clone();
        other.record.dropped = Dropped::Identity;
        model::save(&path, &network, &other).expect("saved");
        let error = model::load(&path, Device::Cpu)
            .expect_err("other tensors")
            .to_string();
        assert!(error.contains("tensors under"), "{error}");

        // ReLUs are the same; a multiplication for every dropped unit comes in addition.
        let (record, before) = (
            header.record,
            ModelHeader::of(&plain, &classes, "shapes", 1).record,
        );
        let dropped = record.total() - record.kept();
        assert!(dropped > 0);
        assert_eq!(record.layers, before.layers);
        assert_eq!(record.linear, before.linear);
        assert_eq!(record.macs, before.macs + dropped);
        assert_eq!(network.macs(), record.macs);
        let channels: u64 = record.layers.iter().map(|layer| layer.shape[0]).sum();
        assert_eq!(record.parameters, before.parameters + 2 * channels);
        let [own, all] = Workload::of(&record);
        let [own_before, all_before] = Workload::of(&before);
        assert_eq!(all, all_before);
        let macs = |work: &Workload| work.linear.iter().map(LinearRecord::macs).sum::<u64>();
        assert_eq!(macs(&own), macs(&own_before) + dropped);
        // No product for the layer that keeps all.
        assert_eq!(
            own.linear.len(),
            own_before.linear.len() + record.layers.len() - 1
        );
        assert_eq!(
            (own.relus, own.relu_layers),
            (own_before.relus, own_before.relu_layers)
        );
    }

    /// A plan has an affine operation behind each layer that drops units, and a protocol computes it.
    #[test]
    fn protocols_compute_it() {
        let plan = |network: &Network| DeployedPlan::of(network, Branch::Clean).steps.len();
        let (network, plain) = (grafted(NormBanks::Dual), network(NormBanks::Dual));
        let dropping = network.layers().len() - 1;
        assert_eq!(plan(&network), plan(&plain) + dropping);
        let xs = images(2);
        let floating = network.freeze().logits(&xs, Branch::Clean);
        for arithmetic in ["fixed:trunc=nearest", "fixed:trunc=local"] {
            let fixed = FixedPointModel::new(grafted(NormBanks::Dual), arithmetic.parse().expect(arithmetic));
            let away: Tensor = fixed.ring_logits(&xs, Branch::Clean) - &floating;
            assert!(
                away.abs().max().double_value(&[]) < 1e-2,
                "{arithmetic}: {away:?}"
            );
        }
        // Each of these products has a width of its own, beside those of the linear layers.
        let layers = |grafts: bool| -> Vec<(String, f64)> {
            let load = || {
                Ok(match grafts {
                    true => grafted(NormBanks::Dual),
                    false => self::network(NormBanks::Dual),
                })
            };
            let fixed = "fixed".parse().expect("an arithmetic");
            let found = widths(load, fixed, Branch::Clean, &xs, &[0, 0]).expect("widths");
            found
                .layers
                .into_iter()
                .map(|layer| (layer.layer, layer.largest))
                .collect()
        };
        let (with, without) = (layers(true), layers(false));
        assert_eq!(with.len(), without.len() + dropping);
        assert!(with.iter().all(|(_, largest)| *largest > 0.0), "{with:?}");
        let has = |layer: &str| {
            with.iter()
                .any(|(name, _)| name.ends_with(&format!("dropped in {layer}")))
        };
        assert!(has("layer1.0.a") && !has("stem"), "{with:?}");
    }
}
