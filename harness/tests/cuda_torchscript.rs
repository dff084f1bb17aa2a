//! TorchScript on a CUDA device: branches of our own, exported; and models beside the reference
//! data, their logits and the verdicts of FGSM, PGD and APGD.
//!
//! Ignored without a CUDA device, and the second without the reference data. The images are the first 256 of
//! CIFAR-10's test batch.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

use rlnet::attack::{Classifier, Target, TorchScript, run};
use rlnet::device::{CudaState, DeviceRequest, cuda_state, open};
use rlnet::nn::{Network, NetworkSpec, Quirks, ReluMask};
use rlnet::pytorch::script;
use rlnet_suites::{Branch, NormBanks};
use rlnet_test_support::reference;
use tch::{Device, Kind, Tensor, no_grad_guard};

const IMAGES: usize = 256;

/// One label byte, then the planes.
const RECORD: usize = 1 + 3 * 32 * 32;

/// The first CUDA device, opened as `--device cuda` opens it: fp32 means fp32.
fn cuda() -> Device {
    let state = cuda_state();
    assert!(
        matches!(state, CudaState::Devices(_)),
        "no CUDA device: {}",
        state.describe()
    );
    open(DeviceRequest::Cuda(0), None).expect("a device")
}

/// The images `[256, 3, 32, 32]` in `[0, 1]` and their labels, on the device.
fn images(device: Device) -> (Tensor, Tensor) {
    let bytes = rlnet_test_support::cifar10_test();
    let records: Vec<&[u8]> = bytes.chunks_exact(RECORD).take(IMAGES).collect();
    assert_eq!(records.len(), IMAGES);
    let labels: Vec<i64> = records.iter().map(|record| i64::from(record[0])).collect();
    let pixels: Vec<u8> = records.iter().flat_map(|record| &record[1..]).copied().collect();
    let images = Tensor::from_slice(&pixels).reshape([IMAGES as i64, 3, 32, 32]);
    (
        images.to_device(device).to_kind(Kind::Float) / 255.0,
        Tensor::from_slice(&labels).to_device(device),
    )
}

/// A branch that was traced on the CPU, masks and all, answers on the device as it does there;
/// its gradients, too.
#[test]
#[cfg_attr(not(have = "cuda"), ignore = "needs a CUDA device")]
fn an_exported_branch_moves_to_the_device() {
    compare_exported(cuda());
}

#[test]
fn an_exported_branch_answers_on_the_cpu() {
    let _ = cuda_state();
    compare_exported(Device::Cpu);
}

fn compare_exported(device: Device) {
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("branch.pt");
    for arch in ["resnet8-w8", "wrn-10-1", "vit2-w32"] {
        let network = || {
            let spec = NetworkSpec {
                arch: arch.parse().expect(arch),
                image_size: 32,
                classes: 10,
                norm: NormBanks::Dual,
                quirks: Quirks::default(),
                mean: [0.4, 0.5, 0.6],
                std: [0.2, 0.25, 0.3],
            };
            let mut network = Network::new(spec, 1, Device::Cpu);
            let sizes = network.layer_sizes();
            let keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
            network
                .set_mask(ReluMask::random(&sizes, &keep, 3))
                .expect("its layers");
            network
        };
        script::export(network(), Branch::Adversarial, &path).expect(arch);
        let script = TorchScript::load(&path, device).expect(arch);
        let network = network();
        let here = network.freeze();
        let values: Vec<f32> = (0..5 * 3 * 1024)
            .map(|i| ((i * 37) % 101) as f32 / 100.0)
            .collect();
        let images = Tensor::from_slice(&values).reshape([5, 3, 32, 32]);
        let answer = |model: &dyn Classifier, device: Device| {
            let variable = images.to_device(device).detach().set_requires_grad(true);
            let logits = model.logits(&variable, Branch::Adversarial).expect("logits");
            assert_eq!(logits.device(), device, "{arch}");
            let sum = logits.square().sum(Kind::Float);
            let slope = Tensor::run_backward(&[&sum], &[&variable], false, false).remove(0);
            [logits.detach(), slope].map(|tensor| tensor.to_device(Device::Cpu).to_kind(Kind::Double))
        };
        let (cpu, cuda) = (answer(&here, Device::Cpu), answer(&script, device));
        for (what, (want, got)) in ["logits", "gradient"].iter().zip(cpu.iter().zip(&cuda)) {
            // A ReLU beside zero may open on one side only, which moves a few pixels of a gradient.
            let away = (got - want).square().mean(Kind::Double).sqrt().double_value(&[]);
            let scale = want.square().mean(Kind::Double).sqrt().double_value(&[]);
            eprintln!("{arch}: {what} within {:.1e} of their size", away / scale);
            assert!(away <= 1e-3 * scale, "{arch}: {what} {away} of {scale}");
        }
    }
}

