//! The attacks of `specs/attacks-2.md` beside their authors' codes, image by image.

use crate::attacks::Bench;
use crate::reference::{json, oracle};
use rlnet::attack::{Classifier, Target, ball, run};
use rlnet::error::Result;
use rlnet_suites::{AttackSpec, Branch};
use std::collections::BTreeMap;
use tch::{CModule, Device, Kind, Tensor};

/// What an attack did to some of the first images that are right when clean.
struct Made {
    /// Distances, infinite where nothing was found.
    distances: Vec<f64>,
    /// The same images' distances in the reference.
    theirs: Vec<f64>,
}

fn target(bench: &Bench, count: i64) -> Target<'_> {
    let indices: Vec<u32> = (0..count as u32).collect();
    let (images, labels) = (bench.images.narrow(0, 0, count), bench.labels.narrow(0, 0, count));
    Target::new(&bench.model, Branch::Single, &images, &labels, &indices, 0)
}

/// Which of the first images are right under an attack, which stays in its ball.
fn right(bench: &Bench, text: &str, count: i64) -> Vec<bool> {
    let spec: AttackSpec = text.parse().expect(text);
    let target = target(bench, count);
    let made = run(&spec, &target, None).expect(text);
    let away = ball::length(&(&made - &target.images), spec.norm());
    let eps = spec.eps().expect("a radius");
    assert!(away.max().double_value(&[]) <= eps * (1.0 + 1e-5), "{text}");
    let fooled = target.fooled(&target.logits(&made).expect("logits"));
    let right = Vec::<bool>::try_from(fooled.logical_not()).expect("flags");
    eprintln!(
        "{} {text}: {} of {count} left",
        bench.name,
        right.iter().filter(|right| **right).count()
    );
    right
}

fn left(bench: &Bench, text: &str, count: i64) -> usize {
    right(bench, text, count)
        .into_iter()
        .filter(|right| *right)
        .count()
}

