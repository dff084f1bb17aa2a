//! Linear models, images away from the walls of the box: which images are robust is known exactly, for every norm.
//!
//! No attack may break another image, and attacks that try every class leave exactly these. The radius lies where it
//! separates images best, so that no verdict hangs on the last bits.

use crate::toys::{Toy, images, target};
use rlnet::attack::{ball, run};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::{CATALOGUE, Norm, ParamKind, is_inside};
use tch::{Kind, Tensor};

const CLASSES: i64 = 5;
const VALUES: i64 = 3 * 4 * 4;
const IMAGES: i64 = 24;

/// The smallest radius within which each image can be taken for another class.
fn critical(model: &Toy, images: &Tensor, labels: &Tensor, norm: Norm) -> Vec<f64> {
    let pixels = images.flatten(1, -1).to_kind(Kind::Double);
    let (weights, bias) = (
        model.weights.to_kind(Kind::Double),
        model.bias.to_kind(Kind::Double),
    );
    let of_image = |row: i64| {
        let (image, own) = (pixels.get(row), labels.int64_value(&[row]));
        let towards = |class: i64| {
            let slope = weights.get(class) - weights.get(own);
            let gap = -(slope.dot(&image) + bias.get(class) - bias.get(own)).double_value(&[]);
            if norm != Norm::L0 {
                return gap / ball::length(&slope.unsqueeze(0), ball::dual(norm)).double_value(&[0]);
            }
            // The values that help most, each as far as the box lets it go.
            let room: Tensor = (1.0 - &image) * slope.clamp_min(0.0) - &image * slope.clamp_max(0.0);
            let most = Vec::<f64>::try_from(room.sort(0, true).0.cumsum(0, Kind::Double)).expect("sums");
            most.iter().take_while(|sum| **sum <= gap).count() as f64 + 1.0
        };
        let others = (0..CLASSES).filter(|class| *class != own);
        others.map(towards).fold(f64::INFINITY, f64::min)
    };
    (0..IMAGES).map(of_image).collect()
}

/// In the widest gap, as a ratio, among the middle half of the radii.
fn separating(radii: &[f64]) -> f64 {
    let mut sorted = radii.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = &sorted[sorted.len() / 4..sorted.len() * 3 / 4];
    let gaps = middle.windows(2);
    let widest = gaps
        .max_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])))
        .expect("radii");
    (widest[0] * widest[1]).sqrt()
}

/// Every attack of the registry in a norm, at its defaults; those with long searches do less of it.
fn attacks(norm: Norm) -> Vec<AttackSpec> {
    let knows = |entry: &&&rlnet_suites::attack::AttackEntry| {
        let own = entry
            .params
            .iter()
            .find(|param| param.name == "norm")
            .expect("a norm");
        matches!(own.kind, ParamKind::Word(words) if words.contains(&norm.name()))
    };
    let spec = |entry: &&rlnet_suites::attack::AttackEntry| {
        let spec: AttackSpec = format!("{}:norm={norm}", entry.name).parse().expect(entry.name);
        match entry.name {
            "cw-linf" => spec.with("steps", "20").expect("steps"),
            "cw" => spec.with("steps", "100").expect("steps"),
            "square" => spec.with("queries", "500").expect("queries"),
            _ => spec,
        }
    };
    CATALOGUE.iter().filter(knows).map(spec).collect()
}

/// They try every wrong class, so that none of a linear model can be missed.
const EXACT: [&str; 6] = ["apgd-t", "fab", "fab-t", "autoattack", "autoattack+", "radius"];

/// A linear model with images and labels, the radii that break them, and a radius between these.
struct Known {
    model: Toy,
    images: Tensor,
    labels: Tensor,
    radii: Vec<f64>,
    eps: f64,
    robust: usize,
}

impl Known {
    fn new(norm: Norm, seed: u64) -> Self {
        let model = Toy::linear(seed, CLASSES, VALUES);
        // Few changed values take every image with little contrast; and in L0 the walls are part of the form.
        let contrast = if norm == Norm::L0 { 0.5 } else { 0.05 };
        let (images, labels) = images(&model, seed, [IMAGES, 3, 4, 4], contrast);
        let radii = critical(&model, &images, &labels, norm);
        let eps = separating(&radii);
        let room = images.minimum(&(1.0 - &images)).min().double_value(&[]);
        assert!(
            norm == Norm::L0 || eps < room,
            "{norm}: the walls matter, {eps} and {room}"
        );
        let robust = radii.iter().filter(|radius| **radius > eps).count();
        assert!(
            (4..=20).contains(&robust),
            "{norm}: {robust} robust images show nothing"
        );
        Self {
            model,
            images,
            labels,
            radii,
            eps,
            robust,
        }
    }

    /// How many images an attack leaves, none of them in vain; and at which shares of the radius those that it
    /// should have broken fall.
    fn left(&self, spec: &AttackSpec) -> (usize, Vec<f64>) {
        let spec = spec.with("eps", &self.eps.to_string()).unwrap_or(spec.clone());
        let target = target(&self.model, &self.images, &self.labels, 0, IMAGES);
        let made = run(&spec, &target, None).unwrap_or_else(|why| panic!("{spec}: {why}"));
        let fooled = target.fooled(&target.logits(&made).expect("logits"));
        let fooled = Vec::<bool>::try_from(fooled).expect("flags");
        let away = ball::length(&(&made - &self.images), spec.norm());
        let away = Vec::<f64>::try_from(away.to_kind(Kind::Double)).expect("lengths");
        let (mut left, mut missed) = (0, Vec::new());
        for (image, radius) in self.radii.iter().enumerate() {
            let broken = fooled[image] && is_inside(away[image], self.eps);
            assert!(
                !broken || *radius <= self.eps,
                "{spec} breaks image {image} at {}, which falls at {radius}",
                self.eps
            );
            left += usize::from(!broken);
            if !broken && *radius <= self.eps {
                missed.push(radius / self.eps);
            }
        }
        (left, missed)
    }
}

#[test]
fn no_attack_leaves_fewer_images_than_there_are_and_the_targeted_ones_leave_exactly_these() {
    let mut failures = Vec::new();
    for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
        let known = Known::new(norm, 2);
        for spec in attacks(norm) {
            let (left, missed) = known.left(&spec);
            if EXACT.contains(&spec.name()) && left != known.robust {
                failures.push(format!(
                    "{spec}: {left} for {}, missed {missed:.4?}",
                    known.robust
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// In L1 a step moves few values, and how few follows from the best point: other models, to be sure.
#[test]
fn targets_leave_exactly_the_robust_images_in_l1() {
    let spec: AttackSpec = "apgd-t:norm=l1".parse().expect("an attack");
    for seed in 3..9 {
        let known = Known::new(Norm::L1, seed);
        let (left, missed) = known.left(&spec);
        assert_eq!(left, known.robust, "seed {seed}: missed {missed:?}");
    }
}
