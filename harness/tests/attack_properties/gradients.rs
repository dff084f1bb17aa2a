//! Gradients of every scale, and those that cannot be followed: counted, done without, and never in an image.

use crate::catalogue::attacks;
use crate::toys::{Toy, images, normals, target};
use rlnet::attack::{Classifier, Target, run, search_blind};
use rlnet::error::Result;
use rlnet_suites::attack::Norm;
use rlnet_suites::{AttackSpec, Branch};
use tch::{Device, Kind, Tensor};

/// What is made of a model's images and logits.
type Change = dyn Fn(&Tensor, Tensor) -> Tensor;

/// A model whose logits are those of another, changed.
struct Changed<'a>(&'a dyn Classifier, Box<Change>);

impl Classifier for Changed<'_> {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        Ok((self.1)(images, self.0.logits(images, branch)?))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

const VALUES: i64 = 3 * 4 * 4;
const IMAGES: i64 = 12;

/// Five classes, of which the first two are told apart by one direction and the others are far from all
/// images: every loss of every scale has a gradient along that direction. Image `i` lies at
/// `(i + 1.2) / 6` radii from the boundary: none at one radius, where rounding decides.
fn one_direction(norm: Norm) -> (Toy, Tensor, Tensor) {
    let mut model = Toy::constant(5, VALUES);
    let direction = Tensor::from_slice(&normals(8, "direction", VALUES));
    let direction = &direction / direction.norm();
    model.weights = Tensor::zeros([5, VALUES], (Kind::Float, Device::Cpu));
    model.weights.get(0).copy_(&direction);
    model.weights.get(1).copy_(&-&direction);
    let grey = direction.sum(Kind::Float).double_value(&[]) * 0.5;
    model.bias = Tensor::from_slice(&[-grey as f32, grey as f32, -30.0, -31.0, -32.0]);
    // One radius along the direction of steepest ascent takes an image so far along `direction`.
    let radius: f64 = radius(norm).parse().expect("a radius");
    let speed = match norm {
        Norm::Linf => direction.abs().sum(Kind::Float).double_value(&[]),
        Norm::L2 | Norm::L0 => 1.0,
        Norm::L1 => direction.abs().max().double_value(&[]),
    };
    let away: Vec<f32> = (0..IMAGES)
        .map(|i| ((i as f64 + 1.2) / 6.0 * radius * speed) as f32 * if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let images = Tensor::from_slice(&away).unsqueeze(1) * direction.unsqueeze(0) + 0.5;
    let labels = Tensor::arange(IMAGES, (Kind::Int64, Device::Cpu)).remainder(2);
    (model, images.reshape([IMAGES, 3, 4, 4]), labels)
}

fn radius(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "0.02",
        Norm::L2 | Norm::L0 => "0.1",
        Norm::L1 => "0.3",
    }
}

fn flags(tensor: &Tensor) -> Vec<bool> {
    Vec::<bool>::try_from(tensor).expect("flags")
}

/// What an attack makes of the images, which of them it fools, and on which it had nothing to follow.
fn made(spec: &AttackSpec, target: &Target<'_>) -> (Tensor, Vec<bool>, Vec<bool>) {
    let points = run(spec, target, None).unwrap_or_else(|error| panic!("{}: {error}", spec.name()));
    let fooled = flags(&target.fooled(&target.logits(&points).expect("logits")));
    let spent = target.spent();
    let passes = spent.unusable.iter().zip(&spent.backwards);
    let blind = passes.map(|(unusable, all)| *all > 0 && unusable == all);
    (points, fooled, blind.collect())
}

