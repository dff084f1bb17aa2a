//! Auto-PGD and AutoAttack beside the AutoAttack reference, image by image: the reference's
//! random stream is replayed (`reference_rng=true`), all 256 images in one batch.

use crate::attacks::{Bench, share};
use rlnet::attack::{Target, run};
use rlnet_suites::{AttackSpec, Branch};

/// At least 99 % of the 256 images agree.
const ALIKE: usize = 254;

fn replay(name: &'static str, attacks: &[(&str, &str)]) {
    let bench = Bench::open(name);
    for (attack, norm) in attacks {
        let (norm_key, eps) = if *norm == "l2" {
            ("l2", "0.5")
        } else {
            ("linf", "8")
        };
        let key = format!("autoattack_individual_{norm_key}_{eps}_{attack}");
        let (ours, _) = bench.attack(&format!("{attack}:norm={norm},reference_rng=true"), 0);
        let agree = bench.agreement(&ours, &key);
        assert!(agree >= ALIKE, "{name} {attack} {norm}: {agree} of 256 agree");
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn auto_pgd_on_the_standard_model() {
    replay(
        "standard",
        &[("apgd-ce", "linf"), ("apgd-dlr", "linf"), ("apgd-t", "linf")],
    );
}

#[test]
#[ignore = "long; run with --ignored"]
fn auto_pgd_on_the_standard_model_in_l2() {
    replay(
        "standard",
        &[("apgd-ce", "l2"), ("apgd-dlr", "l2"), ("apgd-t", "l2")],
    );
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn auto_pgd_on_the_robust_model() {
    replay(
        "robust",
        &[
            ("apgd-ce", "linf"),
            ("apgd-ce", "l2"),
            ("apgd-dlr", "linf"),
            ("apgd-dlr", "l2"),
        ],
    );
}

/// A minute of one core: 256 of 256 agree in L2.
#[test]
#[ignore = "long; run with --ignored"]
fn targeted_auto_pgd_on_the_robust_model() {
    replay("robust", &[("apgd-t", "linf"), ("apgd-t", "l2")]);
}

/// Keyed draws are other draws: accuracies within two points of the reference's.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn keyed_draws_find_as_much() {
    let bench = Bench::open("robust");
    for (attack, key) in [
        ("apgd-ce", "autoattack_individual_linf_8_apgd-ce"),
        ("apgd-ce:norm=l2", "autoattack_individual_l2_0.5_apgd-ce"),
        ("apgd-dlr", "autoattack_individual_linf_8_apgd-dlr"),
    ] {
        let ours = share(&bench.attack(attack, 1).0);
        let theirs = share(&bench.flags(key));
        assert!((ours - theirs).abs() <= 0.02, "{attack}: {ours} against {theirs}");
    }
    // In L1 there are no reference numbers; the sparse search must beat sparse PGD.
    let ours = share(&bench.attack("apgd-ce:norm=l1", 0).0);
    let pgd = share(&bench.attack("pgd:norm=l1", 0).0);
    assert!(ours < pgd, "L1: {ours} by apgd-ce, {pgd} by pgd");
}

/// The same points, bit by bit, in batches of 1, 7 and 24.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn batches_do_not_matter_on_a_real_network() {
    const N: i64 = 24;
    let bench = Bench::open("robust");
    let indices: Vec<u32> = (0..N as u32).collect();
    for text in [
        "apgd-t:steps=6,targets=2",
        "apgd-dlr:norm=l2,steps=12,restarts=2",
        "apgd-ce:norm=l1,steps=12",
    ] {
        let spec: AttackSpec = text.parse().expect(text);
        let points = |from: i64, n: i64| {
            let images = bench.images.narrow(0, from, n);
            let labels = bench.labels.narrow(0, from, n);
            let indices = &indices[from as usize..(from + n) as usize];
            let target = Target::new(&bench.model, Branch::Single, &images, &labels, indices, 0);
            run(&spec, &target, None).expect(text)
        };
        let whole = points(0, N);
        assert!(!whole.equal(&bench.images.narrow(0, 0, N)), "{text} did nothing");
        for batch in [1, 7] {
            for from in (0..N).step_by(batch as usize) {
                let n = batch.min(N - from);
                let same = points(from, n).equal(&whole.narrow(0, from, n));
                assert!(same, "{text}: batches of {batch}, from {from}");
            }
        }
    }
}

/// AutoAttack as a whole: what each of its attacks leaves, and the flags at the end, robust
/// accuracy within half a point.
fn union(name: &'static str, attack: &str, key: &str) {
    let bench = Bench::open(name);
    let (stages, flags) = bench.union(key);
    let spec: AttackSpec = format!("{attack}reference_rng=true").parse().expect(attack);
    let target = bench.target(0);
    let made = run(&spec, &target, None).expect(attack);
    let ours = bench.correct(&made);
    let agree = ours.iter().zip(&flags).filter(|(a, b)| a == b).count();
    assert!(agree >= ALIKE, "{name} {attack}: {agree} of 256 agree");
    let apart = (share(&ours) - share(&flags)).abs();
    assert!(apart <= 0.005, "{name} {attack}: {apart} apart");
    let broken_by = target.spent().broken_by;
    let mut left = share(&bench.flags("clean"));
    for (stage, after) in stages {
        let broken = broken_by.iter().filter(|by| **by == Some(stage.as_str())).count();
        left -= broken as f64 / 256.0;
        assert!(
            (left - after).abs() <= 0.005,
            "{name} {stage}: {left} left, {after} in the reference"
        );
    }
}

/// The first attack breaks every image, so the others have nothing to do.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn autoattack_on_the_standard_model() {
    union("standard", "autoattack:", "autoattack_standard_linf_8");
}

/// Keyed draws are others than the reference's; its robust accuracy lies in Wilson's interval of ours.
/// Seven minutes of one core.
#[test]
#[ignore = "long; run with --ignored"]
fn autoattack_with_keyed_draws() {
    let bench = Bench::open("robust");
    for (attack, key) in [
        ("autoattack", "autoattack_standard_linf_8"),
        ("autoattack:norm=l2", "autoattack_standard_l2_0.5"),
    ] {
        let (ours, _) = bench.attack(attack, 0);
        let right = ours.iter().filter(|right| **right == 1).count() as f64;
        let theirs = share(&bench.union(key).1);
        let (n, z) = (ours.len() as f64, 1.959_964_f64);
        let (p, scale) = (right / n, 1.0 + z * z / n);
        let middle = (p + z * z / (2.0 * n)) / scale;
        let half = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        assert!((theirs - middle).abs() <= half, "{attack}: {p}, theirs {theirs}");
    }
}

/// Four minutes of one core; run on 256 images, all flags agreed in all three.
#[test]
#[ignore = "long; run with --ignored"]
fn autoattack_as_a_whole() {
    union("standard", "autoattack:norm=l2,", "autoattack_standard_l2_0.5");
    union("robust", "autoattack:", "autoattack_standard_linf_8");
    union("robust", "autoattack:norm=l2,", "autoattack_standard_l2_0.5");
}
