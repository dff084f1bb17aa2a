//! Every attack of the catalogue, on random models.

use crate::toys::{Toy, images, target};
use rlnet::attack::{Classifier, Target, ball, run};
use rlnet::error::Result;
use rlnet_suites::attack::{CATALOGUE, Norm, ParamKind};
use rlnet_suites::{AttackSpec, Branch};
use tch::{Device, Kind, Tensor};

/// Each attack in each of its norms, with few steps.
pub fn attacks() -> Vec<AttackSpec> {
    let mut all = Vec::new();
    // AutoAttack's parts are here; whole it has no small setting.
    for entry in CATALOGUE
        .iter()
        .filter(|entry| !entry.name.starts_with("autoattack"))
    {
        let norm = entry.params.iter().find(|param| param.name == "norm");
        let Some(ParamKind::Word(norms)) = norm.map(|norm| norm.kind) else {
            panic!("{} has no norm", entry.name);
        };
        for norm in norms {
            let mut spec: AttackSpec = format!("{}:norm={norm}", entry.name).parse().expect(entry.name);
            for (name, few) in [
                ("steps", "6"),
                ("search", "2"),
                ("queries", "20"),
                ("draws", "2"),
                ("targets", "3"),
                ("brackets", "2"),
                ("programs", "3"),
            ] {
                spec = spec.with(name, few).unwrap_or(spec);
            }
            all.push(spec);
        }
    }
    all
}

/// Radii at which some of the toys' images fall.
fn radius(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "0.02",
        Norm::L2 => "0.1",
        Norm::L1 => "0.5",
        // No attack has a ball there.
        Norm::L0 => "1",
    }
}

#[test]
fn every_attack_stays_in_ball_and_box_and_helps_no_image() {
    let mut broken = std::collections::BTreeMap::new();
    for seed in 0..6 {
        let classes = 4 + seed as i64 % 3;
        let shape = [9, 3, 3 + seed as i64, 4];
        let values = 3 * shape[2] * shape[3];
        let model = if seed % 2 == 0 {
            Toy::linear(seed, classes, values)
        } else {
            Toy::rectified(seed, classes, values)
        };
        // Strong contrast: many values lie on the walls of the box.
        let (images, labels) = images(&model, seed, shape, if seed < 3 { 0.1 } else { 0.6 });
        // The last image is wrong already.
        let last = Tensor::arange(9, (Kind::Int64, labels.device()))
            .eq(8)
            .to_kind(Kind::Int64);
        let labels = (labels + last).remainder(classes);
        for spec in attacks() {
            let spec = spec.with("eps", radius(spec.norm())).unwrap_or(spec);
            let target = target(&model, &images, &labels, 0, 9);
            let name = spec.name();
            let made = run(&spec, &target, None).expect(name);
            assert_eq!(made.size(), images.size());
            assert!(
                made.min().double_value(&[]) >= 0.0 && made.max().double_value(&[]) <= 1.0,
                "{spec}"
            );
            let eps = spec.eps().unwrap_or(0.0);
            let away = ball::length(&(&made - &images), spec.norm())
                .max()
                .double_value(&[]);
            assert!(eps == 0.0 || away <= eps * (1.0 + 1e-5), "{spec}: {away} away");
            let fooled = target.fooled(&target.logits(&made).expect("logits"));
            let fooled = fooled.narrow(0, 0, 8).to_kind(Kind::Int64).sum(Kind::Int64);
            *broken.entry((spec.name(), spec.norm())).or_insert(0) += fooled.int64_value(&[]);
            let again = run(&spec, &crate::toys::target(&model, &images, &labels, 0, 9), None);
            assert_eq!(again.expect(name), made, "{spec} twice");
        }
    }
    // An attack that breaks nothing on these models does not work; noise is the control, and what an overflow does
    // to a verdict is a ring's doing.
    for ((name, norm), count) in broken {
        assert!(
            ["noise", "overflow"].contains(&name) || count > 0,
            "{name} in {norm} broke none of 48 images"
        );
    }
}

