//! Every loss mode, score and granularity through the loop itself, on a handful of images.

mod step_losses;
mod stop_and_resume;

use super::{StageInput, Trained, train};
use crate::data::{Split, load};
use crate::error::Result;
use crate::nn::{Network, NetworkSpec, ReluMask};
use rlnet_suites::objective::{Dropped, MODES};
use rlnet_suites::plan::PlanContext;
use rlnet_suites::{CellSpec, NormBanks, Suite, TrainSpec};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tch::Device;

/// Rendering the embedded data set takes seconds; once is enough.
pub(super) fn images() -> (Arc<Split>, Split) {
    static IMAGES: LazyLock<(Arc<Split>, Split)> = LazyLock::new(|| {
        let all = load("shapes", Path::new("")).expect("the embedded data set");
        (Arc::new(all.train.take(24)), all.test.take(16))
    });
    IMAGES.clone()
}

/// A stage of the demo suite, made small, with `sets` applied.
pub(super) fn spec(stage: &str, sets: &[&str]) -> TrainSpec {
    let small = [
        "network.arch=resnet8-w2",
        "training.batch=12",
        "training.epochs=1",
    ];
    let epochs = format!("train.{stage}.with.epochs=1");
    let sets: Vec<String> = small
        .iter()
        .copied()
        .chain([epochs.as_str()])
        .chain(sets.iter().copied())
        .map(str::to_owned)
        .collect();
    let suite = Suite::parse(
        include_str!("../../../../tests/fixtures/stages.toml"),
        "stages",
        &sets,
    )
    .expect("a suite");
    let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
    let cell = plan.cells.into_iter().find(|cell| cell.name == stage);
    match cell.expect("a stage").spec {
        CellSpec::Train(spec) => spec,
        CellSpec::Evaluate(_) => unreachable!("{stage} is trained"),
    }
}

