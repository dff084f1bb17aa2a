//! The reference's defects where they touch a step: which images play which role, and what of
//! them the loss sees. The default of every function here is the paper's.

use crate::nn::{Network, NetworkSpec, Quirks};
use rlnet_suites::train::Stage;
use rlnet_suites::view::View;
use rlnet_suites::{NormBanks, Quirk, TrainSpec};
use tch::Tensor;

/// The structure of the network that a stage trains.
pub fn structure(spec: &TrainSpec) -> Quirks {
    let teacher = spec.stage == Stage::Teacher;
    let triple = spec.norm == NormBanks::Triple;
    Quirks {
        banked_shortcut: !(teacher && !triple && spec.has(Quirk::SharedShortcutNorm)),
        identity_skip: match teacher {
            true => !(triple && spec.has(Quirk::TripleTeacherWithoutSkip)),
            false => !spec.has(Quirk::StudentWithoutSkip),
        },
        normed_stages: !teacher && spec.has(Quirk::NormedStages),
    }
}

/// The same for a stage that goes on with another network's weights: a student with its mask
/// stage's (`start`), SNL with its teacher's. It is that network.
pub fn structure_after(spec: &TrainSpec, teacher: Option<&Network>, start: Option<&Network>) -> Quirks {
    let before = match spec.stage {
        Stage::Snl => teacher,
        _ if spec.units_only => None,
        _ => start,
    };
    before.map_or_else(|| structure(spec), |network| network.spec().quirks)
}

/// Whether roles share a batch out between them. TRADES has the same images play both roles,
/// and so has the reference's single-norm code (defect B7).
pub fn splits(spec: &TrainSpec) -> bool {
    let whole = spec.norm == NormBanks::Single && spec.has(Quirk::SingleNormRoles);
    let shared = spec.views.contains(&View::Clean);
    spec.is_robust() && shared && spec.trades == 0.0 && !whole
}

/// Whether a batch is cut in thirds, one a role (defect B5), and not in halves.
fn in_thirds(spec: &TrainSpec) -> bool {
    let triple = spec.norm == NormBanks::Triple && spec.has(Quirk::TripleNormThirds);
    triple && splits(spec) && spec.views.contains(&View::Augmix)
}

/// The images of a batch of `n` that play a role: the first and how many.
pub fn place(spec: &TrainSpec, view: View, n: usize) -> (i64, i64) {
    let (from, to) = match (splits(spec), in_thirds(spec), view) {
        (false, _, _) => (0, n),
        (true, false, View::Clean | View::Augmix) => (0, n / 2),
        (true, false, View::Adversarial) => (n / 2, n),
        (true, true, View::Clean) => (0, n / 3),
        (true, true, View::Augmix) => (n / 3, n / 3 * 2),
        (true, true, View::Adversarial) => (n / 3 * 2, n),
    };
    (from as i64, (to - from) as i64)
}

/// How many leading images of a batch need an AugMix view, given the batch's length.
pub fn augmix_count(spec: &TrainSpec) -> fn(usize) -> usize {
    match (splits(spec), in_thirds(spec)) {
        (false, _) => |n| n,
        (true, false) => |n| n / 2,
        (true, true) => |n| n / 3 * 2,
    }
}

/// AugMix images as a network gets them: a triple-norm network of the reference's distilled
/// stages gets normalised ones, which its first layer normalises again (defect B5).
pub fn augmix_images(spec: &TrainSpec, network: &NetworkSpec, images: Tensor) -> Tensor {
    let triple = spec.norm == NormBanks::Triple && spec.has(Quirk::TripleNormThirds);
    if !triple || spec.stage == Stage::Teacher {
        return images;
    }
    let channel = |values: [f64; 3]| {
        let values = Tensor::from_slice(&values.map(|value| value as f32)).reshape([1, 3, 1, 1]);
        values.to_device(images.device())
    };
    (&images - channel(network.mean)) / channel(network.std)
}

