//! CUDA against the CPU: networks, gradients, the inner attack, and one training step of each
//! stage.
//!
//! The tests of a CUDA device are ignored where there is none; the same comparisons of the CPU with
//! itself always run. What can be compared in double precision is, where devices differ by rounding alone. Training steps are in single
//! precision, and once more in the arithmetic of `precision = "bf16"`, with wider tolerances.
//! Reads no files.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use rlnet::attack::pgd::{Settings, descend};
use rlnet::attack::{Classifier, Objective};
use rlnet::data::{Split, load};
use rlnet::device::{CudaState, cuda_state};
use rlnet::nn::layers::Mode;
use rlnet::nn::{Network, NetworkSpec, Quirks, ReluMask};
use rlnet::train::loss::cross_entropy;
use rlnet::train::{StageInput, Trained, train};
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::attack::Norm;
use rlnet_suites::objective::Precision;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::train::Stage;
use rlnet_suites::{Branch, CellSpec, NormBanks, Suite, TrainSpec, catalog};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The first CUDA device.
fn cuda() -> Device {
    let state = cuda_state();
    assert!(
        matches!(state, CudaState::Devices(_)),
        "no CUDA device: {}",
        state.describe()
    );
    Device::Cuda(0)
}

/// The CPU, as the device that is compared with the CPU.
fn cpu() -> Device {
    // libtorch looks for CUDA once, at its first use: before any tensor is made.
    let _ = cuda_state();
    Device::Cpu
}

fn spec(arch: &str, norm: NormBanks) -> NetworkSpec {
    NetworkSpec {
        arch: arch.parse().expect(arch),
        image_size: 32,
        classes: 10,
        norm,
        quirks: Quirks::default(),
        mean: [0.4, 0.5, 0.6],
        std: [0.2, 0.25, 0.3],
    }
}

/// A network in double precision, norms anything but the identity, half its ReLUs dropped.
fn scrambled(arch: &str, norm: NormBanks, seed: u64, device: Device) -> Network {
    let mut network = Network::new(spec(arch, norm), seed, device);
    let _guard = no_grad_guard();
    for (k, param) in network.params().iter().enumerate() {
        let mut tensor = param.tensor.shallow_clone();
        if tensor.dim() > 1 {
            let double = tensor.to_kind(Kind::Double);
            tensor.set_data(&double);
            continue;
        }
        let mut rng = KeyedRng::new(seed, "scramble", &[k as u64]);
        let positive = param.name.ends_with("running_var") || param.name.ends_with("weight");
        let draw = |_| {
            if positive {
                0.5 + rng.uniform()
            } else {
                rng.normal() * 0.2
            }
        };
        let values: Vec<f64> = (0..tensor.numel()).map(draw).collect();
        tensor.set_data(&Tensor::from_slice(&values).to_device(device));
    }
    let sizes = network.layer_sizes();
    let keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
    let mask = ReluMask::random(&sizes, &keep, 3);
    network.set_mask(mask).expect("its layers");
    network
}

/// Eight images in double precision, and labels.
fn images(device: Device) -> (Tensor, Tensor) {
    let mut rng = KeyedRng::new(5, "images", &[]);
    let values: Vec<f64> = (0..8 * 3 * 32 * 32).map(|_| rng.uniform()).collect();
    let labels: Vec<i64> = (0..8).map(|_| rng.below(10) as i64).collect();
    let images = Tensor::from_slice(&values).reshape([8, 3, 32, 32]);
    (
        images.to_device(device),
        Tensor::from_slice(&labels).to_device(device),
    )
}

/// Length of the difference over the length of the CPU's.
fn apart(cpu: &Tensor, other: &Tensor) -> f64 {
    let double = |tensor: &Tensor| tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double);
    let (cpu, other) = (double(cpu), double(other));
    assert_eq!(cpu.size(), other.size());
    let length = |tensor: &Tensor| tensor.square().sum(Kind::Double).double_value(&[]).sqrt();
    length(&(&cpu - other)) / length(&cpu).max(1e-12)
}