pub(super) fn network_spec(spec: &TrainSpec) -> NetworkSpec {
    NetworkSpec {
        arch: spec.arch.parse().expect("known"),
        image_size: 32,
        classes: 10,
        norm: spec.norm,
        quirks: super::dialect::structure(spec),
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

fn run(spec: &TrainSpec, work: &Path) -> Trained {
    attempt(spec, work).expect("trained")
}

pub(super) fn attempt(spec: &TrainSpec, work: &Path) -> Result<Trained> {
    // Threads that wait for one another cost more than networks this small gain.
    tch::set_num_threads(1);
    let (images, validation) = images();
    let distilled = spec.stage != rlnet_suites::train::Stage::Teacher;
    let teacher = distilled.then(|| Network::new(network_spec(spec), 1, Device::Cpu));
    let student = spec.stage == rlnet_suites::train::Stage::Student;
    let start = (student && !spec.draws_mask() && spec.imported.is_none()).then(|| {
        let mut start = Network::new(network_spec(spec), 2, Device::Cpu);
        let sizes = start.layer_sizes();
        let keep: Vec<u64> = sizes.iter().map(|n| n / 4).collect();
        start
            .set_mask(ReluMask::random(&sizes, &keep, 0))
            .expect("its layers");
        start
    });
    train(&StageInput {
        cell: "cell",
        name: "test",
        spec,
        network: network_spec(spec),
        teacher: teacher.as_ref(),
        start: start.as_ref(),
        train: images,
        validation: &validation,
        device: Device::Cpu,
        work,
    })
}

/// The value of a curve at an epoch.
fn at(trained: &Trained, metric: &str, epoch: u32) -> Option<f64> {
    let found = |point: &&rlnet_suites::CurvePoint| point.metric == metric && point.epoch == epoch;
    trained.curves.iter().find(found).map(|point| point.value)
}

#[test]
fn every_mode_trains_and_its_total_is_the_sum_of_its_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    for mode in MODES.iter().filter(|mode| mode.trades == 0.0) {
        let spec = spec("rlnet", &[&format!("train.rlnet.with.mode=\"{}\"", mode.name)]);
        let work = folder.path().join(mode.name);
        std::fs::create_dir(&work).expect("a folder");
        let trained = run(&spec, &work);
        let part = |metric: &str| at(&trained, metric, 1).unwrap_or(0.0);
        let attention = at(&trained, "loss/attention", 1);
        assert_eq!(attention.is_some(), mode.beta > 0.0, "{}", mode.name);
        let sum = mode.gamma * part("loss/ce")
            + mode.alpha * part("loss/kl")
            + mode.beta * attention.unwrap_or(0.0);
        let total = part("loss/total");
        assert!(
            (total - sum).abs() < 1e-4 * sum,
            "{}: {total} against {sum}",
            mode.name
        );
    }
}

/// 67 pictures of 8 x 8 pixels, 32 a batch: of the last three, the clean view has one, and the last
/// maps of resnet10 have one pixel. One value has no variance.
#[test]
fn a_batch_that_leaves_a_norm_one_value_a_channel_is_left_out() {
    let small = |n: usize| Split {
        size: 8,
        files: None,
        images: (0..n * 192).map(|at| (at * 89 % 251) as u8).collect(),
        labels: (0..n).map(|at| (at % 10) as u16).collect(),
        indices: (0..n as u32).collect(),
    };
    let mut spec = spec("teacher", &[]);
    (spec.batch, spec.arch) = (32, "resnet10-w4".to_owned());
    assert_eq!(spec.norm, NormBanks::Dual);
    let folder = tempfile::tempdir().expect("a folder");
    let trained = |name: &str, images: usize| {
        let work = folder.path().join(name);
        std::fs::create_dir(&work).expect("a folder");
        train(&StageInput {
            cell: "cell",
            name: "small pictures",
            spec: &spec,
            network: NetworkSpec {
                image_size: 8,
                ..network_spec(&spec)
            },
            teacher: None,
            start: None,
            train: Arc::new(small(images)),
            validation: &small(8),
            device: Device::Cpu,
            work: &work,
        })
    };
    let whole = trained("whole", 67).expect("a network");
    assert!(at(&whole, "loss/total", 1).is_some_and(f64::is_finite));
    for param in whole.network.params().iter() {
        let finite = param.tensor.isfinite().all().int64_value(&[]);
        assert_eq!(finite, 1, "{}", param.name);
    }
    // Two values have a variance; four images give each view two.
    assert!(trained("two", 4).is_ok());
    for images in 1..4 {
        let refused = trained(&images.to_string(), images);
        let error = refused.err().expect("no batch is large enough").to_string();
        assert!(
            error.contains("small pictures: a batch of") && error.contains("batch norm"),
            "{error}"
        );
    }
}

/// The experimental transformer, two steps of each: scores and hidden layers are masked like
/// any ReLU, both banks move, nothing is NaN.
#[test]
fn a_transformer_goes_through_the_three_stages() {
    let folder = tempfile::tempdir().expect("a folder");
    for stage in ["teacher", "mask", "rlnet"] {
        let spec = spec(stage, &["network.arch=vit2-w16", "train.mask.budget=4x"]);
        assert_eq!(spec.norm, NormBanks::Dual);
        let work = folder.path().join(stage);
        std::fs::create_dir(&work).expect("a folder");
        let trained = run(&spec, &work);
        let total = at(&trained, "loss/total", 1);
        assert!(total.is_some_and(f64::is_finite), "{stage}: {total:?}");
        let sizes = trained.network.layer_sizes();
        let kept: u64 = trained.network.mask().kept().iter().sum();
        let all: u64 = sizes.iter().sum();
        assert_eq!(kept, if stage == "teacher" { all } else { all / 4 }, "{stage}");
        let fresh = Network::new(network_spec(&spec), 0, Device::Cpu);
        for (before, after) in fresh.params().iter().zip(trained.network.params().iter()) {
            let moved = before.name.contains("running_mean") && before.tensor != after.tensor;
            assert!(
                moved || !before.name.contains("running_mean"),
                "{stage}: {}",
                before.name
            );
        }
    }
}

#[test]
fn trades_and_consistency_reach_the_teacher() {
    let folder = tempfile::tempdir().expect("a folder");
    let views = "train.teacher.views=[\"clean\", \"adversarial\"]";
    let trades = spec(
        "teacher",
        &[
            "train.teacher.norm=single",
            views,
            "train.teacher.with.mode=trades-6",
        ],
    );
    assert_eq!(trades.norm, NormBanks::Single);
    let trained = run(&trades, folder.path());
    // Both roles see every image.
    assert!(at(&trained, "train/accuracy/adversarial", 1).is_some());
    assert!(at(&trained, "loss/total", 1).is_some_and(f64::is_finite));
    let work = folder.path().join("jsd");
    std::fs::create_dir(&work).expect("a folder");
    let trained = run(&spec("teacher", &["train.teacher.with.jsd=12"]), &work);
    assert!(at(&trained, "loss/jsd", 1).is_some_and(|jsd| jsd > 0.0));
}

#[test]
fn scores_granularities_and_allocations_give_masks_of_the_right_size() {
    let folder = tempfile::tempdir().expect("a folder");
    for (n, (sets, channels, exact)) in [
        (vec!["train.mask.with.score=preactivation"], false, true),
        (vec!["train.mask.with.score=taylor"], false, true),
        (vec!["train.mask.with.score=hysteresis"], false, true),
        (vec!["train.mask.with.score=coordinate-descent"], false, true),
        (
            vec!["train.mask.with.score=averaged", "train.mask.allocation=measured"],
            false,
            true,
        ),
        (
            vec![
                "train.mask.with.granularity=channel",
                "train.mask.allocation=equal",
            ],
            true,
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = spec("mask", &sets);
        let work = folder.path().join(n.to_string());
        std::fs::create_dir(&work).expect("a folder");
        let network = run(&spec, &work).network;
        let (kept, total): (u64, u64) = (
            network.mask().kept().iter().sum(),
            network.layer_sizes().iter().sum(),
        );
        let budget = (total as f64 / 5.0).round() as u64;
        assert_eq!(
            network.mask().is_channel_wise(&network.layer_shapes()),
            channels,
            "{sets:?}"
        );
        assert_eq!(kept == budget, exact, "{sets:?}: {kept} of {budget}");
        assert!(kept <= budget && kept > 0, "{sets:?}");
    }
}

/// A student's dropped units start as the identity and are trained beside the weights; of layers that drop none the
/// numbers stay.
#[test]
fn a_student_trains_what_its_dropped_units_compute() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str, sets: &[&str]| {
        let work = folder.path().join(name);
        std::fs::create_dir(&work).expect("a folder");
        run(&spec("rlnet", sets), &work)
    };
    let affine = ["train.rlnet.with.dropped=affine"];
    let own = |trained: &Trained| -> Vec<(String, Vec<f32>)> {
        let own = trained.network.params().iter();
        own.filter(|param| param.name.starts_with("dropped."))
            .map(|param| (param.name.clone(), Vec::try_from(&param.tensor).expect("numbers")))
            .collect()
    };
    let trained = of("affine", &affine);
    assert_eq!(trained.network.dropped(), Dropped::Affine);
    let numbers = own(&trained);
    assert_eq!(numbers.len(), 2 * trained.network.layers().len());
    for (name, values) in numbers {
        let start = if name.ends_with(".scale") { 1.0 } else { 0.0 };
        assert!(values.iter().any(|value| *value != start), "{name}: {values:?}");
        assert!(
            values.iter().all(|value| (value - start).abs() < 0.5),
            "{name}: {values:?}"
        );
    }
    let identity = of("identity", &[]);
    assert!(own(&identity).is_empty());
    // The loss of the first step, here the only one, is that of the identity.
    let whole_batch = "training.batch=24";
    let (one, other) = (of("one", &[affine[0], whole_batch]), of("other", &[whole_batch]));
    let loss = |trained: &Trained| at(trained, "loss/total", 1).expect("a loss");
    assert_eq!(loss(&one), loss(&other));
    // Where nothing is dropped nothing is trained.
    let mut whole = spec("rlnet", &affine);
    whole.budget = Some("1x".parse().expect("a budget"));
    let work = folder.path().join("whole");
    std::fs::create_dir(&work).expect("a folder");
    for (name, values) in own(&run(&whole, &work)) {
        let start = if name.ends_with(".scale") { 1.0 } else { 0.0 };
        assert!(values.iter().all(|value| *value == start), "{name}: {values:?}");
    }
}

/// A stage that goes on with a network whose dropped units are trained would forget what they compute.
#[test]
fn a_network_with_trained_dropped_units_is_no_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (images, validation) = images();
    let spec = spec("rlnet", &[]);
    let teacher = Network::new(network_spec(&spec), 1, Device::Cpu);
    let mut start = Network::new(network_spec(&spec), 2, Device::Cpu);
    start.replace_dropped(Dropped::Affine);
    let refused = train(&StageInput {
        cell: "cell",
        name: "test",
        spec: &spec,
        network: network_spec(&spec),
        teacher: Some(&teacher),
        start: Some(&start),
        train: images,
        validation: &validation,
        device: Device::Cpu,
        work: folder.path(),
    });
    let error = refused.err().expect("refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("affine"), "{error}");
}

/// The running average is part of the checkpoint: a mask stage that was cut off after an epoch
/// chooses the same units as one that was not.
#[test]
fn averaged_scores_survive_a_resume() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |epochs: u32| TrainSpec {
        epochs,
        ..spec("mask", &["train.mask.with.score=averaged"])
    };
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    for work in [&whole, &cut] {
        std::fs::create_dir(work).expect("a folder");
    }
    let once = run(&of(3), &whole);
    let _first = run(&of(2), &cut);
    let resumed = run(&of(3), &cut);
    assert_eq!(resumed.resumed, 1);
    assert_eq!(once.network.mask(), resumed.network.mask());
    let mut without = TrainSpec { ..of(3) };
    without.score = rlnet_suites::objective::Score::Own;
    let own = folder.path().join("own");
    std::fs::create_dir(&own).expect("a folder");
    assert_ne!(once.network.mask(), run(&without, &own).network.mask());
}

