//! Minimum-norm attacks beside Foolbox and torchattacks, image by image.

use crate::attacks::Bench;
use rlnet::attack::{Target, ball, run};
use rlnet_suites::{AttackSpec, Branch};
use tch::Kind;

/// The target of the first `count` images.
fn first(bench: &Bench, count: i64) -> Target<'_> {
    let indices: Vec<u32> = (0..count as u32).collect();
    let (images, labels) = (bench.images.narrow(0, 0, count), bench.labels.narrow(0, 0, count));
    Target::new(&bench.model, Branch::Single, &images, &labels, &indices, 0)
}

/// Distances of the adversarials of the images that are right when clean, and whether each
/// was found, as an evaluation sees it: by another forward pass.
struct Found {
    distances: Vec<f64>,
    fooled: Vec<bool>,
}

impl Found {
    fn of(bench: &Bench, text: &str, count: i64) -> Self {
        let spec: AttackSpec = text.parse().expect(text);
        let target = first(bench, count);
        let before = std::time::Instant::now();
        let made = run(&spec, &target, None).expect(text);
        let seconds = before.elapsed().as_secs_f64();
        assert!(made.min().double_value(&[]) >= 0.0 && made.max().double_value(&[]) <= 1.0);
        let distances = ball::length(&(&made - &target.images), spec.norm());
        let distances = Vec::<f64>::try_from(distances.to_kind(Kind::Double)).expect("distances");
        let fooled = target.fooled(&target.logits(&made).expect("logits"));
        let fooled = Vec::<bool>::try_from(fooled).expect("flags");
        let clean = bench.flags("clean");
        for (row, &right) in clean.iter().take(count as usize).enumerate() {
            assert!(
                right == 1 || distances[row] == 0.0,
                "image {row} was wrong already"
            );
        }
        let right = |row: &usize| clean[*row] == 1;
        let rows: Vec<usize> = (0..count as usize).filter(right).collect();
        let found = Self {
            distances: rows.iter().map(|&row| distances[row]).collect(),
            fooled: rows.iter().map(|&row| fooled[row]).collect(),
        };
        eprintln!(
            "{} {text}: median {:.5}, success {:.4}, {seconds:.1} s",
            bench.name,
            found.median(),
            found.success()
        );
        found
    }

    /// The same of the first `count` test images.
    fn first(&self, bench: &Bench, count: usize) -> Self {
        let right = bench
            .flags("clean")
            .iter()
            .take(count)
            .filter(|&&flag| flag == 1)
            .count();
        Self {
            distances: self.distances[..right].to_vec(),
            fooled: self.fooled[..right].to_vec(),
        }
    }

    /// The distances of both on the images that both fool.
    fn both(&self, other: &Self) -> (Vec<f64>, Vec<f64>) {
        let fooled = |row: &usize| self.fooled[*row] && other.fooled[*row];
        let rows: Vec<usize> = (0..self.fooled.len()).filter(fooled).collect();
        let take = |found: &Self| rows.iter().map(|&row| found.distances[row]).collect();
        (take(self), take(other))
    }

    fn success(&self) -> f64 {
        self.fooled.iter().filter(|&&fooled| fooled).count() as f64 / self.fooled.len() as f64
    }