/// Everything one network gives on a device, by name.
fn answers(arch: &str, norm: NormBanks, seed: u64, device: Device) -> Vec<(String, Tensor)> {
    let network = scrambled(arch, norm, seed, device);
    let (images, labels) = images(device);
    let mut found = Vec::new();
    for &branch in norm.branches() {
        let variable = images.detach().set_requires_grad(true);
        let folded = network.freeze().logits(&variable, branch);
        let gradient = Tensor::run_backward(&[&cross_entropy(&folded, &labels)], &[&variable], false, false);
        found.push((format!("{branch} folded logits"), folded.detach()));
        found.push((format!("{branch} input gradient"), gradient[0].shallow_clone()));
        let forward = network.forward(&images, Mode::Eval(branch), true);
        for (layer, map) in forward.seen.activations.iter().enumerate() {
            found.push((format!("{branch} layer {layer}"), map.detach()));
        }
        found.push((format!("{branch} eval logits"), forward.logits.detach()));
        let logits = network.forward(&images, Mode::Train(branch), false).logits;
        found.push((format!("{branch} train logits"), logits.detach()));
        cross_entropy(&logits, &labels).backward();
    }
    for param in network.params().iter() {
        let gradient = param.tensor.grad();
        if gradient.defined() {
            found.push((format!("gradient of {}", param.name), gradient));
        } else {
            found.push((param.name.clone(), param.tensor.detach()));
        }
    }
    found
}

/// Fails with everything that was found, not at the first: time on a GPU is short.
fn fail_with(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
#[cfg_attr(not(have = "cuda"), ignore = "needs a CUDA device")]
fn networks_answer_alike_and_so_do_their_gradients() {
    compare_networks(cuda());
}

#[test]
fn networks_on_the_cpu_equal_themselves() {
    compare_networks(cpu());
}

fn compare_networks(device: Device) {
    // Threads that wait for one another cost more than networks this small gain.
    tch::set_num_threads(1);
    let mut found = Vec::new();
    for (arch, norm) in [
        ("resnet10-w4", NormBanks::Dual),
        ("wrn-16-1", NormBanks::Triple),
        ("vgg11-bn-w4", NormBanks::Single),
        ("mobilenetv2-x0.25", NormBanks::Dual),
    ] {
        let cpu = answers(arch, norm, 1, Device::Cpu);
        for ((name, cpu), (_, there)) in cpu.iter().zip(answers(arch, norm, 1, device)) {
            let difference = apart(cpu, &there);
            if difference.is_nan() || difference >= 1e-9 {
                found.push(format!("{arch} {norm:?} {name}: {difference:e} apart"));
            }
        }
    }
    fail_with(&found);
}

#[test]
fn a_difference_would_be_seen() {
    // libtorch looks for CUDA once, at its first use: before any tensor is made.
    let _ = cuda_state();
    tch::set_num_threads(1);
    let of = |seed| answers("resnet10-w4", NormBanks::Dual, seed, Device::Cpu);
    let (one, two) = (of(1), of(2));
    let seen = |((name, a), (_, b)): (&(String, Tensor), &(String, Tensor))| {
        let difference = apart(a, b);
        assert!(difference > 1e-3, "{name}: only {difference:e} apart");
    };
    one.iter().zip(&two).for_each(seen);
    let (a, b) = (
        &step(Stage::Teacher, Attack::Pgd, Precision::Fp32, 0, Device::Cpu),
        &step(Stage::Teacher, Attack::Pgd, Precision::Fp32, 1, Device::Cpu),
    );
    assert!(apart(&update(a), &update(b)) > 0.5);
}

#[test]
#[cfg_attr(not(have = "cuda"), ignore = "needs a CUDA device")]
fn pgd_takes_the_same_steps() {
    compare_pgd(cuda());
}

#[test]
fn pgd_on_the_cpu_equals_itself() {
    compare_pgd(cpu());
}

fn compare_pgd(device: Device) {
    // Threads that wait for one another cost more than networks this small gain.
    tch::set_num_threads(1);
    for kl in [false, true] {
        for steps in 1..=7 {
            let settings = Settings::new(Norm::Linf, 8.0 / 255.0, 2.0 / 255.0, steps);
            let points = [Device::Cpu, device].map(|device| {
                let network = scrambled("resnet10-w4", NormBanks::Dual, 1, device);
                let (images, labels) = images(device);
                let objective = if kl {
                    let teacher = scrambled("resnet10-w4", NormBanks::Dual, 2, device);
                    let _guard = no_grad_guard();
                    Objective::Distillation {
                        teacher: teacher.logits(&images, Branch::Clean),
                        temperature: 4.0,
                    }
                } else {
                    Objective::CrossEntropy(labels)
                };
                let frozen = network.freeze();
                let model: &dyn Classifier = &frozen;
                let branch = Branch::Adversarial;
                let points = descend(model, branch, &images, &images, &objective, settings);
                points.expect("an attack").to_device(Device::Cpu)
            });
            let [cpu, there] = points;
            let close = (cpu - there).abs().le(1e-9).to_kind(Kind::Double);
            let share = close.mean(Kind::Double).double_value(&[]);
            // Cross entropy is summed in single precision by `descend`, so a gradient that is
            // zero but for rounding may point either way.
            assert!(share >= 0.9995, "kl {kl}, {steps} steps: {share} of the pixels");
        }
    }
}

/// Rendering the embedded data set takes seconds; once is enough.
fn splits() -> (Arc<Split>, Split) {
    static IMAGES: LazyLock<(Arc<Split>, Split)> = LazyLock::new(|| {
        let all = load("shapes", Path::new("")).expect("the embedded data set");
        (Arc::new(all.train.take(32)), all.test.take(16))
    });
    IMAGES.clone()
}

/// What a step attacks with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Attack {
    None,
    /// Two sign steps. More of them compare nothing: where the gradient of one pixel is zero but for
    /// rounding, two devices step apart, and from then on eight times as many pixels of that image
    /// each step (of the 3,072 of one of these images 1, 8, 89, 311 and 695 in steps 3 to 7, between
    /// two instruction sets of one CPU). `pgd_takes_the_same_steps` follows all seven in double
    /// precision.
    Pgd,
}