fn minimum(bench: &Bench, text: &str, key: &str, count: i64) -> Made {
    let spec: AttackSpec = text.parse().expect(text);
    let target = target(bench, count);
    let made = run(&spec, &target, None).expect(text);
    assert!(
        made.min().double_value(&[]) >= 0.0 && made.max().double_value(&[]) <= 1.0,
        "{text}"
    );
    let away = ball::length(&(&made - &target.images), spec.norm());
    let away = Vec::<f64>::try_from(away.to_kind(Kind::Double)).expect("distances");
    let fooled = target.fooled(&target.logits(&made).expect("logits"));
    let fooled = Vec::<bool>::try_from(fooled).expect("flags");
    let entry = &json(&format!("attacks_2/{}.json", bench.name))[key];
    let rows = (0..count as usize).filter(|row| entry["clean_correct"][*row] == 1);
    let (distances, theirs) = rows
        .map(|row| {
            let ours = if fooled[row] { away[row] } else { f64::INFINITY };
            (ours, entry["distance"][row].as_f64().unwrap_or(f64::INFINITY))
        })
        .unzip();
    Made { distances, theirs }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// The tolerances that the reference data suggests: the same successes, the median within a share, nine in
/// ten distances within 2 %, the mean at most 2 % longer.
fn equal(bench: &Bench, text: &str, key: &str, count: i64, of_median: f64, alike: f64) {
    let Made { distances, theirs } = no_longer(bench, text, key, count);
    let off = (median(&distances) / median(&theirs) - 1.0).abs();
    assert!(off < of_median, "{text}: median off by {off}");
    let close = close(&distances, &theirs);
    assert!(
        close as f64 >= alike * theirs.len() as f64,
        "{text}: {close} of {}",
        theirs.len()
    );
}

/// The same successes, and a mean that is at most 2 % longer.
fn no_longer(bench: &Bench, text: &str, key: &str, count: i64) -> Made {
    let Made { distances, theirs } = minimum(bench, text, key, count);
    let found = |all: &[f64]| all.iter().filter(|size| size.is_finite()).count();
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    eprintln!(
        "{} {text}: median {:.5} for {:.5}, mean {:.5} for {:.5}, {} of {} within 2 %",
        bench.name,
        median(&distances),
        median(&theirs),
        mean(&distances),
        mean(&theirs),
        close(&distances, &theirs),
        theirs.len()
    );
    assert_eq!(found(&distances), found(&theirs), "{text}");
    assert!(mean(&distances) < mean(&theirs) * 1.02, "{text}: mean");
    Made { distances, theirs }
}

/// How many distances lie within 2 % of theirs.
fn close(distances: &[f64], theirs: &[f64]) -> usize {
    let pairs = distances.iter().zip(theirs);
    pairs.filter(|(a, b)| (*a / *b - 1.0).abs() < 0.02).count()
}

/// What `tests/peers/minimum_norm.py` saved: distances by run.
fn authors_runs() -> BTreeMap<String, Vec<f64>> {
    serde_json::from_str(include_str!("../../../tests/fixtures/minimum_norm.json")).expect("distances")
}

/// Short runs of the authors' codes (`tests/peers/minimum_norm.py`), over which last bits are not multiplied: every
/// distance is theirs within 1e-4, or 1e-3 where ALMA's slope is the sign of a difference, but for one image in 16 at most, that
/// crosses a kink on the way.
fn short_runs(name: &'static str, steps: &str, count: i64) {
    let bench = Bench::open(name);
    let runs = authors_runs();
    let mut compared = 0;
    for (key, theirs) in &runs {
        let Some(text) = key.strip_prefix(name).filter(|key| key.ends_with(steps)) else {
            continue;
        };
        let spec: AttackSpec = text.trim().parse().expect(text);
        let within = if text.contains("alma:norm=l1") { 1e-3 } else { 1e-4 };
        let target = target(&bench, count);
        let made = run(&spec, &target, None).expect(text);
        let away = ball::length(&(made - &target.images), spec.norm());
        let away = Vec::<f64>::try_from(away.to_kind(Kind::Double)).expect("distances");
        let apart: Vec<_> = (away.iter().zip(theirs).enumerate())
            .filter(|(_, (ours, theirs))| (*ours - *theirs).abs() > within * *theirs)
            .collect();
        eprintln!("{key}: {} of {count} apart {apart:?}", apart.len());
        assert!(apart.len() as i64 <= count / 16, "{key}: {apart:?}");
        compared += 1;
    }
    assert!(compared >= 6, "{name}: {compared} runs of {steps}");
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn minimum_norm_attacks_take_their_authors_steps() {
    short_runs("robust", "steps=50", 16);
}

#[test]
#[ignore = "a minute of one core"]
fn minimum_norm_attacks_take_their_authors_steps_on_all_images() {
    for name in ["robust", "standard"] {
        for steps in ["steps=25", "steps=50"] {
            short_runs(name, steps, 64);
        }
    }
}

/// Deterministic attacks, in part: a path does not depend on the batch.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn minimum_norm_attacks_find_their_authors_distances() {
    let bench = Bench::open("robust");
    equal(&bench, "superdeepfool", "sdf_l2", 64, 0.01, 0.9);
    equal(&bench, "ddn", "ddn_l2", 24, 0.01, 0.9);
    equal(&bench, "ddn:quantise=false", "ddn_l2_unquantised", 24, 0.01, 0.9);
    equal(&bench, "pdgd", "pdgd_l2", 8, 0.01, 0.9);
    equal(&bench, "pdpgd:norm=l1", "pdpgd_l1", 8, 0.01, 0.9);
}

/// A model of the reference data in double precision.
struct Double(CModule);

impl Classifier for Double {
    fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
        Ok(self.0.forward_ts(&[images]).expect("logits"))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// In double precision on both sides, over many more steps: last bits are a billion times smaller there, and PDGD and PDPGD
/// can be compared over whole runs. An image or two cross a kink on the way, as they do between two runs of the authors'
/// code in other batches (`tests/peers/minimum_norm.py`): all others have the authors' distance within 1e-4.
#[test]
#[ignore = "minutes of one core"]
fn minimum_norm_attacks_are_their_authors_in_double_precision() {
    let runs = authors_runs();
    let mut compared = 0;
    for name in ["robust", "standard"] {
        let bench = Bench::open(name);
        let mut module = CModule::load(oracle(&format!("attacks/{name}.pt"))).expect("a model");
        module.to(Device::Cpu, Kind::Double, false);
        module.set_eval();
        let model = Double(module);
        for (key, theirs) in &runs {
            let Some(text) = key.strip_prefix(&format!("double {name} ")) else {
                continue;
            };
            let count = theirs.len() as i64;
            let images = bench.images.narrow(0, 0, count).to_kind(Kind::Double);
            let labels = bench.labels.narrow(0, 0, count);
            let indices: Vec<u32> = (0..count as u32).collect();
            let spec: AttackSpec = text.parse().expect(text);
            let target = Target::new(&model, Branch::Single, &images, &labels, &indices, 0);
            let made = run(&spec, &target, None).expect(text);
            assert_eq!(made.kind(), Kind::Double, "{text}");
            let away = ball::length(&(made - &target.images), spec.norm());
            let away = Vec::<f64>::try_from(away).expect("distances");
            // Of an image that is wrong as it is, C&W's code looks for an adversarial all the same.
            let compare = away.iter().zip(theirs).filter(|(ours, _)| **ours > 0.0);
            let pairs: Vec<(f64, f64)> = compare.map(|(ours, theirs)| (*ours, *theirs)).collect();
            let apart: Vec<_> = (pairs.iter())
                .filter(|(ours, theirs)| (ours - theirs).abs() > 1e-4 * theirs)
                .collect();
            eprintln!("{key}: {} of {} apart {apart:?}", apart.len(), pairs.len());
            assert!(
                pairs.len() >= 10 && apart.len() * 8 <= pairs.len(),
                "{key}: {apart:?}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 16);
}

/// As many steps as by default. Where the authors' own code finds other distances when its images come in other batches
/// (`tests/peers/minimum_norm.py --full`: ALMA has 32 and 28 of 36 within 2 % of its own, C&W 7 of 10), images are
/// compared by the tests above, and here what is left of the tolerances: as many successes, and no longer on average.
#[test]
#[ignore = "five minutes of one core"]
fn minimum_norm_attacks_find_their_authors_distances_in_full() {
    for name in ["robust", "standard"] {
        let bench = Bench::open(name);
        equal(&bench, "superdeepfool", "sdf_l2", 64, 0.01, 0.9);
        equal(&bench, "ddn", "ddn_l2", 128, 0.01, 0.9);
        equal(&bench, "ddn:quantise=false", "ddn_l2_unquantised", 128, 0.01, 0.9);
        equal(&bench, "pdpgd:norm=l2", "pdpgd_l2", 64, 0.01, 0.9);
        equal(&bench, "pdpgd:norm=l1", "pdpgd_l1", 64, 0.01, 0.9);
        equal(&bench, "pdgd", "pdgd_l2", 64, 0.01, 0.9);
        no_longer(&bench, "alma", "alma_l2", 64);
        no_longer(&bench, "alma:norm=l1,first_distance=0.5", "alma_l1_bench", 64);
        // Adam at step size 1 and a hard threshold make whole values of last bits: the median only.
        let Made { distances, theirs } = minimum(&bench, "sigma-zero", "sigma_zero_l0", 64);
        assert!(
            (median(&distances) - median(&theirs)).abs() <= 1.0,
            "{name} sigma-zero"
        );
    }
    let bench = Bench::open("robust");
    equal(&bench, "pdpgd", "pdpgd_linf", 64, 0.01, 0.9);
    no_longer(&bench, "cw-linf:steps=100", "cw_linf_100", 16);
}

/// Flags of attacks that draw: within the spread of five seeds, 2 of 128 images.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_probability_margin_and_malts_first_target_leave_what_they_should() {
    let bench = Bench::open("robust");
    assert!((28..=32).contains(&left(&bench, "apgd-pm", 128)));
    assert!((28..=32).contains(&left(&bench, "apgd-t:order=malt,targets=1", 128)));
    let pma = left(&bench, "pma", 64);
    let theirs: Vec<i64> =
        serde_json::from_value(json("attacks_2/robust.json")["pma_linf_8"]["correct"].clone())
            .expect("flags");
    let theirs = theirs[..64].iter().sum::<i64>() as usize;
    assert!(
        pma.abs_diff(theirs) <= 2,
        "pma: {pma} left, {theirs} in the reference"
    );
}

#[test]
#[ignore = "two minutes of one core"]
fn one_loss_leaves_in_l2_what_autoattack_leaves() {
    for (name, theirs) in [("robust", 50), ("standard", 6)] {
        let bench = Bench::open(name);
        for text in ["apgd-pm:norm=l2", "apgd-t:norm=l2,order=malt"] {
            assert!(left(&bench, text, 128).abs_diff(theirs) <= 2, "{name} {text}");
        }
    }
}

/// AutoAttack leaves 30 of 128, and each image that it breaks this breaks.
#[test]
#[ignore = "five minutes of one core"]
fn autoattack_plus_leaves_no_more_than_autoattack() {
    let bench = Bench::open("robust");
    let (plus, plain) = (
        right(&bench, "autoattack+", 128),
        right(&bench, "autoattack", 128),
    );
    assert!(plus.iter().filter(|right| **right).count() <= 30);
    assert!(plus.iter().zip(&plain).all(|(plus, plain)| *plain || !*plus));
}

/// Flags of a list of the reference data.
fn flags(value: &serde_json::Value) -> Vec<bool> {
    let flags: Vec<u8> = serde_json::from_value(value.clone()).expect("flags");
    flags.into_iter().map(|flag| flag == 1).collect()
}

/// That two lists of flags are equal but for one image: a search compares losses to the last bit, and the last bits of
/// logits differ between processors (`square_fab.rs` has more of it).
fn alike(what: &str, ours: &[bool], theirs: &[bool]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let differ = (0..ours.len()).filter(|image| ours[*image] != theirs[*image]);
    let differ: Vec<usize> = differ.collect();
    let left = theirs.iter().filter(|flag| **flag).count();
    eprintln!(
        "{what}: {left} left in the reference, {differ:?} of {} differ",
        ours.len()
    );
    assert!(differ.len() <= 1, "{what}: {differ:?}");
}

/// AutoAttack in L1 with the reference's stream: after each stage the same images stand.
fn union_l1(name: &'static str) {
    let bench = Bench::open(name);
    let spec: AttackSpec = "autoattack:norm=l1,reference_rng=true"
        .parse()
        .expect("autoattack");
    let target = target(&bench, 128);
    let made = run(&spec, &target, None).expect("autoattack");
    let longest = ball::length(&(&made - &target.images), spec.norm())
        .max()
        .double_value(&[]);
    assert!(longest <= 12.0 * (1.0 + 1e-6), "{longest}");
    let entry = json(&format!("attacks_2/{name}.json"))["autoattack_standard_l1_12"].clone();
    let broken_by = target.spent().broken_by;
    let mut standing: Vec<bool> = broken_by.iter().map(|by| *by != Some("clean")).collect();
    for stage in entry["stages"].as_array().expect("stages") {
        let attack = stage["attack"].as_str().expect("a name");
        for (stands, by) in standing.iter_mut().zip(&broken_by) {
            *stands &= *by != Some(attack);
        }
        alike(
            &format!("{name} l1 after {attack}"),
            &standing,
            &flags(&stage["robust_after"]),
        );
    }
    // Draws of its own are others: the same number up to two images.
    let keyed = left(&bench, "autoattack:norm=l1", 128);
    let theirs = flags(&entry["robust"]).into_iter().filter(|flag| *flag).count();
    assert!(keyed.abs_diff(theirs) <= 2, "{name} keyed: {keyed} for {theirs}");
}

/// Square in L1 alone, with the reference's stream.
fn square_l1(name: &'static str) {
    let bench = Bench::open(name);
    let ours = right(&bench, "square:norm=l1,reference_rng=true", 64);
    let theirs = flags(&json(&format!("attacks_2/{name}.json"))["square_l1_12"]["correct"]);
    alike(&format!("{name} square l1"), &ours, &theirs);
}

#[test]
#[ignore = "two minutes of one core"]
fn square_in_l1_has_the_references_flags() {
    square_l1("standard");
    square_l1("robust");
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn autoattack_in_l1_on_the_standard_model() {
    union_l1("standard");
}

#[test]
#[ignore = "two minutes of one core"]
fn autoattack_in_l1_on_the_robust_model() {
    union_l1("robust");
}

/// No image leaves the class it is to be taken for unless it reaches it, and some do.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn a_targeted_attack_counts_its_own_class_only() {
    let bench = Bench::open("standard");
    let target = target(&bench, 24);
    let clean = target.fooled(&target.logits(&target.images).expect("logits"));
    for text in [
        "pgd:target=7",
        "apgd-ce:target=second,steps=20",
        "apgd-dlr:target=7,steps=20",
        "apgd-pm:target=second,steps=20",
    ] {
        let spec: AttackSpec = text.parse().expect(text);
        let made = run(&spec, &target, None).expect(text);
        let logits = target.logits(&made).expect("logits");
        let changed = ball::length(&(&made - &target.images), spec.norm()).gt(0.0);
        let fooled = target.fooled(&logits).logical_and(&clean.logical_not());
        let taken = logits.argmax(1, false);
        if text.contains("target=7") {
            assert_eq!(
                taken
                    .masked_select(&changed)
                    .not_equal(7)
                    .sum(Kind::Int64)
                    .int64_value(&[]),
                0,
                "{text}"
            );
        }
        assert!(fooled.sum(Kind::Int64).int64_value(&[]) > 10, "{text}: {fooled}");
    }
    let error = run(&"pgd:target=10".parse().expect("a class"), &target, None).expect_err("ten classes");
    assert!(error.to_string().contains("10 classes"), "{error}");
}

/// Local optimality of the shared distances: the reference's numbers to their last printed digit, and its
/// formula (areas over the unique distances, by the trapezoid rule and exactly) to 1e-9.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn local_optimality_is_attackbenchs() {
    use rlnet_reports::metrics::optimality::{local_optimality, trapezoid};
    for name in ["robust", "standard"] {
        let numbers = json(&format!("attacks_2/{name}.json"));
        let measured = numbers["optimality"].as_object().expect("norms");
        for (norm, entry) in measured {
            let list = |value: &serde_json::Value| -> Vec<f64> {
                let all = value.as_array().expect("a list").iter();
                all.map(|size| size.as_f64().unwrap_or(f64::INFINITY)).collect()
            };
            let envelope = list(&entry["envelope"]);
            let farthest = envelope.iter().copied().fold(0.0, f64::max);
            let n = envelope.len() as f64;
            // Each unique distance with the share of images beyond it.
            let curve = |sizes: &[f64]| {
                let mut unique: Vec<f64> = sizes.iter().map(|size| size.min(farthest)).collect();
                unique.sort_by(f64::total_cmp);
                let all = unique.clone();
                unique.dedup();
                let beyond = |at: &f64| all.iter().filter(|size| *size > at).count() as f64 / n;
                unique.iter().map(|at| (*at, beyond(at))).collect::<Vec<_>>()
            };
            let area = |sizes: &[f64], exact: bool| {
                let points = curve(sizes);
                let under = |pair: &[(f64, f64)]| {
                    let height = if exact {
                        pair[0].1
                    } else {
                        (pair[0].1 + pair[1].1) / 2.0
                    };
                    (pair[1].0 - pair[0].0) * height
                };
                // The exact form begins at radius 0, where every image stands.
                let start = if exact { points[0].0 } else { 0.0 };
                start + points.windows(2).map(under).sum::<f64>()
            };
            let right = envelope.iter().filter(|size| **size > 0.0).count() as f64 / n;
            for attack in entry["attacks"].as_array().expect("attacks") {
                let attack = attack.as_str().expect("a name");
                let own = &list(&numbers[attack]["distance"])[..envelope.len()];
                for (key, exact, ours) in [
                    ("local_optimality_exact", true, local_optimality(own, &envelope)),
                    ("local_optimality_trapezoid", false, trapezoid(own, &envelope)),
                ] {
                    let best = area(&envelope, exact);
                    let formula = 1.0 - (area(own, exact) - best) / (right * farthest - best);
                    let ours = ours.expect("a number");
                    assert!(
                        (ours - formula).abs() < 1e-9,
                        "{name} {norm} {attack} {key}: {ours} for {formula}"
                    );
                    let theirs = entry[key][attack].as_f64().expect("a number");
                    assert!(
                        (ours - theirs).abs() < 5.1e-7,
                        "{name} {norm} {attack} {key}: {ours} for {theirs}"
                    );
                }
            }
        }
    }
}