#[test]
fn no_verdict_of_any_attack_depends_on_the_scale_of_the_logits() {
    // (What drives sums out of a ring has nothing to do in floating point.)
    for spec in attacks().into_iter().filter(|spec| spec.name() != "overflow") {
        let mut spec = spec.with("eps", radius(spec.norm())).unwrap_or(spec);
        for (name, value) in [("alpha", "0.005"), ("c", "1"), ("search", "4"), ("lr", "0.02")] {
            let own = !["ffgsm", "nfgsm"].contains(&spec.name())
                && (name != "alpha" || spec.radius().is_some())
                && (name != "lr" || spec.norm() != Norm::L0);
            let scaled = match (name, spec.norm()) {
                ("alpha", Norm::L2) => "0.03",
                ("alpha", Norm::L1) => "0.1",
                _ => value,
            };
            spec = spec.with(name, scaled).ok().filter(|_| own).unwrap_or(spec);
        }
        // Counting values takes more steps than going along one direction.
        if spec.norm() == Norm::L0 {
            spec = spec.with("steps", "40").expect("steps");
        }
        let (toy, images, labels) = one_direction(spec.norm());
        let (_, plain, blind) = made(&spec, &target(&toy, &images, &labels, 0, IMAGES));
        assert!(!blind.contains(&true), "{spec}");
        assert!(
            plain.contains(&true) || spec.name() == "noise",
            "{spec} breaks nothing"
        );
        for scale in [1e-6, 30.0, 1e3] {
            let model = Changed(&toy, Box::new(move |_, logits| logits * scale));
            let target = target(&model, &images, &labels, 0, IMAGES);
            let (points, fooled, blind) = made(&spec, &target);
            assert!(points.isfinite().all().int64_value(&[]) != 0, "{spec} at {scale}");
            let same = |image: usize| fooled[image] == plain[image] || blind[image];
            assert!(
                (0..IMAGES as usize).all(same),
                "{spec} at {scale}: {fooled:?}, {plain:?}"
            );
            if scale < 100.0 {
                assert!(!blind.contains(&true), "{spec} at {scale}: {blind:?}");
            }
        }
    }
}

/// Slopes that are not finite, zero, or too small for single precision, on the images whose first value is
/// above one half.
#[test]
fn what_cannot_be_followed_is_counted_and_enters_no_image() {
    let toy = Toy::linear(3, 5, VALUES);
    let (images, _) = images(&toy, 3, [IMAGES, 3, 4, 4], 0.2);
    let first = Tensor::arange(IMAGES, (Kind::Float, Device::Cpu)).remainder(3) * 0.4 + 0.1;
    images.flatten(1, -1).select(1, 0).copy_(&first);
    let labels = toy
        .logits(&images, Branch::Single)
        .expect("logits")
        .argmax(1, false);
    let wanted = flags(&first.gt(0.6));
    let on_chosen = |change: fn(&Tensor) -> Tensor| {
        move |images: &Tensor, logits: Tensor| {
            let images = images.flatten(1, -1);
            let rows = images.select(1, 0).gt(0.7).nonzero().squeeze_dim(1);
            let both = Tensor::cat(&[&images, &logits], 1);
            logits.index_copy(0, &rows, &change(&both.index_select(0, &rows)))
        }
    };
    type OfBoth = fn(&Tensor) -> Tensor;
    let cases: [(&str, OfBoth); 4] = [
        ("nan", |both| {
            let zero = (both.narrow(1, 0, 1) * 0.0).abs().sqrt();
            both.narrow(1, VALUES, 5).detach() + zero
        }),
        ("infinite", |both| {
            let first = both.narrow(1, 0, 1);
            both.narrow(1, VALUES, 5).detach()
                + (&first - first.detach()).abs().sqrt() * Tensor::from_slice(&[1.0_f32, 0.0, 0.0, 0.0, 0.0])
        }),
        ("zero", |both| both.narrow(1, VALUES, 5).detach()),
        ("tiny", |both| {
            let values = both.narrow(1, 0, 5);
            both.narrow(1, VALUES, 5).detach() + (&values - values.detach()) * 1e-40
        }),
    ];
    for (what, change) in cases {
        let model = Changed(&toy, Box::new(on_chosen(change)));
        for spec in attacks().into_iter().filter(|spec| !spec.entry().overflows) {
            // Auto-PGD begins at three radii in L1: no image may be moved to the other side of 0.7.
            let eps = if spec.norm() == Norm::L1 {
                "0.05"
            } else {
                radius(spec.norm())
            };
            let spec = spec.with("eps", eps).unwrap_or(spec);
            let target = target(&model, &images, &labels, 0, IMAGES);
            // A random start may fool without any gradient.
            let (points, fooled, _) = made(&spec, &target);
            assert!(points.isfinite().all().int64_value(&[]) != 0, "{what}: {spec}");
            let spent = target.spent();
            for (image, wanted) in wanted.iter().enumerate() {
                let (unusable, all) = (spent.unusable[image], spent.backwards[image]);
                let found = if *wanted {
                    unusable == all || fooled[image]
                } else {
                    unusable < all.max(1)
                };
                assert!(found, "{what}: {spec}, image {image}: {unusable} of {all}");
            }
        }
    }
}