/// Velocities grow by `momentum` each step. At 1e25 with a rate of 1e-29 the first two steps
/// change next to nothing, and the third makes every weight infinite or NaN: an explosion on
/// the step.
fn explodes_on_the_third_step(batch: usize) -> TrainSpec {
    TrainSpec {
        epochs: 3,
        batch,
        lr: 1e-29,
        momentum: 1e25,
        ..spec("teacher", &[])
    }
}

/// 24 images: two steps an epoch, so the second epoch's second loss is NaN. Three epochs of one
/// step: the third ends with a fine loss and broken weights.
#[test]
fn a_divergence_keeps_the_last_good_epoch_and_the_run_goes_on_from_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (batch, epoch, what) in [(12, 2, "the loss became NaN"), (24, 3, "no longer finite")] {
        let work = folder.path().join(batch.to_string());
        std::fs::create_dir(&work).expect("a folder");
        let checkpoint = work.join(super::stage::CHECKPOINT);
        let wild = explodes_on_the_third_step(batch);
        let mut kept = None;
        // The second time it goes on from the checkpoint, into the same wall.
        for _ in 0..2 {
            let error = attempt(&wild, &work).err().expect("a divergence");
            assert_eq!(error.exit_code(), 1);
            let said = error.to_string();
            for part in [
                what,
                &format!("in epoch {epoch} "),
                &format!("checkpoint of epoch {} is kept", epoch - 1),
                "Lower `lr`",
            ] {
                assert!(said.contains(part), "no {part:?} in {said}");
            }
            let bytes = std::fs::read(&checkpoint).expect("a checkpoint");
            assert_eq!(*kept.get_or_insert_with(|| bytes.clone()), bytes);
        }
        // Without the cause it goes on to the end.
        let calm = TrainSpec {
            lr: 0.01,
            momentum: 0.0,
            ..wild
        };
        let trained = run(&calm, &work);
        assert_eq!(trained.resumed, 1);
        for good in 1..=3 {
            let loss = at(&trained, "loss/total", good).expect("every epoch has a loss");
            assert!(loss.is_finite() && loss < 10.0, "epoch {good}: {loss}");
        }
        let rate = |epoch| at(&trained, "lr", epoch).expect("a rate");
        assert!(rate(epoch - 1) < 1e-28, "the kept epoch is not trained again");
        assert!(rate(epoch) > 1e-4);
    }
}

