//! A stage from its first epoch, or from where it was cut off, to its last.

use super::adam::Adam;
use super::average::{WeightAverage, with_average};
use super::dialect;
use super::gates::Gates;
use super::liet;
use super::mask_update::{fewer_slopes, first_mask, indicators_of, next_mask, slopes_of, units_to_keep};
use super::optimizer::Optimizer;
use super::overfitting::Held;
use super::passes::{Counted, Passes};
use super::sensitivity;
use super::sgd::Sgd;
use super::state::{Partial, StageHeader, StageState};
use super::step::{Step, diverged, fills_norms, too_small};
use super::tensorboard::EventFile;
use super::validate::{Accuracy, validate};
use crate::data::{Split, ViewSpec, epoch};
use crate::device;
use crate::error::{Error, Result};
use crate::nn::{Network, NetworkSpec, mask_file};
use crate::progress::{Progress, announce};
use crate::stop;
use rlnet_suites::objective::{Dropped, Precision};
use rlnet_suites::train::{Allocation, Select, Stage};
use rlnet_suites::view::View;
use rlnet_suites::{CurvePoint, Quirk, TrainSpec};
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tch::Device;

/// What a stage starts from.
pub struct StageInput<'a> {
    /// Identity of the cell, kept in its checkpoints.
    pub cell: &'a str,
    /// Name for progress lines.
    pub name: &'a str,
    /// What to do.
    pub spec: &'a TrainSpec,
    /// The network to build.
    pub network: NetworkSpec,
    /// The frozen teacher of stages `mask` and `student`.
    pub teacher: Option<&'a Network>,
    /// What a student starts from: weights and mask of its mask stage, or the mask of another
    /// search alone (`units_only`). None: fresh weights, and units drawn by lot.
    pub start: Option<&'a Network>,
    /// Training images.
    pub train: Arc<Split>,
    /// Held-out images, for selecting epochs.
    pub validation: &'a Split,
    /// Where it runs.
    pub device: Device,
    /// Folder of the checkpoint and the TensorBoard file.
    pub work: &'a Path,
}

/// What a stage hands on.
pub struct Trained {
    /// The network of the selected epoch, with its mask.
    pub network: Network,
    /// The selected epoch, 1-based.
    pub epoch: u32,
    /// The epoch in which it was found to overfit, which ended it.
    pub overfitted: Option<u32>,
    /// Training curves.
    pub curves: Vec<CurvePoint>,
    /// Wall seconds over all pieces.
    pub seconds: f64,
    /// How often the stage was resumed.
    pub resumed: u32,
    /// Passes through the network and its teacher, all pieces together; none where they were not
    /// counted from the start.
    pub passes: Option<Passes>,
}

/// The name of a stage's checkpoint in its work folder.
pub const CHECKPOINT: &str = "state.safetensors";

/// Trains a stage. A checkpoint in the work folder is gone on from, and the result is the
/// same as if the stage had never stopped.
///
/// # Errors
/// When the budget cannot be met, the loss diverges, the checkpoint is damaged, or a file
/// cannot be written.
pub fn train(input: &StageInput<'_>) -> Result<Trained> {
    let spec = input.spec;
    let _settings = device::Training::begin(input.device, spec.precision != Precision::Fp32);
    if spec.precision == Precision::Bf16 && !device::multiplies_bf16(input.device) {
        announce(&format!(
            "{}: this processor does not multiply in bf16 itself; precision = \"fp32\" is faster here",
            input.name
        ));
    }
    let checkpoint = input.work.join(CHECKPOINT);
    let mut state = go_on(input, &checkpoint)?;
    let keep = if spec.draws_mask() {
        units_to_keep(input, &state.network)?
    } else {
        Vec::new()
    };
    if spec.draws_mask() && state.header.epoch == 0 && state.partial.is_none() {
        let mask = first_mask(spec, &state.network.layer_shapes(), &keep);
        state.network.set_mask(mask)?;
        // Measured again wherever the stage is gone on with, counted once.
        if let (Some(passes), Allocation::Measured) = (&state.header.passes, spec.allocation) {
            passes.teacher(sensitivity::passes(input.validation.len(), keep.len()));
        }
    }
    let mut events = EventFile::create(input.work, &state.header.curves)?;
    let steps = state
        .partial
        .as_ref()
        .map_or(0, |partial| partial.steps * spec.batch);
    let already = u64::from(state.header.epoch) * input.train.len() as u64 + steps as u64;
    let images = u64::from(spec.epochs) * input.train.len() as u64;
    let progress = Progress::new(input.name, "images", images, already);
    check_batches(input, &state.network.layer_shapes(), &progress)?;
    while state.header.epoch < spec.epochs && !state.header.finished {
        let points = one_epoch(input, &mut state, &keep, &progress)?;
        unbroken(&state, input)?;
        if let Some(points) = points {
            events.append(&points)?;
            state.header.curves.extend(points);
        }
        state.save(&checkpoint)?;
        let over = state.header.epoch >= spec.epochs || state.header.finished;
        if !over || state.partial.is_some() {
            stop::check(&format!("{} is saved {}", input.name, place(&state, spec)))?;
        }
    }
    progress.finish();
    state.restore_best()?;
    Ok(Trained {
        network: state.network,
        epoch: state.header.best_epoch,
        overfitted: state.header.overfitted,
        curves: state.header.curves,
        seconds: state.header.seconds,
        resumed: state.header.resumed,
        passes: state.header.passes,
    })
}