/// The mean of equal passes is that pass: on a model that draws nothing `eot` changes no point, and
/// doubles what each costs.
#[test]
fn every_attack_averages_its_passes() {
    const N: i64 = 6;
    let model = Toy::rectified(2, 5, 3 * 4 * 4);
    let (images, labels) = images(&model, 2, [N, 3, 4, 4], 0.3);
    for spec in attacks() {
        let spec = spec.with("eps", radius(spec.norm())).unwrap_or(spec);
        let twice = spec.with("eot", "2").expect("every attack takes eot");
        let (one, two) = (
            target(&model, &images, &labels, 0, N),
            target(&model, &images, &labels, 0, N),
        );
        let points = run(&spec, &one, None).expect("points");
        assert_eq!(run(&twice, &two, None).expect("points"), points, "{spec}");
        let doubled = |passes: Vec<u32>| -> Vec<u32> { passes.iter().map(|passes| 2 * passes).collect() };
        assert_eq!(two.spent().forwards, doubled(one.spent().forwards), "{spec}");
        assert_eq!(two.spent().backwards, doubled(one.spent().backwards), "{spec}");
    }
}

/// No image costs more than the limit, and a limit that is never reached changes nothing.
#[test]
fn passes_are_limited_for_every_attack() {
    const N: i64 = 6;
    let model = Toy::rectified(2, 5, 3 * 4 * 4);
    let (images, labels) = images(&model, 2, [N, 3, 4, 4], 0.3);
    let unions = ["autoattack", "autoattack+"].map(|text| text.parse().expect(text));
    for spec in attacks().into_iter().chain(unions) {
        let spec = spec.with("eps", radius(spec.norm())).unwrap_or(spec);
        let made = |limit: &str| {
            let spec = spec.with("passes", limit).expect("every attack has a limit");
            let target = target(&model, &images, &labels, 0, N);
            let points = run(&spec, &target, None).expect("points");
            (points, target.spent())
        };
        let limits: &[u32] = if spec.is_union() { &[40] } else { &[1, 7, 40] };
        for &limit in limits {
            let (points, spent) = made(&limit.to_string());
            assert!(
                points.min().double_value(&[]) >= 0.0 && points.max().double_value(&[]) <= 1.0,
                "{spec}"
            );
            for (forwards, backwards) in spent.forwards.iter().zip(&spent.backwards) {
                assert!(
                    forwards + backwards <= limit,
                    "{spec}: {forwards} and {backwards} of {limit}"
                );
            }
        }
        if !spec.is_union() {
            assert_eq!(made("1000000"), made("unlimited"), "{spec}");
        }
    }
}

/// Two machines, each with half of the images, find together what one finds: the same points
/// at the same cost. The halves are every second image, so no batch is a piece of the whole's.
#[test]
fn two_shards_are_the_whole() {
    const N: i64 = 10;
    let model = Toy::rectified(5, 5, 3 * 4 * 4);
    let (images, labels) = images(&model, 5, [N, 3, 4, 4], 0.3);
    let spec_in_radius = |spec: AttackSpec| spec.with("eps", radius(spec.norm())).unwrap_or(spec);
    for spec in attacks().into_iter().map(spec_in_radius) {
        let name = spec.name();
        let whole = target(&model, &images, &labels, 0, N);
        let points = run(&spec, &whole, None).expect(name);
        let spent = whole.spent();
        for shard in 0..2_i64 {
            let rows: Vec<i64> = (0..N).filter(|row| row % 2 == shard).collect();
            let indices: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            let rows_of = Tensor::from_slice(&rows);
            let part = Target::new(
                &model,
                Branch::Single,
                &images.index_select(0, &rows_of),
                &labels.index_select(0, &rows_of),
                &indices,
                3,
            );
            let found = run(&spec, &part, None).expect(name);
            assert_eq!(found, points.index_select(0, &rows_of), "{spec}, shard {shard}");
            for (place, &row) in rows.iter().enumerate() {
                let (here, there) = (part.spent(), row as usize);
                assert_eq!(here.forwards[place], spent.forwards[there], "{spec}, image {row}");
                assert_eq!(
                    here.backwards[place], spent.backwards[there],
                    "{spec}, image {row}"
                );
            }
        }
    }
}

