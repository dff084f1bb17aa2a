//! How much arithmetic a plan's cells ask for.
//!
//! Counted in multiply-accumulates of the networks' own layers: a forward pass is one unit a
//! image, a gradient to the image one more, a gradient to the weights as well two more. Attacks
//! are counted as if no image broke early, which the harness makes use of, so this is an upper
//! bound; making corrupted images is work of the CPU and left out.

use crate::data::image_size;
use crate::error::Result;
use rlnet_suites::cell::LayerRecord;
use rlnet_suites::train::Stage;
use rlnet_suites::view::View;
use rlnet_suites::{Cell, CellSpec, Condition, EvaluateSpec, Plan, TrainSpec};
use std::collections::BTreeMap;

/// What a cell asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// A stage, an attack, `corruptions` or `clean`.
    pub kind: &'static str,
    /// Multiply-accumulates, at most; forward passes for a cell of a model that the plan does not train, and
    /// whose arithmetic nobody knows: a plan has no models of both kinds.
    pub macs: f64,
    /// Bytes of the adversarial images that stay on the disk.
    pub kept: f64,
}

/// The speed of one large GPU (H100, H200) in single precision, in these networks at batch 128, in
/// 10^12 multiply-accumulates a second: see docs/suites.md.
pub const GPU_RATE: f64 = 10.0;

/// Training and test images of a cell's data set.
#[derive(Debug, Clone, Copy)]
pub struct Images {
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
}

/// Passes of a training stage for each of its images and epochs, a share of which is held out.
pub fn step_passes(spec: &TrainSpec, validation: f64) -> f64 {
    let inner = spec.attack.passes();
    // Half a batch plays the clean roles, the other half is attacked; without clean roles all of it is.
    let half = if spec.is_robust() { 0.5 } else { 1.0 };
    let attacked = if spec.views.contains(&View::Clean) {
        0.5
    } else {
        1.0
    };
    let compared = if spec.start_consistency > 0.0 { 3.0 } else { 0.0 };
    let roles = spec.views.iter().map(|view| match view {
        View::Adversarial => attacked * (3.0 + inner + compared),
        _ => 3.0 * half,
    });
    let taught = if spec.stage == Stage::Teacher { 0.0 } else { half };
    // Held-out images through every branch, attacked where training attacks.
    let branches = spec.norm.branches().len() as f64;
    // FGSM and PGD-10, with their verdicts.
    let watched = if spec.stop_at_overfitting { 3.0 + 21.0 } else { 0.0 };
    let judged = branches + if spec.is_robust() { inner + 1.0 } else { 0.0 } + watched;
    (1.0 - validation) * (roles.sum::<f64>() + taught) + validation * judged
}

/// Passes of an evaluation for each test image, over all branches.
fn evaluation_passes(spec: &EvaluateSpec, branches: usize, relus: Option<f64>) -> f64 {
    let conditions = spec.conditions.iter().map(|condition| match condition {
        // The image as it is, and the verdict as floats and as 8 bits.
        Condition::Attack(attack) | Condition::Certify(attack) => {
            relus.map_or_else(|| attack.passes(), |relus| attack.passes_keeping(relus)) + 3.0
        }
        _ => 1.0,
    });
    let gone_through = gone_through(spec, branches);
    let probe = if spec.probe { 44.0 } else { 0.0 };
    let compared = if spec.similarity { 2.0 } else { 0.0 };
    gone_through * (conditions.sum::<f64>() + probe + compared)
}

/// Branches of a model with so many that an evaluation goes through.
fn gone_through(spec: &EvaluateSpec, branches: usize) -> f64 {
    spec.branches.as_ref().map_or(branches, Vec::len) as f64
}

/// An image of a cell's data set as 32-bit floats.
fn bytes_of_an_image(cell: &Cell) -> f64 {
    let side = image_size(&cell.data.dataset).unwrap_or(32) as f64;
    4.0 * 3.0 * side * side
}

/// What is known of a network that a plan trains.
#[derive(Debug, Clone, Copy)]
struct Model {
    /// Multiply-accumulates of a forward pass.
    forward: f64,
    branches: usize,
    /// ReLUs that it keeps.
    relus: f64,
}