/// The state to go on from: the checkpoint's, else that before the first epoch. A checkpoint
/// that cannot be read is left, and the stage starts over.
fn go_on(input: &StageInput<'_>, checkpoint: &Path) -> Result<StageState> {
    if !checkpoint.exists() {
        return begin(input);
    }
    let mut state = begin(input)?;
    match state.load(checkpoint) {
        Ok(()) => {
            state.header.resumed += 1;
            let place = place(&state, input.spec);
            announce(&format!("{}: going on {place}", input.name));
            Ok(state)
        }
        Err(why) => {
            announce(&format!("{}: {why}; the stage starts over", input.name));
            begin(input)
        }
    }
}

/// Refuses images of which no batch is large enough, and says where the last one is not.
fn check_batches(input: &StageInput<'_>, shapes: &[[u64; 3]], progress: &Progress) -> Result<()> {
    let (spec, images) = (input.spec, input.train.len());
    let (first, last) = (images.min(spec.batch), images % spec.batch);
    if !fills_norms(spec, shapes, first) {
        return Err(Error::Usage(format!("{}: {}", input.name, too_small(first))));
    }
    if last > 0 && !fills_norms(spec, shapes, last) {
        progress.note(&format!(
            "{}: the last batch of an epoch, {last} of {images} images in another order each time, is too small for \
             the batch norms and is left out",
            input.name
        ));
    }
    Ok(())
}

/// Where a stage is.
fn place(state: &StageState, spec: &TrainSpec) -> String {
    match &state.partial {
        Some(partial) => format!(
            "after step {} of epoch {} of {}",
            partial.steps,
            state.header.epoch + 1,
            spec.epochs
        ),
        None => format!("after epoch {} of {}", state.header.epoch, spec.epochs),
    }
}

/// Refuses weights that are no longer numbers: the last step of an epoch can break them without
/// a loss that shows it, and a checkpoint of them could not be gone on from.
fn unbroken(state: &StageState, input: &StageInput<'_>) -> Result<()> {
    let finite = |tensor: &tch::Tensor| tensor.isfinite().all().int64_value(&[]) != 0;
    match state.network.params().iter().find(|param| !finite(&param.tensor)) {
        None => Ok(()),
        Some(param) => Err(diverged(
            input.spec,
            state.header.epoch,
            &format!("{} is no longer finite", param.name),
        )),
    }
}

/// The state before the first epoch.
fn begin(input: &StageInput<'_>) -> Result<StageState> {
    let mut network = Network::new(input.network.clone(), input.spec.seed, input.device);
    if let Some(start) = input.start {
        if !input.spec.units_only {
            copy_weights(start, &network)?;
        }
        network.set_mask(start.mask().clone())?;
    }
    if let Some(imported) = &input.spec.imported {
        let path = Path::new(&imported.path);
        mask_file::verify(path, &imported.blake3)?;
        let mask = mask_file::load(path, &network)?;
        network.set_mask(mask)?;
    }
    network.replace_dropped(input.spec.dropped);
    let (decay, mut slopes) = (input.spec.weight_decay, None);
    if let (Some(teacher), true) = (input.teacher, input.spec.starts_from_teacher()) {
        copy_weights(teacher, &network)?;
    }
    let indicators = indicators_of(input.spec, &mut network)?;
    let optimizer = if input.spec.stage == Stage::Snl {
        let slopes = slopes.insert(slopes_of(input.spec, &mut network)?);
        Optimizer::Adam(Adam::new(network.params(), &slopes.named(), decay))
    } else {
        let mut sgd = Sgd::new(network.params(), input.spec.momentum, decay);
        sgd.nesterov = input.spec.nesterov;
        Optimizer::Sgd(sgd)
    };
    Ok(StageState {
        header: StageHeader {
            cell: input.cell.to_owned(),
            passes: Some(Passes::default()),
            ..StageHeader::default()
        },
        network,
        optimizer,
        average: WeightAverage::default(),
        slopes,
        indicators,
        best: Vec::new(),
        best_mask: None,
        previous_mask: None,
        scores: None,
        partial: None,
    })
}

