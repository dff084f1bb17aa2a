//! Truth from elsewhere: instances of the verification competition. What is proven no attack breaks; what
//! was broken AutoAttack breaks.

use crate::reference::{self, json, oracle};
use rlnet::attack::{Classifier, Target, TorchScript, ball, run};
use rlnet::error::Result;
use rlnet_suites::attack::{CATALOGUE, Norm};
use rlnet_suites::{AttackSpec, Branch};
use rlnet_test_support::cifar10_test;
use serde::Deserialize;
use tch::{CModule, Device, IValue, Kind, Tensor, no_grad_guard};

/// By so much single precision may leave a ball; the published boxes are that exact.
const ROUNDING: f64 = 1.1e-7;

#[derive(Deserialize)]
struct Instance {
    net: String,
    image: usize,
    label: i64,
    targets: Vec<i64>,
    eps: f64,
    verdict: String,
}

/// A network's instances of one verdict and radius.
struct Group {
    model: TorchScript,
    exact: CModule,
    images: Tensor,
    labels: Tensor,
    indices: Vec<u32>,
    instances: Vec<Instance>,
}

impl Group {
    fn target<'a>(&self, model: &'a dyn Classifier, seed: u64) -> Target<'a> {
        Target::new(
            model,
            Branch::Single,
            &self.images,
            &self.labels,
            &self.indices,
            seed,
        )
    }

    /// In double precision: whether each point, of the instances at `rows`, has a target class that is at least
    /// the true one.
    fn counterexamples(&self, rows: &[usize], points: &Tensor) -> Vec<bool> {
        let _guard = no_grad_guard();
        let input = IValue::Tensor(points.to_kind(Kind::Double));
        let IValue::Tensor(logits) = self.exact.forward_is(&[input]).expect("logits") else {
            panic!("no tensor");
        };
        let at = |row: usize, class: i64| logits.double_value(&[row as i64, class]);
        (rows.iter().map(|row| &self.instances[*row]).enumerate())
            .map(|(row, instance)| {
                let own = at(row, instance.label);
                instance.targets.iter().any(|class| at(row, *class) >= own)
            })
            .collect()
    }
}

/// The instances with a verdict, by network and radius.
fn groups(verdict: &str) -> Vec<Group> {
    let all: Vec<Instance> = serde_json::from_value(json("verification/instances.json")).expect("instances");
    let mut wanted: Vec<Instance> = all.into_iter().filter(|one| one.verdict == verdict).collect();
    wanted.sort_by(|a, b| {
        (&a.net, a.image)
            .cmp(&(&b.net, b.image))
            .then(a.eps.total_cmp(&b.eps))
    });
    wanted.sort_by(|a, b| a.net.cmp(&b.net).then(a.eps.total_cmp(&b.eps)));
    let bytes = cifar10_test();
    let records: Vec<&[u8]> = bytes.chunks_exact(3073).collect();
    let mut groups: Vec<Vec<Instance>> = Vec::new();
    for instance in wanted {
        match groups.last_mut() {
            Some(group) if group[0].net == instance.net && group[0].eps == instance.eps => {
                group.push(instance)
            }
            _ => groups.push(vec![instance]),
        }
    }
    let group = |instances: Vec<Instance>| {
        let name = instances[0].net.trim_end_matches(".pt").to_owned();
        let file = oracle(&format!("verification/{name}.pt"));
        let mut exact = CModule::load_on_device(&file, Device::Cpu).expect("a model");
        exact.to(Device::Cpu, Kind::Double, false);
        let pixels: Vec<f32> = (instances.iter())
            .flat_map(|one| {
                records[one.image][1..]
                    .iter()
                    .map(|byte| f32::from(*byte) / 255.0)
            })
            .collect();
        let labels: Vec<i64> = instances.iter().map(|one| one.label).collect();
        Group {
            model: TorchScript::load(&file, Device::Cpu).expect("a model"),
            exact,
            images: Tensor::from_slice(&pixels).reshape([labels.len() as i64, 3, 32, 32]),
            labels: Tensor::from_slice(&labels),
            indices: instances.iter().map(|one| one.image as u32).collect(),
            instances,
        }
    };
    groups.into_iter().map(group).collect()
}

/// Every Linf attack of the registry; `few` makes them short.
fn attacks(few: &[(&str, &str)]) -> Vec<AttackSpec> {
    let linf = |entry: &&&'static rlnet_suites::attack::AttackEntry| {
        // (What drives sums out of a ring has nothing to do in floating point.)
        !entry.overflows && format!("{}:norm=linf", entry.name).parse::<AttackSpec>().is_ok()
    };
    let entries = CATALOGUE.iter().filter(linf);
    let short = |entry: &&'static rlnet_suites::attack::AttackEntry| {
        let mut spec: AttackSpec = format!("{}:norm=linf", entry.name).parse().expect(entry.name);
        for (name, value) in few {
            spec = spec.with(name, value).unwrap_or(spec);
        }
        spec
    };
    entries.map(short).collect()
}

fn hold(attacks: &[AttackSpec]) {
    let (mut instances, mut pairs) = (0, 0);
    for group in groups("holds") {
        let eps = group.instances[0].eps;
        let rows: Vec<usize> = (0..group.instances.len()).collect();
        instances += rows.len();
        for spec in attacks {
            let spec = spec.with("eps", &eps.to_string()).unwrap_or(spec.clone());
            let target = group.target(&group.model, 0);
            let made = run(&spec, &target, None).unwrap_or_else(|error| panic!("{spec}: {error}"));
            let away = ball::length(&(&made - &group.images), Norm::Linf);
            for (row, broken) in group.counterexamples(&rows, &made).into_iter().enumerate() {
                let size = away.double_value(&[row as i64]);
                let one = &group.instances[row];
                assert!(
                    !broken || size > eps + ROUNDING,
                    "{spec} breaks image {} of {} within {size}, proven at {eps}",
                    one.image,
                    one.net
                );
                pairs += 1;
            }
        }
    }
    assert!(
        instances >= 46 && pairs == instances * attacks.len(),
        "{instances} instances, {pairs} pairs"
    );
}