#[test]
fn parity_runs_through_every_stage_and_norm_and_keeps_one_unit_fewer_a_layer() {
    let folder = tempfile::tempdir().expect("a folder");
    for norm in ["single", "dual", "triple"] {
        let norm = format!("network.norm={norm}");
        for stage in ["teacher", "mask", "rlnet"] {
            let trained = |dialect: &str| {
                let dialect = format!("training.dialect={dialect}");
                let spec = spec(stage, &[&norm, &dialect]);
                let work = folder.path().join(format!("{norm}-{stage}-{dialect}"));
                std::fs::create_dir(&work).expect("a folder");
                run(&spec, &work)
            };
            let reference = trained("reference");
            let loss = at(&reference, "loss/total", 1).expect("a loss");
            assert!(loss.is_finite(), "{norm} {stage}: {loss}");
            assert!(at(&reference, "train/accuracy/adversarial", 1).is_some());
            if stage == "mask" {
                let paper = trained("paper").network.mask().kept();
                let fewer: Vec<u64> = paper.iter().map(|&kept| kept - 1).collect();
                assert_eq!(reference.network.mask().kept(), fewer, "{norm}");
            }
        }
    }
}

/// Row B25 of the specification: after a step of such a student the weights are the same for a
/// radius of 0 and of 8/255; only running statistics have seen the attack.
#[test]
fn a_single_norm_student_of_the_reference_does_not_learn_from_its_attack() {
    let folder = tempfile::tempdir().expect("a folder");
    let trained = |quirks: &str, eps: &str| {
        let sets = [
            "network.norm=single",
            "training.batch=24",
            "train.rlnet.with.mode=ce",
            &format!("training.quirks={quirks}"),
            &format!("training.attack=\"pgd:steps=3,eps={eps}/255\""),
        ];
        let work = folder
            .path()
            .join(format!("{quirks}-{eps}").replace(['"', '[', ']', ','], ""));
        std::fs::create_dir(&work).expect("a folder");
        run(&spec("rlnet", &sets), &work).network
    };
    let differ = |quirks: &str, trainable: bool| {
        let (without, with) = (trained(quirks, "0"), trained(quirks, "8"));
        let mut pairs = without.params().iter().zip(with.params().iter());
        let pair = pairs.find(|(a, b)| a.trainable == trainable && !a.tensor.equal(&b.tensor));
        let _ = std::fs::read_dir(folder.path()).map(|entries| {
            entries.flatten().for_each(|entry| {
                let _ = std::fs::remove_dir_all(entry.path());
            });
        });
        pair.map(|(a, _)| a.name.clone())
    };
    let replayed = "[\"B7\",\"B25\"]";
    assert_eq!(differ(replayed, true), None);
    assert!(differ(replayed, false).is_some());
    assert!(differ("[\"B7\"]", true).is_some());
}

