//! Training steps: batches are made as in training, AugMix included, on CPU threads one ahead.

use super::{Clock, Rate, network};
use crate::data::{Split, epoch};
use crate::device::{Training, multiplies_bf16};
use crate::error::{Error, Result};
use crate::run::work::step_passes;
use crate::train::curves::EpochMeans;
use crate::train::optimizer::Optimizer;
use crate::train::passes::Passes;
use crate::train::score::Scores;
use crate::train::sgd::Sgd;
use crate::train::stage::views;
use crate::train::step::Step;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::objective::Precision;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::train::{Budget, Stage};
use rlnet_suites::{CellSpec, Suite, TrainSpec};
use std::sync::Arc;
use std::time::Instant;

/// The figure that estimates count with.
pub(super) const COUNTED: &str = "teacher step, fp32";
/// ReLUs of the student: one of so many.
const BUDGET: f64 = 11.0;

/// Steps that are timed.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// Images of a step.
    pub batch: usize,
    /// Steps that are counted.
    pub counted: usize,
}

impl Steps {
    /// Steps before the clock starts, in which cuDNN tries its algorithms.
    fn warm(clock: Clock) -> usize {
        if clock.device.is_cuda() { 5 } else { 1 }
    }
}

/// Images a second of the three stages with the paper's losses and PGD-7, in each precision that the device has, and of
/// making batches with nobody waiting for them.
///
/// # Errors
/// When there is no such architecture, or libtorch refuses an operation.
pub fn training(clock: Clock, arch: &str, steps: Steps) -> Result<Vec<Rate>> {
    let split = split(steps.batch * (steps.counted + Steps::warm(clock)));
    let mut precisions = vec!["fp32"];
    // CUDA's alone.
    precisions.extend(clock.device.is_cuda().then_some("tf32"));
    precisions.extend(multiplies_bf16(clock.device).then_some("bf16"));
    let mut rates = Vec::new();
    for stage in ["teacher", "mask", "student"] {
        for precision in &precisions {
            let spec = spec(arch, stage, steps.batch, precision)?;
            let rate = stage_rate(clock, arch, &spec, steps, &split)?;
            rates.push(Rate::new(
                Some(arch),
                format!("{stage} step, {precision}"),
                rate,
                "images/s",
            ));
        }
    }
    let started = Instant::now();
    let mut images = 0;
    for batch in epoch(
        Arc::clone(&split),
        views(&spec(arch, "teacher", steps.batch, "fp32")?, 1),
    ) {
        images += batch?.len();
    }
    let rate = images as f64 / started.elapsed().as_secs_f64();
    rates.push(Rate::new(Some(arch), "making batches", rate, "images/s"));
    Ok(rates)
}

/// Passes of that step for an image, as a plan counts them.
pub(super) fn passes(arch: &str) -> Result<f64> {
    Ok(step_passes(&spec(arch, "teacher", 128, "fp32")?, 0.0))
}

/// Noise with labels of ten classes.
fn split(n: usize) -> Arc<Split> {
    let mut rng = KeyedRng::new(0, "bench", &[]);
    Arc::new(Split {
        size: 32,
        files: None,
        images: (0..n * 32 * 32 * 3).map(|_| rng.below(256) as u8).collect(),
        labels: (0..n).map(|_| rng.below(10) as u16).collect(),
        indices: (0..n as u32).collect(),
    })
}

/// A stage with the paper's losses and PGD-7.
fn spec(arch: &str, name: &str, batch: usize, precision: &str) -> Result<TrainSpec> {
    let text = format!(
        "schema = 1\nname = \"rates\"\ntitle = \"Rates\"\ndescription = \"Steps by the clock.\"\n\
         [data]\ndataset = \"cifar10\"\n[network]\narch = \"{arch}\"\n\
         [training]\nattack = \"pgd:steps=7\"\nbatch = {batch}\nprecision = \"{precision}\"\n\
         [[train]]\nname = \"teacher\"\nstage = \"teacher\"\n\
         [[train]]\nname = \"mask\"\nstage = \"mask\"\nteacher = \"teacher\"\nbudget = \"{BUDGET}x\"\n\
         [[train]]\nname = \"student\"\nstage = \"student\"\nmask = \"mask\"\n\
         [evaluation]\ncorruptions = \"none\"\nattacks = [\"fgsm\"]\n",
    );
    let suite = Suite::parse(&text, "rlnet bench", &[])?;
    let plan = suite.plan(&PlanContext::unread(&suite))?;
    let cell = plan.cells.into_iter().find(|cell| cell.name == name);
    match cell.map(|cell| cell.spec) {
        Some(CellSpec::Train(spec)) => Ok(spec),
        _ => Err(Error::Internal(format!(
            "the suite of rlnet bench trains no {name}"
        ))),
    }
}

fn stage_rate(clock: Clock, arch: &str, spec: &TrainSpec, steps: Steps, split: &Arc<Split>) -> Result<f64> {
    let _settings = Training::begin(clock.device, spec.precision != Precision::Fp32);
    let taught = spec.stage != Stage::Teacher;
    let teacher = taught.then(|| network(arch, None, clock.device)).transpose()?;
    let budget = (spec.stage == Stage::Student).then_some(Budget::Reduction(BUDGET));
    let own = network(arch, budget, clock.device)?;
    let mut optimizer = Optimizer::Sgd(Sgd::new(own.params(), spec.momentum, spec.weight_decay));
    let (mut scores, mut means, passes) = (Scores::default(), EpochMeans::default(), Passes::default());
    let step = Step {
        spec,
        network: &own,
        teacher: teacher.as_ref(),
        slopes: None,
        epoch: 1,
        lr: 0.01,
        done: 0.5,
        pattern: Default::default(),
        passes: &passes,
    };
    let mut started = Instant::now();
    for (place, batch) in epoch(Arc::clone(split), views(spec, 1)).enumerate() {
        if place == Steps::warm(clock) {
            clock.wait();
            started = Instant::now();
        }
        step.run(&batch?, &mut optimizer, &mut scores, &mut means)?;
    }
    clock.wait();
    Ok((steps.counted * steps.batch) as f64 / started.elapsed().as_secs_f64())
}
