//! A two-convolution dual-norm network: a PGD trace and three SGD steps.

use crate::reference::{json, max_difference, tensors};
use rlnet::attack::pgd::{Settings, descend};
use rlnet::attack::{Classifier, Objective};
use rlnet::error::Result;
use rlnet::nn::ReluMask;
use rlnet::nn::layers::{Conv, ConvShape, Linear, Mode};
use rlnet::nn::mask::Activation;
use rlnet::nn::params::Params;
use rlnet::train::loss::{cross_entropy, mean};
use rlnet::train::sgd::Sgd;
use rlnet_suites::attack::Norm;
use rlnet_suites::{Branch, NormBanks};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor, no_grad_guard};

struct TinyNet {
    params: Params,
    convs: [Conv; 2],
    head: Linear,
    activations: Vec<Activation>,
}

impl TinyNet {
    fn new(tensors: &BTreeMap<String, Tensor>, masked: bool) -> Self {
        let mut params = Params::new(Device::Cpu, 0);
        let convs = [
            Conv::normed(
                &mut params,
                "conv1",
                "bn1",
                ConvShape::new(3, 8, 3, 2),
                NormBanks::Dual,
            ),
            Conv::normed(
                &mut params,
                "conv2",
                "bn2",
                ConvShape::new(8, 12, 3, 2),
                NormBanks::Dual,
            ),
        ];
        let head = Linear::new(&mut params, "linear", 12, 10);
        let shapes = [[8, 16, 16], [12, 8, 8]];
        let layers = (0..2).map(|layer| {
            if masked {
                let mask = tensors[&format!("mask.{layer}")].to_kind(Kind::Uint8);
                Vec::<u8>::try_from(mask.flatten(0, -1)).expect("bytes")
            } else {
                vec![1; shapes[layer].iter().product::<u64>() as usize]
            }
        });
        let activations = ReluMask::from_layers(layers.collect()).activations(&shapes, Device::Cpu);
        let net = Self {
            params,
            convs,
            head,
            activations,
        };
        let _guard = no_grad_guard();
        for param in net.params.iter() {
            let stored = &tensors[&format!("init.{}", official(&param.name))];
            param.tensor.shallow_clone().copy_(stored);
        }
        net
    }

    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let constant = |values: [f32; 3]| Tensor::from_slice(&values).reshape([1, 3, 1, 1]);
        let mean = constant([0.4914, 0.4822, 0.4465]);
        let std = constant([0.2023, 0.1994, 0.2010]);
        let mut xs = (images - mean) / std;
        for (conv, activation) in self.convs.iter().zip(&self.activations) {
            xs = activation.forward(conv.forward(&xs, mode));
        }
        self.head
            .forward(&xs.mean_dim([2_i64, 3].as_slice(), false, Kind::Float))
    }
}

fn official(name: &str) -> String {
    name.replace(".clean.", ".BN_c.")
        .replace(".adversarial.", ".BN_a.")
}

impl Classifier for TinyNet {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        Ok(self.forward(images, Mode::Eval(branch)))
    }
    fn branches(&self) -> &[Branch] {
        NormBanks::Dual.branches()
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// Tolerance of the reference data: 99.9 % of pixels within 1e-6 after one step, 99.5 %
/// after seven (a sign can flip where the gradient is nearly zero).
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn pgd_follows_the_references_trace_step_by_step() {
    let tensors = tensors("rlnet/tiny_net.safetensors");
    let net = TinyNet::new(&tensors, true);
    let images = &tensors["pgd.x"];
    let objectives = [
        (
            "ce",
            Objective::CrossEntropy(tensors["pgd.labels"].shallow_clone()),
        ),
        (
            "kl",
            Objective::Distillation {
                teacher: tensors["pgd.teacher_logits"].shallow_clone(),
                temperature: 4.0,
            },
        ),
    ];
    for (name, objective) in objectives {
        for steps in 1..=7 {
            let settings = Settings::new(Norm::Linf, 8.0 / 255.0, 2.0 / 255.0, steps);
            let xs =
                descend(&net, Branch::Adversarial, images, images, &objective, settings).expect("an attack");
            let want = &tensors[&format!("pgd.{name}.x_after_step{steps}")];
            let close = (xs - want)
                .abs()
                .le(1e-6)
                .to_kind(Kind::Double)
                .mean(Kind::Double);
            let needed = if steps == 1 { 0.999 } else { 0.995 };
            let share = close.double_value(&[]);
            assert!(share >= needed, "{name}, {steps} steps: {share}");
        }
    }
    // An attack must leave no gradient on any parameter.
    assert!(net.params.iter().all(|param| !param.tensor.grad().defined()));
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn three_sgd_steps_give_the_references_weights_and_statistics() {
    let (tensors, reference) = (tensors("rlnet/tiny_net.safetensors"), json("rlnet/tiny_net.json"));
    let net = TinyNet::new(&tensors, false);
    let mut sgd = Sgd::new(&net.params, 0.9, 5e-4);
    let labels = &tensors["sgd.labels"];
    let roles = [
        ("sgd.x_clean", Branch::Clean, 0),
        ("sgd.x_aug", Branch::Clean, 0),
        ("sgd.x_adv", Branch::Adversarial, 6),
    ];
    for step in 1..=3 {
        let terms = roles.map(|(name, branch, from)| {
            let images = tensors[name].narrow(0, from, 6);
            let logits = net.forward(&images, Mode::Train(branch));
            cross_entropy(&logits, &labels.narrow(0, from, 6))
        });
        let loss = mean(terms.into());
        let want = reference["sgd"]["loss_per_step"][step - 1]
            .as_f64()
            .expect("a loss");
        assert!(
            (loss.double_value(&[]) - want).abs() < 1e-5 * want,
            "loss of step {step}"
        );
        sgd.zero_grad();
        loss.backward();
        if step == 1 {
            for param in net.params.iter().filter(|param| param.trainable) {
                let want = &tensors[&format!("sgd.grad0.{}", official(&param.name))];
                let difference = max_difference(&param.tensor.grad(), want);
                assert!(difference < 1e-5, "gradient of {}: {difference}", param.name);
            }
        }
        sgd.step(0.05);
        for param in net.params.iter() {
            let want = &tensors[&format!("sgd.after{step}.{}", official(&param.name))];
            let difference = max_difference(&param.tensor, want);
            assert!(
                difference < 1e-5,
                "{} after step {step}: {difference}",
                param.name
            );
        }
    }
}