/// Whether cross entropy and distillation see a role. In the reference's single-norm students
/// (defect B25) whatever asks for more than the KL leaves the adversarial images out: their pass
/// only moves running statistics.
pub fn is_judged(spec: &TrainSpec, view: View) -> bool {
    let student = spec.stage != Stage::Teacher && spec.norm == NormBanks::Single;
    let more = spec.gamma > 0.0 || spec.beta > 0.0;
    let clean_only = student && more && spec.has(Quirk::SingleNormCleanLoss);
    !(clean_only && view == View::Adversarial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::plan::PlanContext;
    use rlnet_suites::{CellSpec, Suite, catalog};

    fn spec(stage: &str, norm: &str, sets: &[&str]) -> TrainSpec {
        let mut all = vec![format!("network.norm={norm}")];
        all.extend(sets.iter().map(|set| (*set).to_owned()));
        let suite = Suite::parse(catalog::find("demo").expect("the demo"), "demo", &all).expect("a suite");
        let plan = suite.plan(&PlanContext::unread(&suite));
        let mut cells = plan.expect("a plan").cells.into_iter();
        match cells.find(|cell| cell.name == stage).expect("a stage").spec {
            CellSpec::Train(spec) => spec,
            CellSpec::Evaluate(_) => unreachable!("{stage} is trained"),
        }
    }

    /// The reference's classes: (shortcut norm a branch, identity skip) of teacher and student.
    #[test]
    fn parity_builds_the_references_networks() {
        let structure = |stage, norm| {
            let quirks = structure(&spec(stage, norm, &["training.dialect=reference"]));
            (quirks.banked_shortcut, quirks.identity_skip)
        };
        for (norm, teacher, student) in [
            ("single", (false, true), (true, false)),
            ("dual", (false, true), (true, false)),
            ("triple", (true, false), (true, false)),
        ] {
            assert_eq!(structure("teacher", norm), teacher, "{norm}");
            assert_eq!(structure("mask", norm), student, "{norm}");
            assert_eq!(structure("rlnet", norm), student, "{norm}");
        }
        assert_eq!(super::structure(&spec("rlnet", "dual", &[])), Quirks::default());
    }

    #[test]
    fn roles_share_a_batch_out_without_overlap() {
        let thirds = spec("rlnet", "triple", &["training.quirks=[\"B5\"]"]);
        let places = |spec: &TrainSpec, n| {
            [View::Clean, View::Augmix, View::Adversarial].map(|view| place(spec, view, n))
        };
        // The reference's batch of 128: 42, 42 and 44.
        assert_eq!(places(&thirds, 128), [(0, 42), (42, 42), (84, 44)]);
        assert_eq!(augmix_count(&thirds)(128), 84);
        let halves = spec("rlnet", "triple", &[]);
        assert_eq!(places(&halves, 128), [(0, 64), (0, 64), (64, 64)]);
        assert_eq!(places(&halves, 7), [(0, 3), (0, 3), (3, 4)]);
        assert_eq!(augmix_count(&halves)(7), 3);
        let whole = spec("rlnet", "single", &["training.quirks=[\"B7\"]"]);
        assert_eq!(place(&whole, View::Adversarial, 7), (0, 7));
    }

    #[test]
    fn a_second_normalisation_is_the_networks_own() {
        let twice = spec("rlnet", "triple", &["training.quirks=[\"B5\"]"]);
        let network = NetworkSpec {
            arch: "resnet8-w2".parse().expect("known"),
            image_size: 32,
            classes: 10,
            norm: NormBanks::Triple,
            quirks: Quirks::default(),
            mean: [0.25, 0.5, 0.75],
            std: [0.5, 0.25, 0.125],
        };
        let images = || Tensor::ones([1, 3, 1, 1], (tch::Kind::Float, tch::Device::Cpu));
        let values = |tensor: Tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).expect("floats");
        assert_eq!(values(augmix_images(&twice, &network, images())), [1.5, 2.0, 2.0]);
        let teacher = spec("teacher", "triple", &["training.quirks=[\"B5\"]"]);
        assert_eq!(values(augmix_images(&teacher, &network, images())), [1.0; 3]);
    }
}