/// A loop over the registry, each attack with few passes.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn no_attack_breaks_what_is_proven() {
    let few = [
        ("steps", "3"),
        ("queries", "20"),
        ("targets", "2"),
        ("search", "2"),
        ("brackets", "1"),
        ("draws", "1"),
        ("programs", "2"),
    ];
    let single: Vec<AttackSpec> = attacks(&few)
        .into_iter()
        .filter(|spec| !spec.is_union())
        .collect();
    hold(&single);
}

#[test]
#[ignore = "many minutes of one core"]
fn no_attack_in_full_breaks_what_is_proven() {
    hold(&attacks(&[("steps", "100"), ("queries", "1000")]));
}

/// A network that answers only with the classes that an instance asks about: AutoAttack stops at the first
/// wrong class, and a counterexample is one of the target classes.
struct Asked<'a> {
    model: &'a dyn Classifier,
    /// `[1, classes]` bool.
    left_out: Tensor,
}

impl<'a> Asked<'a> {
    fn new(model: &'a dyn Classifier, instance: &Instance) -> Self {
        let asked = |class: i64| class == instance.label || instance.targets.contains(&class);
        let left_out: Vec<bool> = (0..10).map(|class| !asked(class)).collect();
        Self {
            model,
            left_out: Tensor::from_slice(&left_out).unsqueeze(0),
        }
    }
}

impl Classifier for Asked<'_> {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        let logits = self.model.logits(images, branch)?;
        Ok(logits.masked_fill(&self.left_out, f64::NEG_INFINITY))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// Runs of AutoAttack, each with draws of its own, within which every falsified instance falls. (Image 1598 lies
/// at its radius: of one run in sixteen single precision takes a point that double precision does not, and last
/// bits, which differ between processors, decide of which.)
const SEEDS: u64 = 10;

/// Every falsified instance falls to AutoAttack at its radius, in double precision as well.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn autoattack_breaks_what_was_broken() {
    let mut broken = 0;
    for group in groups("violated") {
        let eps = group.instances[0].eps;
        let spec: AttackSpec = format!("autoattack:eps={eps}").parse().expect("autoattack");
        for (row, instance) in group.instances.iter().enumerate() {
            let asked = Asked::new(&group.model, instance);
            let falls = (0..SEEDS).any(|seed| {
                let row_of = Tensor::from_slice(&[row as i64]);
                let target = group.target(&asked, seed).take(&row_of);
                let made = run(&spec, &target, None).expect("autoattack");
                let away = ball::length(&(&made - &target.images), Norm::Linf).double_value(&[0]);
                assert!(away <= eps + ROUNDING, "{away}");
                group.counterexamples(&[row], &made)[0]
            });
            assert!(
                falls,
                "image {} of {} at {eps} holds",
                instance.image, instance.net
            );
            broken += 1;
        }
    }
    assert!(broken >= 16, "{broken}");
}

const IMAGES: usize = 28;

/// On image 25 the nearest points of `fmn` and `radius` were right by 1.9e-7 in float64, and wrong by 1.2e-7 in
/// f32: no adversarials at all.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn nearest_points_are_adversarial_in_float64_and_no_nearer_than_proven() {
    let file = oracle("verification/cifar_base_kw.pt");
    let model = TorchScript::load(&file, Device::Cpu).expect("a model");
    let mut exact = CModule::load(&file).expect("a model");
    exact.f_set_eval().expect("eval mode");
    exact.to(Device::Cpu, Kind::Double, false);
    let (images, labels) = reference::cifar10_test(IMAGES);
    let labels = Tensor::from_slice(&labels);
    // 25 is among those in doubt, and a few more.
    let chosen = Tensor::from_slice(&[25_i64, 1, 3, 8, 27]);
    let (images, labels) = (images.index_select(0, &chosen), labels.index_select(0, &chosen));
    let indices = [25, 1, 3, 8, 27];
    let proven = json("verification/cifar_base_kw_crown_radius.json");
    for text in [
        "fmn",
        "deepfool:norm=linf",
        "radius:steps=20,brackets=3",
        "fmn:norm=l2",
        "cw:steps=60,search=3,c=1",
    ] {
        let spec: AttackSpec = text.parse().expect(text);
        let target = Target::new(&model, Branch::Single, &images, &labels, &indices, 0);
        let made = run(&spec, &target, None).expect(text);
        let _guard = no_grad_guard();
        let logits = exact.forward_ts(&[made.to_kind(Kind::Double)]).expect("logits");
        let own = logits.gather(1, &labels.unsqueeze(1), false).squeeze_dim(1);
        let others = logits.scatter_value(1, &labels.unsqueeze(1), f64::NEG_INFINITY);
        let margins = own - others.amax([1_i64].as_slice(), false);
        let away = ball::length(&(&made - &images), spec.norm());
        for (row, image) in indices.iter().enumerate() {
            let (margin, away) = (
                margins.double_value(&[row as i64]),
                away.double_value(&[row as i64]),
            );
            assert!(
                away == 0.0 || margin < 0.0,
                "{text}, image {image}: {margin:e} at {away}"
            );
            let radius = proven[image.to_string()].as_f64();
            if let Some(radius) = radius.filter(|_| away > 0.0 && spec.norm().name() == "linf") {
                assert!(away > radius, "{text}, image {image}: {away} inside {radius}");
            }
        }
    }
}