/// Tolerances of the reference data: logits 1e-4, predictions identical, verdicts of attacks
/// without chance on 254 of 256 images.
#[test]
#[cfg_attr(
    not(all(have = "cuda", have = "reference")),
    ignore = "needs a CUDA device and the reference data"
)]
fn logits_and_verdicts_are_the_references() {
    let device = cuda();
    let (images, labels) = images(device);
    let indices: Vec<u32> = (0..IMAGES as u32).collect();
    // Everything is compared before anything fails: time on a GPU is short.
    let mut found = Vec::new();
    for name in ["standard", "robust"] {
        let file = |end: &str| reference(&format!("oracles/attacks/{name}{end}"));
        let model = TorchScript::load(&file(".pt"), device).expect("a model");
        let verdicts = std::fs::read(file(".json")).expect("beside the model");
        let verdicts: serde_json::Value = serde_json::from_slice(&verdicts).expect("JSON");
        let flags =
            |key: &str| -> Vec<i64> { serde_json::from_value(verdicts[key]["correct"].clone()).expect(key) };
        let correct = |images: &Tensor| {
            let _guard = no_grad_guard();
            let logits = model.logits(images, Branch::Single).expect("logits");
            assert_eq!(logits.device(), device);
            let right = logits.argmax(1, false).eq_tensor(&labels);
            (
                logits,
                Vec::<i64>::try_from(right.to_kind(Kind::Int64)).expect("flags"),
            )
        };

        let (logits, clean) = correct(&images);
        let want = Tensor::read_npy(file("_logits.npy")).expect("beside the model");
        let want = want.to_device(device);
        assert_eq!(logits.size(), want.size(), "{name}");
        let away = (logits - want).abs().max().double_value(&[]);
        eprintln!("{name}: logits within {away:.1e}");
        if away.is_nan() || away >= 1e-4 {
            found.push(format!("{name}: logits {away}"));
        }
        if clean != flags("clean") {
            found.push(format!("{name}: other clean images are right"));
        }

        let target = Target::new(&model, Branch::Single, &images, &labels, &indices, 0);
        for (key, attack) in [
            ("fgsm_linf_8", "fgsm"),
            ("pgd20_linf_8_zero_start", "pgd:start=zero"),
            ("pgd20_l2_0.5_zero_start", "pgd:norm=l2,start=zero"),
            (
                "autoattack_individual_linf_8_apgd-ce",
                "apgd-ce:reference_rng=true",
            ),
        ] {
            let made = run(&attack.parse().expect(attack), &target, None).expect(attack);
            assert_eq!(made.device(), device, "{attack}");
            let (_, after) = correct(&made);
            let ours = clean.iter().zip(after).map(|(before, after)| before * after);
            let agree = ours
                .zip(flags(key))
                .filter(|(ours, theirs)| ours == theirs)
                .count();
            eprintln!("{name} {attack}: {agree} of {IMAGES} agree");
            if agree < 254 {
                found.push(format!("{name} {attack}: {agree} of {IMAGES} agree"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