/// The same points at the same cost in batches of 1, 7, 64 and 256, and in one batch whose images go through the model so
/// many at a time.
#[test]
fn batches_do_not_matter() {
    const N: i64 = 260;
    let model = Toy::rectified(9, 5, 3 * 3 * 2);
    let (images, labels) = images(&model, 9, [N, 3, 3, 2], 0.3);
    let spec_in_radius = |spec: AttackSpec| spec.with("eps", radius(spec.norm())).unwrap_or(spec);
    for spec in attacks().into_iter().map(spec_in_radius) {
        let name = spec.name();
        let whole = target(&model, &images, &labels, 0, N);
        let points = run(&spec, &whole, None).expect(name);
        let spent = whole.spent();
        let parts = target(&model, &images, &labels, 0, N).in_passes_of(48);
        let found = run(&spec, &parts, None).expect(name);
        assert!(found.equal(&points), "{spec}: passes of 48");
        assert_eq!(parts.spent(), spent, "{spec}: passes of 48");
        // Single images are slow: some of them will do.
        for (batch, last) in [(256, N), (64, N), (7, 70), (1, 24)] {
            for from in (0..last).step_by(batch as usize) {
                let n = batch.min(N - from);
                let part = target(&model, &images, &labels, from, n);
                let found = run(&spec, &part, None).expect(name);
                let (rows, said) = (from as usize..(from + n) as usize, part.spent());
                assert!(
                    found.equal(&points.narrow(0, from, n)),
                    "{spec}: batches of {batch}, from {from}"
                );
                assert_eq!(
                    said.forwards,
                    spent.forwards[rows.clone()],
                    "{spec}: batches of {batch}"
                );
                assert_eq!(
                    said.backwards, spent.backwards[rows],
                    "{spec}: batches of {batch}"
                );
            }
        }
    }
}

/// How a model's logits are cut from its images.
#[derive(Clone, Copy)]
enum Knife {
    /// They depend on them with slope zero: what the others have to be like.
    Slope,
    /// They ask for no gradient at all.
    Detached,
    /// They ask for the gradient of a weight only.
    Weight,
}

struct Cut(Toy, Knife);

impl Classifier for Cut {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        let logits = self.0.logits(images, branch)?.detach();
        let zero = match self.1 {
            Knife::Slope => (images * 0.0)
                .flatten(1, -1)
                .sum_dim_intlist(1, true, Kind::Float),
            Knife::Detached => return Ok(logits),
            Knife::Weight => Tensor::zeros([1], (Kind::Float, Device::Cpu)).set_requires_grad(true),
        };
        Ok(logits + zero)
    }

    fn load(&self, images: &Tensor, branch: Branch) -> Result<Option<Tensor>> {
        Ok(Some(self.logits(images, branch)?.abs()))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

#[test]
fn a_model_cut_from_its_images_has_a_gradient_of_zero_for_every_attack() {
    let cut = |knife| Cut(Toy::linear(7, 5, 3 * 4 * 4), knife);
    let (images, labels) = images(&Toy::linear(7, 5, 3 * 4 * 4), 7, [6, 3, 4, 4], 0.3);
    for spec in attacks() {
        let name = spec.name();
        let made = |knife| {
            let model = cut(knife);
            let target = target(&model, &images, &labels, 0, 6);
            let made = run(&spec, &target, None).expect(name);
            (made, target.spent())
        };
        let flat = made(Knife::Slope);
        assert_eq!(made(Knife::Detached), flat, "{spec}, detached");
        assert_eq!(made(Knife::Weight), flat, "{spec}, a weight's");
    }
}