    fn median(&self) -> f64 {
        let found = self.distances.iter().zip(&self.fooled);
        median(found.filter(|(_, fooled)| **fooled).map(|(d, _)| *d).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// The reference's distances and flags of the same images.
fn reference(bench: &Bench, key: &str, count: usize) -> Found {
    let entry = &bench.reference[key];
    let norms: Vec<f64> = serde_json::from_value(entry["l2_norm"].clone()).expect("norms");
    let held = bench.flags(key);
    let clean = bench.flags("clean");
    let rows: Vec<usize> = (0..count).filter(|&row| clean[row] == 1).collect();
    Found {
        distances: rows.iter().map(|&row| norms[row]).collect(),
        fooled: rows.iter().map(|&row| held[row] == 0).collect(),
    }
}

/// Medians within 2 % of Foolbox's and every image fooled, as there. torchattacks stops some
/// images on the boundary itself, where its own second look finds them right: the medians of
/// the images that both fool are compared.
fn beside_the_references(name: &'static str) {
    let bench = Bench::open(name);
    let deepfool = Found::of(&bench, "deepfool", 256);
    for (key, count, ours) in [
        ("deepfool_l2_foolbox", 256, deepfool.first(&bench, 256)),
        ("deepfool_l2_torchattacks_first64", 64, deepfool.first(&bench, 64)),
        (
            "cw_l2_foolbox_first64",
            64,
            Found::of(&bench, "cw:search=4,steps=100,c=0.1", 64),
        ),
    ] {
        let theirs = reference(&bench, key, count);
        assert_eq!(ours.success(), 1.0, "{name} {key}");
        let (ours, theirs) = ours.both(&theirs);
        let (median, want) = (median(ours.clone()), median(theirs.clone()));
        let pairs = ours.iter().zip(&theirs);
        let alike = pairs.filter(|(a, b)| (**a / **b - 1.0).abs() < 0.01).count();
        eprintln!(
            "{name} {key}: {median:.5} for {want:.5}, {alike} of {} within 1 %",
            ours.len()
        );
        assert!(
            (median / want - 1.0).abs() < 0.02,
            "{name} {key}: {median} for {want}"
        );
    }
    // FMN goes on where DeepFool stops.
    let quick = deepfool.first(&bench, 64);
    let near = Found::of(&bench, "fmn:norm=l2", 64);
    assert_eq!(near.success(), 1.0, "{name}");
    assert!(near.median() <= quick.median(), "{name}: L2");
    let quick = Found::of(&bench, "deepfool:norm=linf", 64);
    let near = Found::of(&bench, "fmn", 64);
    assert_eq!((quick.success(), near.success()), (1.0, 1.0), "{name}");
    assert!(near.median() <= quick.median(), "{name}: Linf");
    assert_eq!(
        Found::of(&bench, "fmn:norm=l1,steps=30", 32).success(),
        1.0,
        "{name}"
    );
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_standard_model() {
    beside_the_references("standard");
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_robust_model() {
    beside_the_references("robust");
}

/// An image that PGD-20 breaks within 8/255 has a radius below it, and no search can be
/// further from the image than the one that it began with.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_radius_is_within_what_pgd_breaks() {
    let bench = Bench::open("robust");
    let (steps, count) = (25, 64);
    let radius = Found::of(&bench, &format!("radius:steps={steps},brackets=4"), count);
    let begun = Found::of(&bench, &format!("fmn:steps={steps}"), count);
    let pairs = radius.distances.iter().zip(&begun.distances);
    assert!(pairs.clone().all(|(ours, theirs)| ours <= theirs));
    assert!(
        pairs.filter(|(ours, theirs)| ours < theirs).count() > 0,
        "no bracket helped"
    );
    let eps = 8.0 / 255.0;
    let broken = |row: usize| radius.fooled[row] && radius.distances[row] <= eps * (1.0 + 1e-5);
    let ours = (0..radius.fooled.len()).filter(|&row| broken(row)).count();
    for key in ["pgd20_linf_8_zero_start", "autoattack_individual_linf_8_apgd-ce"] {
        let (held, clean) = (bench.flags(key), bench.flags("clean"));
        let rows = (0..count as usize).filter(|&row| clean[row] == 1);
        let theirs = rows.filter(|&row| held[row] == 0).count();
        eprintln!("radius within 8/255: {ours}, {key}: {theirs}");
        assert!(ours >= theirs, "{key} breaks {theirs}, radius {ours}");
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn an_image_has_the_same_adversarial_in_every_batch() {
    let bench = Bench::open("robust");
    for text in [
        "cw:search=2,steps=10,c=1",
        "deepfool:steps=4",
        "fmn:steps=8",
        "fmn:steps=5,norm=l1",
        "radius:steps=6,brackets=2,norm=l2",
    ] {
        let spec: AttackSpec = text.parse().expect(text);
        let whole = run(&spec, &first(&bench, 20), None).expect(text);
        for (from, n) in [(0, 7), (7, 7), (14, 6), (3, 1)] {
            let indices: Vec<u32> = (from as u32..(from + n) as u32).collect();
            let (images, labels) = (bench.images.narrow(0, from, n), bench.labels.narrow(0, from, n));
            let part = Target::new(&bench.model, Branch::Single, &images, &labels, &indices, 0);
            let made = run(&spec, &part, None).expect(text);
            assert_eq!(made, whole.narrow(0, from, n), "{text}: {n} from {from}");
        }
    }
}