/// Two controls: a mask stage that does not search, and a student that has no mask stage.
#[test]
fn units_drawn_by_lot_stay_through_training() {
    let folder = tempfile::tempdir().expect("a folder");
    let random = spec("mask", &["train.mask.with.score=random"]);
    let random = TrainSpec { epochs: 2, ..random };
    let trained = run(&random, folder.path());
    let sizes = trained.network.layer_sizes();
    let keep = trained.network.mask().kept();
    let total: u64 = sizes.iter().sum();
    assert_eq!(keep.iter().sum::<u64>(), (total as f64 / 5.0).round() as u64);
    assert_eq!(
        *trained.network.mask(),
        ReluMask::random(&sizes, &keep, random.seed)
    );
    assert_eq!(at(&trained, "mask/hamming_lag1", 1), None);

    let student = TrainSpec {
        budget: random.budget,
        epochs: 1,
        ..spec("rlnet", &[])
    };
    let work = folder.path().join("student");
    std::fs::create_dir(&work).expect("a folder");
    let trained = run(&student, &work);
    assert_eq!(trained.network.mask().kept(), keep);
    assert!(at(&trained, "loss/attention", 1).is_some());
}

/// A mask stage that hands on its best epoch hands on the mask of that epoch, also after a resume.
#[test]
fn the_best_epochs_mask_comes_with_its_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |epochs: u32| TrainSpec {
        epochs,
        ..spec(
            "mask",
            &["train.mask.with.select=clean", "train.mask.with.lr=0.2"],
        )
    };
    let work = |name: &str| {
        let work = folder.path().join(name);
        std::fs::create_dir(&work).expect("a folder");
        work
    };
    let whole = run(&of(4), &work("whole"));
    let cut = work("cut");
    let _ = run(&of(3), &cut);
    let resumed = run(&of(4), &cut);
    assert_eq!(
        (whole.epoch, whole.network.mask()),
        (resumed.epoch, resumed.network.mask())
    );
    // Up to that epoch nothing differs from a stage that ends there.
    let until = run(&of(whole.epoch), &work("until"));
    assert_eq!(until.epoch, whole.epoch);
    assert_eq!(until.network.mask(), whole.network.mask());
}

/// An SNL search from the teacher of [`attempt`]: two steps an epoch.
fn snl(epochs: u32, lasso: f64) -> TrainSpec {
    TrainSpec {
        stage: rlnet_suites::train::Stage::Snl,
        epochs,
        lasso,
        lr: 0.03,
        gamma: 1.0,
        alpha: 1.0,
        weight_decay: 0.0,
        ..spec("mask", &[])
    }
}

