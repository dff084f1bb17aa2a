//! FGSM and zero-start PGD against two TorchScript models, image by image.

use crate::shared::{cifar10_test, json, npy_f32, oracle};
use rlnet::attack::{Classifier, TorchScript, run};
use rlnet_suites::Branch;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Tolerances of the reference data: logits 1e-4, predictions identical; attacks agree on at
/// least 254 of 256 images, and on 99.5 % of the pixels of the stored iterates within 1e-6.
fn check(name: &str) {
    let Some(path) = oracle(&format!("attacks/{name}.pt")) else {
        return;
    };
    let Some((images, labels)) = cifar10_test(256) else {
        return;
    };
    let reference = json(&format!("attacks/{name}.json")).expect("beside the model");
    let model = TorchScript::load(&path, Device::Cpu).expect("a model");
    let labels = Tensor::from_slice(&labels);
    let indices: Vec<u32> = (0..256).collect();
    let correct = |images: &Tensor| {
        let _guard = no_grad_guard();
        let logits = model.logits(images, Branch::Single).expect("logits");
        let right = logits.argmax(1, false).eq_tensor(&labels);
        Vec::<i64>::try_from(right.to_kind(Kind::Int64)).expect("flags")
    };
    let flags =
        |key: &str| -> Vec<i64> { serde_json::from_value(reference[key]["correct"].clone()).expect("flags") };
    {
        let _guard = no_grad_guard();
        let logits = model.logits(&images, Branch::Single).expect("logits");
        let want = npy_f32(&format!("attacks/{name}_logits.npy")).expect("beside the model");
        let difference = (logits - want).abs().max().double_value(&[]);
        assert!(difference < 1e-4, "{name}: logits {difference}");
    }
    let clean = correct(&images);
    assert_eq!(clean, flags("clean"));
    for (key, attack) in [
        ("fgsm_linf_8", "fgsm"),
        ("pgd20_linf_8_zero_start", "pgd:start=zero"),
    ] {
        let spec = attack.parse().expect("an attack");
        let made = run(&spec, &model, Branch::Single, &images, &labels, &indices, 0).expect("a run");
        let ours = correct(&made.images);
        let agree = ours
            .iter()
            .zip(&clean)
            .zip(flags(key))
            .filter(|((ours, clean), want)| *ours * *clean == *want)
            .count();
        assert!(agree >= 254, "{name} {key}: {agree} of 256 agree");
        let away = (&made.images - &images).abs().max().double_value(&[]);
        assert!(away <= 8.0 / 255.0 + 1e-6, "{name} {key}: {away} from the image");
        if key.starts_with("pgd") {
            let want = npy_f32(&format!("attacks/{name}_pgd20_first16.npy")).expect("beside it");
            let close = (made.images.narrow(0, 0, 16) - want).abs().le(1e-6);
            let share = close.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!(share >= 0.995, "{name}: {share} of the pixels agree");
        }
    }
    // Random start: robust accuracy within 1.5 points of the reference's three seeds.
    let spec = "pgd".parse().expect("an attack");
    let made = run(&spec, &model, Branch::Single, &images, &labels, &indices, 0).expect("a run");
    let ours = correct(&made.images).iter().sum::<i64>() as f64 / 256.0;
    let seeds = [0, 1, 2].map(|seed| {
        let key = format!("pgd20_linf_8_random_start_seed{seed}");
        flags(&key).iter().sum::<i64>() as f64 / 256.0
    });
    let mean = seeds.iter().sum::<f64>() / 3.0;
    assert!((ours - mean).abs() <= 0.015, "{name}: {ours} against {mean}");
}

#[test]
fn the_standard_model() {
    check("standard");
}

#[test]
fn the_robust_model() {
    check("robust");
}