#[test]
fn images_without_a_gradient_are_attacked_without_one() {
    let toy = Toy::rectified(2, 5, VALUES);
    let (images, labels) = images(&toy, 2, [IMAGES, 3, 4, 4], 0.1);
    let cut = Changed(&toy, Box::new(|_, logits| logits.detach()));
    let square: AttackSpec = "square:eps=0.1".parse().expect("square");
    let alone = target(&cut, &images, &labels, 0, IMAGES);
    let (_, broken, _) = made(&square, &alone);
    assert!(broken.contains(&true));
    for text in ["pgd:eps=0.1,start=zero", "mifgsm:eps=0.1", "fab:eps=0.1,steps=3"] {
        let spec: AttackSpec = text.parse().expect(text);
        let target = target(&cut, &images, &labels, 0, IMAGES);
        let (points, before, blind) = made(&spec, &target);
        assert_eq!(
            (before.contains(&true), blind.contains(&false)),
            (false, false),
            "{text}"
        );
        let points = search_blind(&spec, &target, points).expect(text);
        let after = flags(&target.fooled(&target.logits(&points).expect("logits")));
        assert_eq!(after, broken, "{text}");
        let (spent, search) = (target.spent(), alone.spent());
        assert_eq!(spent.unusable, spent.backwards, "{text}");
        for image in 0..IMAGES as usize {
            assert!(
                spent.forwards[image] > search.forwards[image],
                "{text}, image {image}"
            );
        }
    }
    // An image that the attack broke all the same had something to follow.
    let target = target(&cut, &images, &labels, 0, IMAGES);
    let noisy: AttackSpec = "pgd:eps=0.5,steps=2".parse().expect("pgd");
    let (points, by_chance, blind) = made(&noisy, &target);
    assert!(by_chance.contains(&true), "no random start fools");
    let _ = search_blind(&noisy, &target, points).expect("points");
    let spent = target.spent();
    for image in 0..IMAGES as usize {
        assert_eq!(
            spent.unusable[image] > 0,
            !by_chance[image] && blind[image],
            "image {image}"
        );
    }
}

#[test]
fn no_search_follows_where_there_is_nothing_to_search_for() {
    let other = |text: &str| {
        let spec: AttackSpec = text.parse().expect(text);
        spec.without_gradients().map(|search| search.to_string())
    };
    assert_eq!(
        other("pgd").as_deref(),
        Some("square:eps=8/255,p=0.8,queries=5000,restarts=1")
    );
    let l2 = "square:eot=3,eps=1,norm=l2,p=0.8,queries=5000,restarts=1";
    assert_eq!(other("apgd-ce:norm=l2,eps=1,eot=3").as_deref(), Some(l2));
    assert!(other("autoattack:version=rand").is_some());
    // What has Square, looks at no gradient, or has no radius.
    for text in [
        "autoattack",
        "square",
        "noise",
        "cw",
        "fmn",
        "radius",
        "apgd-ce:reference_rng=true",
    ] {
        assert_eq!(other(text), None, "{text}");
    }
}