#[test]
fn the_lasso_drives_slopes_to_the_budget_and_exactly_so_many_units_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let train = |name: &str, spec: &TrainSpec| {
        let work = folder.path().join(name);
        std::fs::create_dir(&work).expect("a folder");
        run(spec, &work)
    };
    let with = train("with", &snl(60, 1e-3));
    let sizes = with.network.layer_sizes();
    let budget = (sizes.iter().sum::<u64>() as f64 / 5.0).round();
    let kept = |trained: &Trained| trained.network.mask().kept().iter().sum::<u64>() as f64;
    let active = |trained: &Trained, epoch| at(trained, "snl/active", epoch).expect("a count");
    let last = with.epoch;
    assert!(last < 60, "the budget is never met");
    assert!(active(&with, last) <= budget && active(&with, last - 1) > budget);
    assert_eq!(kept(&with), budget);
    let lasso = |epoch| at(&with, "loss/lasso", epoch).expect("a lasso");
    assert!(lasso(last) < 0.5 * lasso(1), "{} after {}", lasso(last), lasso(1));
    // Without it slopes stay, and the largest are kept all the same.
    let without = train("without", &snl(8, 0.0));
    assert!(active(&without, 8) > 2.0 * budget, "{}", active(&without, 8));
    assert_eq!((without.epoch, kept(&without)), (8, budget));
}

/// Slopes, both moments and the number of updates are part of the checkpoint.
#[test]
fn an_snl_search_survives_a_resume() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    for work in [&whole, &cut] {
        std::fs::create_dir(work).expect("a folder");
    }
    let once = run(&snl(5, 1e-3), &whole);
    // A checkpoint of the middle: the third epoch's, of a search that was to have five.
    let third = TrainSpec {
        epochs: 3,
        ..snl(5, 1e-3)
    };
    let first = run(&third, &cut);
    assert_eq!(first.epoch, 3);
    let checkpoint = cut.join(super::stage::CHECKPOINT);
    let (tensors, mut header): (crate::nn::checkpoint::Tensors, super::state::StageHeader) =
        crate::nn::checkpoint::Tensors::load(&checkpoint).expect("a checkpoint");
    assert!(header.finished);
    header.finished = false;
    tensors.save(&checkpoint, &header).expect("written");
    let resumed = run(&snl(5, 1e-3), &cut);
    assert_eq!(resumed.resumed, 1);
    assert_eq!(once.network.mask(), resumed.network.mask());
    let mut pairs = once.network.params().iter().zip(resumed.network.params().iter());
    let differ = pairs.find(|(a, b)| !a.tensor.equal(&b.tensor));
    assert_eq!(differ.map(|(a, _)| &a.name), None);
    assert_eq!(at(&once, "snl/active", 5), at(&resumed, "snl/active", 5));
}

/// A mask of another network of the same shape, as one found on other data is.
#[test]
fn a_student_takes_a_mask_from_a_file_with_the_right_checksum() {
    let folder = tempfile::tempdir().expect("a folder");
    let student = spec("rlnet", &[]);
    let mut other = Network::new(network_spec(&student), 9, Device::Cpu);
    let sizes = other.layer_sizes();
    let keep: Vec<u64> = sizes.iter().map(|n| n / 7).collect();
    other
        .set_mask(ReluMask::random(&sizes, &keep, 5))
        .expect("its layers");
    let path = folder.path().join("mask.safetensors");
    crate::nn::mask_file::save(&path, &other).expect("written");
    let blake3 = blake3::hash(&std::fs::read(&path).expect("a file"))
        .to_hex()
        .to_string();
    let importing = |blake3: &str| TrainSpec {
        imported: Some(Box::new(rlnet_suites::train::ImportedMask {
            path: path.display().to_string(),
            blake3: blake3.to_owned(),
        })),
        ..student.clone()
    };
    let trained = run(&importing(&blake3), folder.path());
    assert_eq!(trained.network.mask(), other.mask());
    let wrong = blake3::hash(b"another file").to_hex();
    std::fs::remove_file(folder.path().join(super::stage::CHECKPOINT)).expect("the checkpoint");
    let error = attempt(&importing(wrong.as_str()), folder.path())
        .err()
        .expect("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(&blake3), "{error}");
}
