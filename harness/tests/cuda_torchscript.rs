//! TorchScript on a CUDA device: branches of our own, exported; and models beside the reference
//! data, their logits and the verdicts of FGSM, PGD and APGD.
//!
//! Needs a CUDA device, and for the second the reference data in `$RLNET_ORACLES` (else in `oracles/` of the
//! folder that the other tests read). The images are the first 256 of CIFAR-10's test batch, in
//! `$RLNET_DATA` where it is there, else from the packed file of the other tests. Says `SKIPPED` where
//! something is missing; fails instead where `RLNET_REQUIRE_CUDA=1` or `RLNET_ORACLES` asked for it.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

use rlnet::attack::{Classifier, Target, TorchScript, run};
use rlnet::device::{CudaState, DeviceRequest, cuda_state, open};
use rlnet::nn::{Network, NetworkSpec, Quirks, ReluMask};
use rlnet::pytorch::script;
use rlnet_suites::{Branch, NormBanks};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Device, Kind, Tensor, no_grad_guard};

const IMAGES: usize = 256;

/// One label byte, then the planes.
const RECORD: usize = 1 + 3 * 32 * 32;

/// Says what is missing; fails where this variable asked for it.
fn skipped<T>(required: &str, what: &str) -> Option<T> {
    assert!(std::env::var_os(required).is_none(), "{required} is set: {what}");
    writeln!(
        std::io::stderr(),
        "SKIPPED {}: {what}",
        std::thread::current().name().unwrap_or_default()
    )
    .ok();
    None
}

fn device() -> Option<Device> {
    match cuda_state() {
        // As `--device cuda` opens it: fp32 means fp32.
        CudaState::Devices(_) => Some(open(DeviceRequest::Cuda(0), None).expect("a device")),
        state => skipped(
            "RLNET_REQUIRE_CUDA",
            &format!("no CUDA device: {}", state.describe()),
        ),
    }
}

fn oracles() -> Option<PathBuf> {
    let folder = std::env::var_os("RLNET_ORACLES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        let shared = std::env::var_os("RLNET_SHARED").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
            PathBuf::from,
        );
        shared.join("oracles")
    });
    match folder.join("attacks/standard.pt").exists() {
        true => Some(folder),
        false => skipped(
            "RLNET_ORACLES",
            &format!(
                "{} has no attacks/standard.pt; set RLNET_ORACLES",
                folder.display()
            ),
        ),
    }
}

/// The images `[256, 3, 32, 32]` in `[0, 1]` and their labels, on the device.
fn images(oracles: &Path, device: Device) -> Option<(Tensor, Tensor)> {
    let data = std::env::var_os("RLNET_DATA")
        .map(PathBuf::from)
        .unwrap_or_default();
    let plain = data.join("cifar-10-batches-bin/test_batch.bin");
    let packed = oracles.join("../data/cifar-10-batches-bin/test_batch.bin.xz");
    let bytes = match std::fs::read(&plain) {
        Ok(bytes) => bytes,
        Err(_) => match Command::new("xz").arg("-dc").arg(&packed).output() {
            Ok(unpacked) if unpacked.status.success() => unpacked.stdout,
            _ => {
                return skipped(
                    "RLNET_ORACLES",
                    &format!("neither {} nor {} can be read", plain.display(), packed.display()),
                );
            }
        },
    };
    let records: Vec<&[u8]> = bytes.chunks_exact(RECORD).take(IMAGES).collect();
    assert_eq!(records.len(), IMAGES);
    let labels: Vec<i64> = records.iter().map(|record| i64::from(record[0])).collect();
    let pixels: Vec<u8> = records.iter().flat_map(|record| &record[1..]).copied().collect();
    let images = Tensor::from_slice(&pixels).reshape([IMAGES as i64, 3, 32, 32]);
    Some((
        images.to_device(device).to_kind(Kind::Float) / 255.0,
        Tensor::from_slice(&labels).to_device(device),
    ))
}

/// A branch that was traced on the CPU, masks and all, answers on the device as it does there;
/// its gradients, too. Reads no reference data; without a device the CPU is compared with itself.
#[test]
fn an_exported_branch_moves_to_the_device() {
    tch::set_num_threads(1);
    let device = device().unwrap_or(Device::Cpu);
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
fn logits_and_verdicts_are_the_references() {
    let Some(device) = device() else { return };
    let Some(oracles) = oracles() else { return };
    let Some((images, labels)) = images(&oracles, device) else {
        return;
    };
    let indices: Vec<u32> = (0..IMAGES as u32).collect();
    // Everything is compared before anything fails: time on a GPU is short.
    let mut found = Vec::new();
    for name in ["standard", "robust"] {
        let file = |end: &str| oracles.join(format!("attacks/{name}{end}"));
        let model = TorchScript::load(&file(".pt"), device).expect("a model");
        let reference = std::fs::read(file(".json")).expect("beside the model");
        let reference: serde_json::Value = serde_json::from_slice(&reference).expect("JSON");
        let flags =
            |key: &str| -> Vec<i64> { serde_json::from_value(reference[key]["correct"].clone()).expect(key) };
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