/// What each cell of a plan asks for, in the plan's order.
///
/// # Errors
/// When `images` knows no number for a cell, or a network has no known architecture.
pub fn of(plan: &Plan, images: impl Fn(&Cell) -> Result<Images>) -> Result<Vec<Work>> {
    let mut models: BTreeMap<&str, Model> = BTreeMap::new();
    let mut work = Vec::with_capacity(plan.cells.len());
    for cell in &plan.cells {
        let Images { train, test } = images(cell)?;
        work.push(match &cell.spec {
            CellSpec::Train(spec) => {
                let arch: crate::nn::Arch = spec.arch.parse()?;
                let size = image_size(&cell.data.dataset).unwrap_or(32) as u64;
                let survey = arch.survey(size, 10);
                let forward = survey.macs() as f64;
                let units = survey.layers.iter().map(LayerRecord::total).sum::<u64>();
                let own = spec.budget.map(|budget| budget.resolve(units)).transpose()?;
                let named = |cell: &&Cell| models.get(cell.name.as_str()).map(|model| model.relus);
                let parents = plan.cells.iter().filter(|other| cell.parents.contains(&other.id));
                let relus = parents
                    .filter_map(|cell| named(&cell))
                    .fold(own.unwrap_or(units) as f64, f64::min);
                let model = Model {
                    forward,
                    branches: spec.norm.branches().len(),
                    relus,
                };
                models.insert(cell.name.as_str(), model);
                let passes = step_passes(spec, cell.data.validation) * f64::from(spec.epochs);
                Work {
                    kind: spec.stage.name(),
                    macs: forward * passes * train as f64,
                    kept: 0.0,
                }
            }
            CellSpec::Evaluate(spec) => {
                let model = models.get(cell.model.as_str()).copied();
                let (forward, branches) = model.map_or((1.0, 1), |model| (model.forward, model.branches));
                let relus = model.map(|model| model.relus);
                let kind = match &spec.conditions[0] {
                    Condition::Attack(attack) | Condition::Certify(attack) => attack.name(),
                    Condition::Corruption { .. } | Condition::Frame { .. } => "corruptions",
                    Condition::Clean | Condition::AugMix => "clean",
                };
                let seen = spec.images.map_or(test, |images| test.min(images as usize));
                let kept = match spec.conditions[0].is_attacked() && plan.save_images {
                    true => bytes_of_an_image(cell) * gone_through(spec, branches) * seen as f64,
                    false => 0.0,
                };
                Work {
                    kind,
                    macs: forward * evaluation_passes(spec, branches, relus) * seen as f64,
                    kept,
                }
            }
        });
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::graph::Op;
    use crate::certify::{Region, crown, interval, trace};
    use crate::nn::{Network, NetworkSpec, Quirks};
    use rlnet_corruptions::random::KeyedRng;
    use rlnet_suites::attack::Norm;
    use rlnet_suites::plan::PlanContext;
    use rlnet_suites::{AttackSpec, Branch, NormBanks};
    use rlnet_suites::{Suite, catalog};
    use tch::{Device, Kind, Tensor};

    #[test]
    fn one_stage_by_hand() {
        let sets = ["network.arch=resnet18", "training.attack=pgd:steps=7"].map(str::to_owned);
        let text = catalog::find("demo").expect("demo");
        let suite = Suite::parse(text, "demo", &sets).expect("a suite");
        let context = PlanContext::unread(&suite);
        let plan = suite.plan(&context).expect("a plan");
        let CellSpec::Train(teacher) = &plan.cells[0].spec else {
            panic!("a teacher")
        };
        // Clean and AugMix half batches 2 * 0.5 * 3, the attacked half 0.5 * (3 + 14), on nine
        // tenths of the images; on the last tenth two branches and PGD with its verdict.
        let by_hand = 0.9 * (3.0 + 8.5) + 0.1 * (2.0 + 15.0);
        assert!((step_passes(teacher, 0.1) - by_hand).abs() < 1e-12);
        // ResNet18 on 32 x 32 images has 0.556 x 10^9 multiply-accumulates.
        let images = |_: &Cell| {
            Ok(Images {
                train: 4000,
                test: 1000,
            })
        };
        let work = of(&plan, images).expect("counted");
        let teachers: Vec<f64> = work
            .iter()
            .filter(|work| work.kind == "teacher")
            .map(|work| work.macs)
            .collect();
        let senet = 0.9 * 3.0 + 0.1;
        let expected = [17.0 * by_hand, 10.0 * senet].map(|passes| 0.5556e9 * 4000.0 * passes);
        // Two networks of two branches and one of one, three attacks or more, 1,000 images each.
        let kept: f64 = work.iter().map(|work| work.kept).sum();
        let attacks = work.iter().filter(|work| work.kept > 0.0).count() as f64;
        assert_eq!(kept, attacks / 3.0 * (2.0 + 2.0 + 1.0) * 1000.0 * 12_288.0);
        assert_eq!(teachers.len(), 2);
        for (counted, expected) in teachers.iter().zip(expected) {
            assert!((counted / expected - 1.0).abs() < 2e-3, "{counted} {expected}");
        }
    }

    #[test]
    fn attacks_by_their_steps() {
        let passes = |text: &str| text.parse::<AttackSpec>().expect(text).passes();
        assert_eq!(passes("fgsm"), 2.0);
        assert_eq!(passes("pgd:steps=20,restarts=5"), 200.0);
        assert_eq!(passes("apgd-t"), 1800.0);
        assert_eq!(passes("square:queries=100"), 100.0);
        assert_eq!(passes("square:queries=100,eot=3"), 300.0);
    }

    /// The rows that linear bounds really carry through an image's network, each through the layers below it.
    #[test]
    fn a_certificates_rows_are_counted() {
        let spec = NetworkSpec {
            arch: "resnet10-w4".parse().expect("known"),
            image_size: 32,
            classes: 10,
            norm: NormBanks::Single,
            quirks: Quirks::default(),
            mean: [0.5; 3],
            std: [0.25; 3],
        };
        let network = Network::new(spec, 1, Device::Cpu);
        let relus = network.layer_sizes().iter().sum::<u64>() as f64;
        let forward = network.macs() as f64;
        let graph = trace::graph(&network.into_frozen(), Branch::Single).expect("a graph");
        let mut rng = KeyedRng::new(1, "image", &[]);
        let image: Vec<f32> = (0..3 * 32 * 32).map(|_| rng.uniform() as f32).collect();
        let image = Tensor::from_slice(&image).reshape([1, 3, 32, 32]);
        for steps in [0.5, 2.0] {
            let region = Region::around(&image, steps / 255.0, Norm::Linf).expect("a region");
            let rows = crown::margins(10, 0, &[1], (Kind::Float, Device::Cpu));
            let (mut below, mut counted) = (0.0, 0.0);
            let (before, _) =
                interval::propagate(&graph, &region, &rows, |_, interval, _| Ok(interval)).expect("boxes");
            let mut before = before.iter();
            for (place, node) in graph.nodes().iter().enumerate() {
                match &node.op {
                    Op::Conv(conv) => {
                        let channels = conv.weight.size()[0];
                        below += (conv.weight.numel() as i64 * node.units() / channels) as f64;
                    }
                    Op::Linear { weight, .. } => below += weight.numel() as f64,
                    Op::Relu(_) => {
                        let interval = before.next().expect("a box");
                        let open = interval.lower.lt(0.0).logical_and(&interval.upper.gt(0.0));
                        // Intervals are exact before the first layer's.
                        if counted > 0.0 || place > graph.relus().next().expect("a layer").0 {
                            counted += 2.0 * open.sum(Kind::Double).double_value(&[]) * below;
                        }
                    }
                    _ => {}
                }
            }
            assert!((below / forward - 1.0).abs() < 0.01, "{below} and {forward}");
            let certificate: AttackSpec = "certify:method=crown".parse().expect("a certificate");
            let over = certificate.passes_keeping(relus) * forward / counted;
            assert!(
                (0.5..20.0).contains(&over),
                "{steps}/255: {over} of what is carried"
            );
        }
    }

    #[test]
    fn a_certificate_of_fewer_relus_is_cheaper() {
        let text = catalog::find("certified").expect("certified");
        let suite = Suite::parse(text, "certified", &[]).expect("a suite");
        let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
        let images = |_: &Cell| {
            Ok(Images {
                train: 4000,
                test: 1000,
            })
        };
        let work = of(&plan, images).expect("counted");
        let of_model = |model: &str| {
            let name = format!("{model}/certify:eps=1/255,method=crown");
            let place = plan.cells.iter().position(|cell| cell.name.starts_with(&name));
            work[place.expect("a certificate")].macs
        };
        let fewer = of_model("adversarial") / of_model("adversarial-16x");
        assert!((14.0..16.0).contains(&fewer), "{fewer}");
    }
}
