//! Every stage, stopped between steps again and again: the same to the bit as if it never was.

use super::{attempt, spec};
use crate::error::Error;
use crate::nn::checkpoint::Tensors;
use crate::stop;
use crate::train::Trained;
use crate::train::passes::Passes;
use crate::train::stage::CHECKPOINT;
use crate::train::state::StageHeader;
use rlnet_suites::TrainSpec;
use std::path::Path;

/// What must be the same: the curves' points but times are compared to the bit.
#[derive(Debug, PartialEq)]
struct Kept {
    weights_and_mask: String,
    epoch: u32,
    passes: Option<Passes>,
    points: Vec<(u32, String, u64)>,
}

fn kept(trained: &Trained) -> Kept {
    let mut tensors = Tensors::default();
    tensors.put_network("param/", &trained.network);
    tensors.put_mask("mask/", trained.network.mask());
    let points = trained
        .curves
        .iter()
        .filter(|point| !point.metric.starts_with("time/"));
    let points = points.map(|point| (point.epoch, point.metric.clone(), point.value.to_bits()));
    Kept {
        weights_and_mask: tensors.checksum(),
        epoch: trained.epoch,
        passes: trained.passes.clone(),
        points: points.collect(),
    }
}

/// Trains, stopping after so many steps or epochs each time. Also gives how often that was.
fn in_pieces(spec: &TrainSpec, work: &Path, questions: u32) -> (Trained, u32) {
    for stops in 0..100 {
        stop::at_question(questions);
        match attempt(spec, work) {
            Ok(trained) => return (trained, stops),
            Err(Error::Stopped(why)) => assert!(why.contains("is saved after"), "{why}"),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it never ends");
}

#[test]
fn a_stage_stopped_between_steps_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, (stage, sets)) in [
        ("teacher", &[][..]),
        ("mask", &[]),
        (
            "mask",
            &["train.mask.with.score=averaged", "train.mask.allocation=measured"],
        ),
        ("mask", &["train.mask.with.score=taylor"]),
        ("mask", &["train.mask.with.score=hysteresis"]),
        ("mask", &["train.mask.with.score=coordinate-descent"]),
        ("rlnet", &[]),
        (
            "rlnet",
            &["train.rlnet.with.dropped=affine", "training.average=ema"],
        ),
        (
            "teacher",
            &["train.teacher.with.certified=\"sabr:eps=2/255,lambda=0.4\""],
        ),
        (
            "mask",
            &[
                "train.mask.with.certified=\"ibp:eps=1/255\"",
                "train.mask.with.score=unstable",
            ],
        ),
        (
            "teacher",
            &[
                "training.average=ema",
                "training.nesterov=true",
                "training.schedule=one-cycle",
                "training.warmup=0.3",
                "training.label_smoothing=0.2",
                "training.cutout=8",
            ],
        ),
        (
            "teacher",
            &[
                "training.attack=ffgsm:alpha=8/255",
                "training.average=ema",
                "train.teacher.with.inner_start=label-information",
                "train.teacher.with.start_consistency=100",
                "train.teacher.with.label_smoothing=0.6",
                "train.teacher.with.smoothing=random",
                "train.teacher.with.stop_at_overfitting=true",
            ],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let epochs = format!("train.{stage}.with.epochs=2");
        let sets: Vec<&str> = sets
            .iter()
            .copied()
            .chain([epochs.as_str(), "training.batch=6"])
            .collect();
        let spec = spec(stage, &sets);
        stop::at_question(u32::MAX);
        std::fs::create_dir(folder.path().join(format!("whole-{number}"))).expect("a folder");
        let whole = attempt(&spec, &folder.path().join(format!("whole-{number}"))).expect("trained");
        // One, two and three questions apart: within steps, at an epoch's last one, between epochs.
        for questions in 1..=3 {
            let work = folder.path().join(format!("pieces-{number}-{questions}"));
            std::fs::create_dir(&work).expect("a folder");
            let (pieces, stops) = in_pieces(&spec, &work, questions);
            assert!(stops >= 2, "{stage}: only {stops} stops");
            assert_eq!(pieces.resumed, stops, "{stage}");
            assert_eq!(kept(&pieces), kept(&whole), "{stage} in pieces of {questions}");
        }
    }
}

/// An epoch in which the network no longer withstands what it withstood before is the last: the stage hands on the epoch
/// before, and goes on to the same end wherever it was stopped.
#[test]
fn a_stage_that_overfits_ends_with_its_last_good_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |epochs: u32| TrainSpec {
        epochs,
        milestones: Vec::new(),
        ..spec("teacher", &["train.teacher.with.stop_at_overfitting=true"])
    };
    stop::at_question(u32::MAX);
    let first = attempt(&of(1), folder.path()).expect("trained");
    assert_eq!((first.epoch, first.overfitted), (1, None));
    // As if nine tenths had held against ten steps: a network of one epoch withstands far less.
    let checkpoint = folder.path().join(CHECKPOINT);
    let (tensors, mut header): (Tensors, StageHeader) = Tensors::load(&checkpoint).expect("a checkpoint");
    let watched = header
        .curves
        .iter_mut()
        .filter(|point| point.metric.starts_with("overfitting/"));
    assert_eq!(
        watched.map(|point| point.value = 0.9).count(),
        2,
        "FGSM and PGD-10"
    );
    tensors.save(&checkpoint, &header).expect("written");
    let ended = attempt(&of(5), folder.path()).expect("trained");
    assert_eq!((ended.epoch, ended.overfitted), (1, Some(2)));
    assert_eq!(kept(&ended).weights_and_mask, kept(&first).weights_and_mask);
    // The checkpoint says so: nothing is trained again.
    let again = attempt(&of(5), folder.path()).expect("the same");
    assert_eq!((again.epoch, again.overfitted), (1, Some(2)));
}