fn copy_weights(from: &Network, to: &Network) -> Result<()> {
    let _guard = tch::no_grad_guard();
    if from.dropped() != Dropped::Identity {
        return Err(Error::Incompatible(format!(
            "a stage goes on with a network whose dropped units are the identity, those of this {} are {}",
            from.spec().arch,
            from.dropped()
        )));
    }
    if from.params().iter().count() != to.params().iter().count() {
        return Err(Error::Incompatible(format!(
            "a network that goes on with another's weights must have its architecture and norms, {} is not {}",
            to.spec().arch,
            from.spec().arch
        )));
    }
    for (from, to) in from.params().iter().zip(to.params().iter()) {
        to.tensor.shallow_clone().copy_(&from.tensor);
    }
    Ok(())
}

/// Trains one epoch, or what is left of it, updates the mask, validates, selects. Gives the
/// epoch's curve points; nothing when it was asked to stop between two steps.
fn one_epoch(
    input: &StageInput<'_>,
    state: &mut StageState,
    keep: &[u64],
    progress: &Progress,
) -> Result<Option<Vec<CurvePoint>>> {
    let spec = input.spec;
    let started = Instant::now();
    let number = state.header.epoch + 1;
    let (made, whole) = steps(input, state, progress)?;
    if !whole {
        state.partial = Some(made);
        state.header.seconds += started.elapsed().as_secs_f64();
        return Ok(None);
    }
    let Partial { means, scores, .. } = made;
    let loss = means.mean("loss/total").unwrap_or_default();
    if !loss.is_finite() {
        return Err(diverged(spec, number, &format!("the loss became {loss}")));
    }
    let mut measured = vec![("lr".to_owned(), spec.lr_at(number))];
    measured.extend(next_mask(input, state, &scores, keep)?);
    measured.extend(fewer_slopes(input, state, progress)?);
    state.average.after_epoch(spec, &state.network, number);
    let (accuracies, held) = with_average(input, state, |state| {
        let (accuracies, held) = validated(input, state)?;
        let chance = 1.0 / input.network.classes as f64;
        if held.is_some_and(|held| held.overfits(&state.header.curves, chance)) {
            (state.header.overfitted, state.header.finished) = (Some(number), true);
            return Ok((accuracies, held));
        }
        let score = score(spec, &accuracies, input.network.norm);
        // Ties go to the later epoch, as in the reference. Epochs in which a certified ball grew are no match for one in
        // which it was whole.
        let before = f64::from(number.saturating_sub(2)) / f64::from(spec.epochs);
        let rises = spec.certified.0.is_some_and(|bounded| bounded.rises(before));
        if spec.select == Select::Last || rises || score >= state.header.best_score {
            state.keep_best(number, score);
        }
        Ok((accuracies, held))
    })?;
    for accuracy in &accuracies {
        measured.push((format!("validation/clean/{}", accuracy.branch), accuracy.clean));
        if let Some(adversarial) = accuracy.adversarial {
            measured.push((format!("validation/adversarial/{}", accuracy.branch), adversarial));
        }
    }
    measured.extend(held.into_iter().flat_map(Held::points));
    let seconds = started.elapsed().as_secs_f64();
    measured.push(("time/seconds".to_owned(), seconds));
    measured.push((
        "time/images_per_second".to_owned(),
        input.train.len() as f64 / seconds,
    ));
    progress.note(&format!(
        "{} epoch {number}/{}: loss {loss:.3}, validation {} ({seconds:.0} s)",
        input.name,
        spec.epochs,
        describe(&accuracies)
    ));
    if let (Some(held), true) = (held, state.header.overfitted == Some(number)) {
        progress.note(&format!(
            "{}: catastrophic overfitting in epoch {number}: on held-out images {:.1} % are right under FGSM and {:.1} % under \
             PGD-10; the stage ends with the weights of epoch {}",
            input.name,
            100.0 * held.fgsm,
            100.0 * held.pgd,
            state.header.best_epoch
        ));
    }
    state.header.epoch = number;
    state.header.seconds += seconds;
    let mut points = means.points(number);
    points.extend(measured.into_iter().map(|(metric, value)| CurvePoint {
        epoch: number,
        metric,
        value,
    }));
    Ok(Some(points))
}

