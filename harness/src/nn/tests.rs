//! What every architecture must do alike, whatever its layers.

use super::layers::Mode;
use super::{Frozen, Network, NetworkSpec, Quirks, ReluMask, Taps};
use crate::attack::lanes::whole_lanes;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::{Branch, NormBanks};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// One narrow network a family.
const NARROW: [&str; 5] = [
    "resnet10-w4",
    "wrn-16-1",
    "vgg11-bn-w4",
    "mobilenetv2-x0.25",
    "vit2-w64",
];

fn spec(arch: &str, image_size: u64, norm: NormBanks) -> NetworkSpec {
    NetworkSpec {
        arch: arch.parse().expect(arch),
        image_size,
        classes: 7,
        norm,
        quirks: Quirks::default(),
        mean: [0.4, 0.5, 0.6],
        std: [0.2, 0.25, 0.3],
    }
}

/// A network in double precision whose norms are anything but the identity, half its ReLUs
/// dropped.
fn scrambled(arch: &str, norm: NormBanks) -> Network {
    let mut network = Network::new(spec(arch, 32, norm), 1, Device::Cpu);
    let _guard = no_grad_guard();
    for (k, param) in network.params().iter().enumerate() {
        let mut rng = KeyedRng::new(7, "scramble", &[k as u64]);
        let mut tensor = param.tensor.shallow_clone();
        let double = tensor.to_kind(Kind::Double);
        if tensor.dim() == 1 {
            let positive = param.name.ends_with("running_var") || param.name.ends_with("weight");
            let draw = |_| {
                if positive {
                    0.5 + rng.uniform()
                } else {
                    rng.normal() * 0.2
                }
            };
            let values: Vec<f64> = (0..tensor.numel()).map(draw).collect();
            tensor.set_data(&Tensor::from_slice(&values));
        } else {
            tensor.set_data(&double);
        }
    }
    let sizes = network.layer_sizes();
    let keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
    network
        .set_mask(ReluMask::random(&sizes, &keep, 3))
        .expect("its layers");
    network
}

fn images(n: i64, size: i64) -> Tensor {
    let mut rng = KeyedRng::new(5, "images", &[]);
    let values: Vec<f64> = (0..n * 3 * size * size).map(|_| rng.uniform()).collect();
    Tensor::from_slice(&values).reshape([n, 3, size, size])
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    let scale = b.abs().max().double_value(&[]);
    (a - b).abs().max().double_value(&[]) / scale
}

/// In double precision nothing is left to rounding: logits and input gradients agree to 1e-10.
#[test]
fn folding_changes_nothing() {
    for arch in NARROW {
        for norm in [NormBanks::Single, NormBanks::Triple] {
            let network = scrambled(arch, norm);
            let frozen = network.freeze();
            let mut answers = Vec::new();
            for &branch in norm.branches() {
                let gradient = |folded: bool| {
                    let xs = images(1, 32).set_requires_grad(true);
                    let logits = if folded {
                        frozen.logits(&xs, branch)
                    } else {
                        network.logits(&xs, branch)
                    };
                    let loss = logits.square().sum(Kind::Double);
                    let gradient = Tensor::run_backward(&[&loss], &[&xs], false, false).remove(0);
                    (logits.detach(), gradient)
                };
                let (plain, folded) = (gradient(false), gradient(true));
                let what = format!("{arch} {branch}");
                assert!(difference(&folded.0, &plain.0) < 1e-10, "{what}: logits");
                assert!(difference(&folded.1, &plain.1) < 1e-10, "{what}: gradient");
                answers.push(plain.0);
            }
            // Every bank is its own.
            for pair in answers.windows(2) {
                assert!(difference(&pair[0], &pair[1]) > 1e-3, "{arch}: two banks agree");
            }
            // An attack reaches no parameter.
            assert!(
                network
                    .params()
                    .iter()
                    .all(|param| !param.tensor.grad().defined())
            );
        }
    }
}

/// To the bit, logits and gradients: alone, among seven, in the middle of forty.
#[test]
fn an_image_gets_the_same_bits_in_every_batch() {
    // With one thread libtorch changes its convolution for 1x1 filters below 16 images.
    tch::set_num_threads(1);
    for arch in NARROW {
        let mut network = Network::new(spec(arch, 32, NormBanks::Dual), 3, Device::Cpu);
        let sizes = network.layer_sizes();
        let keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
        let mask = ReluMask::random(&sizes, &keep, 3);
        network.set_mask(mask).expect("its layers");
        let frozen = network.into_frozen();
        let all = images(40, 32).to_kind(Kind::Float);
        let answer = |from: i64, n: i64| {
            let xs = all.narrow(0, from, n).copy().set_requires_grad(true);
            let logits = whole_lanes(&frozen, &xs, Branch::Adversarial).expect("logits");
            let loss = logits.square().sum(Kind::Float);
            let gradient = Tensor::run_backward(&[&loss], &[&xs], false, false).remove(0);
            (logits.detach(), gradient)
        };
        let whole = answer(0, 40);
        for n in [1, 7, 8, 9, 15, 16, 17, 31] {
            let part = answer(20 - n / 2, n);
            for (what, whole, part) in [("logits", &whole.0, &part.0), ("gradient", &whole.1, &part.1)] {
                assert!(
                    part.equal(&whole.narrow(0, 20 - n / 2, n)),
                    "{arch}: {what} of {n}"
                );
            }
        }
    }
}