/// A stage of the demo suite that has one epoch of one batch.
fn stage_spec(stage: Stage, attack: Attack, precision: Precision, seed: u64) -> TrainSpec {
    let name = match stage {
        Stage::Teacher => "teacher",
        Stage::Mask | Stage::Snl => "mask",
        _ => "rlnet",
    };
    let mut sets = vec![
        "network.arch=resnet10-w8".to_owned(),
        "training.batch=32".to_owned(),
        "training.attack=\"pgd:steps=2\"".to_owned(),
        format!("training.seed={seed}"),
        format!("train.{name}.with.epochs=1"),
        format!("train.{name}.with.select=last"),
    ];
    if attack == Attack::None {
        sets.push(format!("train.{name}.views=[\"clean\", \"augmix\"]"));
    }
    let text = catalog::find("demo").expect("the demo suite");
    let suite = Suite::parse(text, "demo", &sets).expect("a suite");
    let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
    let cell = plan.cells.into_iter().find(|cell| cell.name == name);
    match cell.expect("a stage").spec {
        CellSpec::Train(spec) => TrainSpec {
            stage,
            precision,
            lasso: if stage == Stage::Snl { 1e-3 } else { 0.0 },
            ..spec
        },
        CellSpec::Evaluate(_) => unreachable!("{name} is trained"),
    }
}

/// A masked network, in single precision, with statistics as after some training.
fn warmed(seed: u64, masked: bool, device: Device) -> Network {
    let mut network = Network::new(spec("resnet10-w8", NormBanks::Dual), seed, Device::Cpu);
    let (images, _) = images(Device::Cpu);
    let images = images.to_kind(Kind::Float);
    for &branch in NormBanks::Dual.branches() {
        let _guard = no_grad_guard();
        for _ in 0..20 {
            let _ = network.forward(&images, Mode::Train(branch), false);
        }
    }
    if masked {
        let sizes = network.layer_sizes();
        let keep: Vec<u64> = sizes.iter().map(|n| n / 4).collect();
        let mask = ReluMask::random(&sizes, &keep, 0);
        network.set_mask(mask).expect("its layers");
    }
    let mut there = Network::new(network.spec().clone(), seed, device);
    {
        let _guard = no_grad_guard();
        for (from, to) in network.params().iter().zip(there.params().iter()) {
            to.tensor.shallow_clone().copy_(&from.tensor);
        }
    }
    there.set_mask(network.mask().clone()).expect("its layers");
    there
}