/// What an epoch makes of the training images.
pub fn views(spec: &TrainSpec, epoch: u32) -> ViewSpec {
    ViewSpec {
        seed: spec.seed,
        epoch,
        batch: spec.batch,
        augment: true,
        augmix: spec.views.contains(&View::Augmix),
        augmentation: spec.augmentation,
        shared_crop: !spec.has(Quirk::OwnAugmixCrop),
        augmix_count: dialect::augmix_count(spec),
        cutout: spec.cutout,
    }
}

/// The steps of an epoch that are left. Gives how many are done, what they added up, and
/// whether the epoch is at its end: not when a step was the last before a stop.
fn steps(input: &StageInput<'_>, state: &mut StageState, progress: &Progress) -> Result<(Partial, bool)> {
    let spec = input.spec;
    let mut at = state.partial.take().unwrap_or_default();
    let number = state.header.epoch + 1;
    let uncounted = Passes::default();
    state.optimizer.set_momentum(spec.momentum_at(number));
    if let Some(indicators) = &state.indicators {
        indicators.rule(&mut state.network);
    }
    let gates = spec.weighs_gates().then(|| Gates::of(&mut state.network));
    let steps = input.train.len().div_ceil(spec.batch).max(1);
    let mut step = Step {
        spec,
        network: &state.network,
        teacher: input.teacher,
        slopes: state.slopes.as_ref(),
        epoch: number,
        lr: spec.lr_at(number),
        done: 0.0,
        pattern: RefCell::new(at.pattern.take()),
        passes: state.header.passes.as_ref().unwrap_or(&uncounted),
    };
    let in_epoch = steps as f64;
    // Every draw is keyed by epoch and image, so steps that were done can be passed over.
    for batch in epoch(Arc::clone(&input.train), views(spec, number)).skip(at.steps) {
        let batch = batch?;
        let within = (at.steps as f64 + 0.5) / in_epoch;
        step.lr = spec.lr_in(number, within);
        step.done = (f64::from(number - 1) + within) / f64::from(spec.epochs);
        if at.steps.is_multiple_of(liet::EVERY) {
            step.pattern.take();
        }
        step.run(&batch, &mut state.optimizer, &mut at.scores, &mut at.means)?;
        if let Some(gates) = &gates {
            at.scores.add_sizes(&gates.take_gradients());
        }
        if let Some(indicators) = &mut state.indicators {
            indicators.step(steps * spec.epochs as usize);
        }
        at.steps += 1;
        let place = (f64::from(number - 1) + at.steps as f64 / in_epoch) / f64::from(spec.epochs);
        state.average.after_step(spec, &state.network, place);
        progress.advance(batch.len() as u64, || {
            let loss = at.means.mean("loss/total").unwrap_or_default();
            format!("epoch {number}/{}, loss {loss:.3}", spec.epochs)
        });
        if stop::asked().is_some() {
            at.pattern = step.pattern.take();
            return Ok((at, false));
        }
    }
    Ok((at, true))
}

/// Accuracy of each branch on the images held out, and what tells whether the network overfits.
fn validated(input: &StageInput<'_>, state: &StageState) -> Result<(Vec<Accuracy>, Option<Held>)> {
    let uncounted = Passes::default();
    let frozen = Counted {
        model: &state.network.freeze(),
        passes: state.header.passes.as_ref().unwrap_or(&uncounted),
    };
    let accuracies = validate(&frozen, input.validation, input.spec)?;
    let held = Held::measure(&frozen, input.validation, input.spec)?;
    Ok((accuracies, held))
}

/// What selecting an epoch maximises; see [`Select`].
fn score(spec: &TrainSpec, accuracies: &[Accuracy], norm: rlnet_suites::NormBanks) -> f64 {
    let of = |view: View| {
        let branch = norm.branch_of(view);
        accuracies.iter().find(|accuracy| accuracy.branch == branch)
    };
    let clean = of(View::Clean).map_or(0.0, |accuracy| accuracy.clean);
    let adversarial = of(View::Adversarial).and_then(|accuracy| accuracy.adversarial);
    match (spec.select, adversarial) {
        // Less than one image of those that are attacked: clean accuracy decides ties.
        (Select::Adversarial, Some(adversarial)) => adversarial + 1e-3 * clean,
        (Select::Mean, Some(adversarial)) => (clean + adversarial) / 2.0,
        _ => clean,
    }
}

fn describe(accuracies: &[Accuracy]) -> String {
    let one = |accuracy: &Accuracy| {
        let clean = format!("{} {:.1} %", accuracy.branch, 100.0 * accuracy.clean);
        match accuracy.adversarial {
            Some(adversarial) => format!("{clean} / attacked {:.1} %", 100.0 * adversarial),
            None => clean,
        }
    };
    accuracies.iter().map(one).collect::<Vec<_>>().join(", ")
}