/// bfloat16 keeps 8 bits: through some ten layers logits stay within a few percent, and most
/// signs of the input gradient, which is what an attack uses, are the same.
#[test]
fn a_network_in_bf16_is_nearly_the_same_and_answers_in_single_precision() {
    let network = Network::new(spec("resnet10-w8", 32, NormBanks::Dual), 3, Device::Cpu);
    let (plain, half) = (
        network.freeze(),
        network.freeze_branch(Branch::Adversarial, Some(Kind::BFloat16)),
    );
    let xs = images(4, 32).to_kind(Kind::Float);
    let gradient = |model: &Frozen<&Network>| {
        let xs = xs.copy().set_requires_grad(true);
        let logits = model.logits(&xs, Branch::Adversarial);
        assert_eq!(logits.kind(), Kind::Float);
        let loss = logits.square().sum(Kind::Float);
        let gradient = Tensor::run_backward(&[&loss], &[&xs], false, false).remove(0);
        (logits.detach(), gradient)
    };
    let (plain, half) = (gradient(&plain), gradient(&half));
    assert!(difference(&half.0, &plain.0) < 0.05);
    assert!(difference(&half.0, &plain.0) > 0.0);
    let same = half.1.sign().eq_tensor(&plain.1.sign());
    let share = same.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    assert!(share > 0.95, "{share}");
}

/// The layer table is counted on shapes; this is what the tensors do.
#[test]
fn layers_are_as_large_as_the_table_says_at_every_size() {
    let _guard = no_grad_guard();
    for arch in NARROW {
        for size in [32, 64, 224] {
            let network = Network::new(spec(arch, size, NormBanks::Single), 0, Device::Cpu);
            let xs = images(1, size as i64).to_kind(Kind::Float);
            let forward = network.forward(&xs, Mode::Eval(Branch::Single), Taps::Inputs);
            assert_eq!(forward.logits.size(), [1, 7], "{arch} at {size}");
            let seen: Vec<Vec<i64>> = forward.seen.activations.iter().map(Tensor::size).collect();
            let want: Vec<Vec<i64>> = network
                .layer_shapes()
                .iter()
                .map(|&[c, h, w]| vec![1, c as i64, h as i64, w as i64])
                .collect();
            assert_eq!(seen, want, "{arch} at {size}");
            for (input, output) in forward.seen.inputs.iter().zip(&forward.seen.activations) {
                assert_eq!(input.relu(), *output, "{arch} at {size}");
            }
            let stages = match arch {
                "vgg11-bn-w4" => 5,
                "wrn-16-1" => 3,
                "vit2-w64" => 2,
                _ => 4,
            };
            assert_eq!(forward.seen.stages.len(), stages, "{arch} at {size}");
            let survey = network.spec().arch.survey(size, 7);
            assert_eq!(survey.layers, network.layers());
            assert_eq!(survey.macs(), network.macs());
            assert_eq!(survey.parameters, network.params().count());
        }
    }
}

#[test]
fn training_moves_the_statistics_of_its_own_branch_only() {
    for arch in NARROW {
        let network = Network::new(spec(arch, 32, NormBanks::Triple), 0, Device::Cpu);
        let statistics = || -> Vec<(String, Tensor)> {
            let carried = network.params().iter().filter(|param| !param.trainable);
            carried
                .map(|param| (param.name.clone(), param.tensor.copy()))
                .collect()
        };
        let before = statistics();
        let xs = images(4, 32).to_kind(Kind::Float);
        let _logits = network.forward(&xs, Mode::Train(Branch::Natural), Taps::Nothing);
        for ((name, before), (_, after)) in before.iter().zip(statistics()) {
            let moved = *before != after;
            assert_eq!(moved, name.contains(".natural."), "{arch}: {name}");
        }
    }
}

/// Deviation sqrt(2 / (k² C_out)) for every convolution; heads as their families have them.
#[test]
fn weights_start_as_the_reference_starts_them() {
    let deviation = |network: &Network, name: &str| {
        let param = network.params().iter().find(|param| param.name == name);
        let tensor = &param.unwrap_or_else(|| panic!("no {name}")).tensor;
        tensor.std(false).double_value(&[])
    };
    for (arch, conv, fan_out, head, bias) in [
        ("resnet18-w32", "layer4.1.conv2.weight", 9 * 256, None, true),
        ("wrn-10-4", "block3.0.conv2.weight", 9 * 256, None, false),
        ("vgg16-bn-w32", "block4.2.conv.weight", 9 * 256, Some(0.01), false),
        ("mobilenetv2-x0.5", "last.conv.weight", 1280, Some(0.01), false),
        ("vit2-w256", "blocks.1.expand.conv.weight", 512, None, true),
    ] {
        let network = Network::new(spec(arch, 32, NormBanks::Single), 0, Device::Cpu);
        let want = (2.0 / f64::from(fan_out)).sqrt();
        let got = deviation(&network, conv);
        assert!((got / want - 1.0).abs() < 0.02, "{arch}: {got} against {want}");
        let size = network
            .params()
            .iter()
            .find(|param| param.name == "linear.weight")
            .map(|param| param.tensor.size()[1] as f64)
            .expect("a head");
        // A uniform on ±1/sqrt(n) deviates by 1/sqrt(3 n).
        let want = head.unwrap_or_else(|| (1.0 / (3.0 * size)).sqrt());
        let got = deviation(&network, "linear.weight");
        assert!((got / want - 1.0).abs() < 0.1, "{arch}: {got} against {want}");
        assert_eq!(deviation(&network, "linear.bias") > 0.0, bias, "{arch}");
    }
}
