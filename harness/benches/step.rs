//! Where training's time goes: the inner attack with norms folded and not, and what they share.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use rlnet::attack::pgd::{Settings, descend};
use rlnet::attack::{Classifier, Objective};
use rlnet::bench::network;
use rlnet::error::Result;
use rlnet::nn::{Network, ReluMask};
use rlnet_suites::attack::Norm;
use rlnet_suites::train::Budget;
use rlnet_suites::{Branch, NormBanks};
use std::hint::black_box;
use tch::{Device, Kind, Tensor};

/// The network as it trains, with norms on their own.
struct Unfolded<'a>(&'a Network);

impl Classifier for Unfolded<'_> {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        Ok(self.0.logits(images, branch))
    }
    fn branches(&self) -> &[Branch] {
        NormBanks::Dual.branches()
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
}

fn inner_attack(criterion: &mut Criterion) {
    let fifth = Some(Budget::Reduction(5.0));
    let network = network("resnet10-w16", fifth, Device::Cpu).expect("a network");
    let images = Tensor::full([32, 3, 32, 32], 0.4, (Kind::Float, Device::Cpu));
    let labels = Tensor::zeros([32], (Kind::Int64, Device::Cpu));
    let settings = Settings::new(Norm::Linf, 8.0 / 255.0, 2.0 / 255.0, 7);
    let mut group = criterion.benchmark_group("pgd7_32_images_resnet10_w16");
    group.sample_size(10);
    let mut attack = |name: &str, model: &dyn Classifier| {
        let objective = Objective::CrossEntropy(labels.shallow_clone());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let made = descend(model, Branch::Adversarial, &images, &images, &objective, settings);
                black_box(made.expect("an attack"))
            });
        });
    };
    attack("folded", &network.freeze());
    attack("unfolded", &Unfolded(&network));
    group.finish();
}

/// A masked ReLU beside the plain one and beside the sum that papers write, there and back.
fn masked_relu(criterion: &mut Criterion) {
    let shape = [64_u64, 32, 32];
    let units = (64 * 32 * 32) as usize;
    let kept: Vec<u8> = (0..units).map(|unit| u8::from(unit % 5 == 0)).collect();
    let activation = |units: Vec<u8>| {
        let mask = ReluMask::from_layers(vec![units]);
        mask.activations(&[shape], Device::Cpu).remove(0)
    };
    let images = Tensor::randn([32, 64, 32, 32], (Kind::Float, Device::Cpu));
    let share = Tensor::from_slice(&kept)
        .to_kind(Kind::Float)
        .reshape([1, 64, 32, 32]);
    let mut group = criterion.benchmark_group("relu_32_images_64_channels");
    let mut bench = |name: &str, of: &dyn Fn(&Tensor) -> Tensor| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let variable = images.detach().set_requires_grad(true);
                let sum = of(&variable).sum(Kind::Float);
                black_box(Tensor::run_backward(&[&sum], &[&variable], false, false))
            });
        });
    };
    let (plain, masked) = (activation(vec![1; units]), activation(kept));
    bench("plain", &|xs| plain.forward(xs.shallow_clone()));
    bench("masked", &|xs| masked.forward(xs.shallow_clone()));
    bench("sum", &|xs| &share * xs.relu() + (1.0 - &share) * xs);
    group.finish();
}

criterion_group!(benches, inner_attack, masked_relu);
criterion_main!(benches);
