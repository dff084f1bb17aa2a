//! Attacks against two TorchScript models, image by image, beside the reference libraries.

use crate::reference::{cifar10_test, json, npy_f32, oracle};
use rlnet::attack::{Classifier, Target, TorchScript, ball, run};
use rlnet_suites::{AttackSpec, Branch};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A model, the first 256 test images, and what the references say of them.
pub struct Bench {
    /// Its name in the reference data.
    pub name: &'static str,
    /// The model.
    pub model: TorchScript,
    /// `[256, 3, 32, 32]`.
    pub images: Tensor,
    /// `[256]` int64.
    pub labels: Tensor,
    /// What the reference libraries found, by key.
    pub reference: serde_json::Value,
}

impl Bench {
    /// From the reference data.
    pub fn open(name: &'static str) -> Self {
        let (images, labels) = cifar10_test(256);
        Self {
            name,
            model: TorchScript::load(&oracle(&format!("attacks/{name}.pt")), Device::Cpu).expect("a model"),
            images,
            labels: Tensor::from_slice(&labels),
            reference: json(&format!("attacks/{name}.json")),
        }
    }

    /// The target of all images whose index `keep` takes.
    pub fn target(&self, seed: u64) -> Target<'_> {
        let indices: Vec<u32> = (0..256).collect();
        Target::new(
            &self.model,
            Branch::Single,
            &self.images,
            &self.labels,
            &indices,
            seed,
        )
    }

    /// Whether each image is classified rightly, 1 or 0.
    pub fn correct(&self, images: &Tensor) -> Vec<i64> {
        let _guard = no_grad_guard();
        let logits = self.model.logits(images, Branch::Single).expect("logits");
        let right = logits.argmax(1, false).eq_tensor(&self.labels);
        Vec::<i64>::try_from(right.to_kind(Kind::Int64)).expect("flags")
    }

    /// The reference's flags under a key: right when clean and under the attack.
    pub fn flags(&self, key: &str) -> Vec<i64> {
        serde_json::from_value(self.reference[key]["correct"].clone()).expect(key)
    }

    /// What the reference's AutoAttack left: its attacks in order with the share of images
    /// that each left, and the flags at the end.
    pub fn union(&self, key: &str) -> (Vec<(String, f64)>, Vec<i64>) {
        let entry = &self.reference[key];
        let stages = entry["stages"].as_array().expect(key).iter().map(|stage| {
            let name = stage["attack"].as_str().expect("a name").to_owned();
            (name, stage["accuracy_after"].as_f64().expect("a share"))
        });
        (
            stages.collect(),
            serde_json::from_value(entry["robust"].clone()).expect(key),
        )
    }

    /// Runs an attack on all images: flags (right when clean and after it) and images. The
    /// result must lie in ball and box.
    pub fn attack(&self, text: &str, seed: u64) -> (Vec<i64>, Tensor) {
        let spec: AttackSpec = text.parse().expect(text);
        let made = run(&spec, &self.target(seed), None).expect(text);
        let eps = spec.eps().unwrap_or(0.0);
        let away = ball::length(&(&made - &self.images), spec.norm())
            .max()
            .double_value(&[]);
        assert!(
            eps == 0.0 || away <= eps * (1.0 + 1e-5),
            "{} {text}: {away} away",
            self.name
        );
        assert!(made.min().double_value(&[]) >= 0.0 && made.max().double_value(&[]) <= 1.0);
        let clean = self.flags("clean");
        let flags = self.correct(&made);
        (flags.iter().zip(&clean).map(|(a, b)| a * b).collect(), made)
    }

    /// On how many of the 256 images two lists of flags agree.
    pub fn agreement(&self, ours: &[i64], key: &str) -> usize {
        let theirs = self.flags(key);
        ours.iter().zip(&theirs).filter(|(a, b)| a == b).count()
    }
}

/// Share of set flags.
pub fn share(flags: &[i64]) -> f64 {
    flags.iter().sum::<i64>() as f64 / flags.len() as f64
}

/// Tolerances of the reference data: logits 1e-4, predictions identical; deterministic
/// attacks agree on at least 254 of 256 images, and on 99.5 % of the pixels of the stored
/// iterates within 1e-6; MI-FGSM on 253; random starts within 1.5 points of the mean of three
/// seeds.
fn check(name: &'static str) {
    let bench = Bench::open(name);
    {
        let _guard = no_grad_guard();
        let logits = bench.model.logits(&bench.images, Branch::Single).expect("logits");
        let want = npy_f32(&format!("attacks/{name}_logits.npy"));
        let difference = (logits - want).abs().max().double_value(&[]);
        assert!(difference < 1e-4, "{name}: logits {difference}");
    }
    assert_eq!(bench.correct(&bench.images), bench.flags("clean"));
    for (key, attack, needed) in [
        ("fgsm_linf_8", "fgsm", 254),
        ("pgd20_linf_8_zero_start", "pgd:start=zero", 254),
        ("pgd20_linf_8_zero_start", "bim:steps=20", 254),
        ("pgd20_l2_0.5_zero_start", "pgd:norm=l2,start=zero", 254),
        ("mifgsm10_linf_8_alpha_2", "mifgsm", 253),
        ("mifgsm10_linf_8_alpha_0.8", "mifgsm:alpha=0.8/255", 253),
    ] {
        let (ours, made) = bench.attack(attack, 0);
        let agree = bench.agreement(&ours, key);
        assert!(agree >= needed, "{name} {attack}: {agree} of 256 agree");
        if attack == "pgd:start=zero" {
            let want = npy_f32(&format!("attacks/{name}_pgd20_first16.npy"));
            let close = (made.narrow(0, 0, 16) - want).abs().le(1e-6);
            let share = close.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!(share >= 0.995, "{name}: {share} of the pixels agree");
        }
    }
    let (ours, _) = bench.attack("pgd", 0);
    let seeds = [0, 1, 2].map(|seed| share(&bench.flags(&format!("pgd20_linf_8_random_start_seed{seed}"))));
    let mean = seeds.iter().sum::<f64>() / 3.0;
    assert!(
        (share(&ours) - mean).abs() <= 0.015,
        "{name}: {} against {mean}",
        share(&ours)
    );
    // Early stopping can only break more; noise is no attack at all.
    let (stopped, _) = bench.attack("pgd:early_stop=true", 0);
    assert!(share(&stopped) <= share(&ours));
    let (noisy, _) = bench.attack("noise", 0);
    assert!(
        share(&noisy) > share(&ours) + 0.1,
        "{name}: noise {}",
        share(&noisy)
    );
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_standard_model() {
    check("standard");
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_robust_model() {
    check("robust");
}