/// One training step.
fn step(stage: Stage, attack: Attack, precision: Precision, seed: u64, device: Device) -> (Trained, Network) {
    let spec_ = stage_spec(stage, attack, precision, seed);
    let (images, validation) = splits();
    let teacher = (stage != Stage::Teacher).then(|| warmed(11, false, device));
    let start = (stage == Stage::Student).then(|| warmed(12, true, device));
    let network = spec("resnet10-w8", NormBanks::Dual);
    let before = match stage {
        Stage::Student => warmed(12, true, Device::Cpu),
        Stage::Snl => warmed(11, false, Device::Cpu),
        _ => Network::new(network.clone(), seed, Device::Cpu),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let trained = train(&StageInput {
        cell: "cell",
        name: "test",
        spec: &spec_,
        network,
        teacher: teacher.as_ref(),
        start: start.as_ref(),
        train: images,
        validation: &validation,
        device,
        work: folder.path(),
    });
    (trained.expect("a step"), before)
}

/// What the step changed, all trainable tensors in a row.
fn update((trained, before): &(Trained, Network)) -> Tensor {
    changes(trained, before, true)
}

fn changes(trained: &Trained, before: &Network, trainable: bool) -> Tensor {
    let _guard = no_grad_guard();
    let pairs = trained.network.params().iter().zip(before.params().iter());
    let pairs = pairs.filter(|(after, _)| after.trainable == trainable);
    let changes: Vec<Tensor> = pairs
        .map(|(after, before)| (after.tensor.to_device(Device::Cpu) - &before.tensor).flatten(0, -1))
        .collect();
    Tensor::cat(&changes, 0)
}

#[test]
#[cfg_attr(not(have = "cuda"), ignore = "needs a CUDA device")]
fn one_step_of_each_stage_trains_the_same_network() {
    compare_training(cuda());
}

#[test]
fn training_on_the_cpu_equals_itself() {
    compare_training(cpu());
}

fn compare_training(device: Device) {
    // Threads that wait for one another cost more than networks this small gain.
    tch::set_num_threads(1);
    let mut found = Vec::new();
    for stage in [Stage::Teacher, Stage::Mask, Stage::Student, Stage::Snl] {
        for (attack, precision) in [
            (Attack::None, Precision::Fp32),
            (Attack::Pgd, Precision::Fp32),
            (Attack::Pgd, Precision::Bf16),
        ] {
            // Tolerances of a loss (of the total: a small divergence is the difference of large
            // terms), of an update and of statistics, relative, and the share of mask units that
            // may differ. A sign step turns the last bit of a gradient near zero
            // into a whole step, in a few pixels; in bfloat16 (and TF32 outside the attack) that is
            // many of them.
            let (loss, update_, statistics, units) = match (precision, attack) {
                (Precision::Fp32, Attack::None) => (1e-5, 1e-3, 1e-4, 5e-4),
                (Precision::Fp32, _) => (1e-4, 3e-3, 3e-4, 5e-4),
                _ => (1e-2, 2e-1, 2e-2, 2e-2),
            };
            let what = format!("{stage:?}, {attack:?}, {precision:?}");
            let cpu = step(stage, attack, precision, 0, Device::Cpu);
            let there = step(stage, attack, precision, 0, device);
            let mut compared = 0;
            let total = cpu.0.curves.iter().find(|point| point.metric == "loss/total");
            let total = total.expect("a loss").value.abs();
            let mut check = |what: String, difference: f64, limit: f64| {
                if difference.is_nan() || difference > limit {
                    found.push(format!("{what}: {difference:e} apart, {limit:e} allowed"));
                }
            };
            for (a, b) in cpu.0.curves.iter().zip(&there.0.curves) {
                assert_eq!(a.metric, b.metric);
                if a.metric.starts_with("loss/") {
                    let said = format!("{what}: {} {} against {}", a.metric, a.value, b.value);
                    check(said, (a.value - b.value).abs() / total, loss);
                    compared += 1;
                }
            }
            assert!(compared >= 2, "{what}: {compared} losses");
            let of = |step: &(Trained, Network)| changes(&step.0, &step.1, false);
            check(
                format!("{what}: statistics"),
                apart(&of(&cpu), &of(&there)),
                statistics,
            );
            // The first step of Adam is the gradient's sign, whatever its size: rounding decides
            // where it is near zero, and with it which slopes are the largest.
            if stage == Stage::Snl {
                continue;
            }
            let difference = apart(&update(&cpu), &update(&there));
            check(format!("{what}: updates"), difference, update_);
            let differ = cpu.0.network.mask().hamming(there.0.network.mask());
            check(format!("{what}: the mask's units"), differ, units);
            assert_eq!(
                cpu.0.network.mask().kept(),
                there.0.network.mask().kept(),
                "{what}"
            );
        }
    }
    fail_with(&found);
}
