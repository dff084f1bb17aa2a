//! Test images through a condition and every branch, to one outcome row each.

use super::batch::{Batch, Before};
use super::corrupted::CorruptedImages;
use super::examples::{COUNT, to_bytes};
use super::input::EvaluationInput;
use super::saved::Saved;
use super::verdict::averaged;
use crate::attack::autoattack;
use crate::data::Split;
use crate::error::Result;
use crate::progress::Progress;
use rlnet_suites::{Condition, Outcome};
use std::time::{Duration, Instant};

/// An attack works on so many images together that it would take this if nothing broke early; most images break early, and
/// it takes a fraction. A process that is stopped or killed loses no more.
const TOGETHER: Duration = Duration::from_secs(1800);

/// And on so many values at most (64 MiB): an attack holds about ten tensors of the size of its images.
const VALUES: usize = 1 << 24;

/// Seconds of a pass with a gradient, of those of a pass without (own choice, at the lower end).
const WITH_GRADIENT: f64 = 2.0;

/// A stretch of the images under one of the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// OutputLocation of the condition.
    pub condition: usize,
    /// The first image.
    pub from: usize,
    /// The image after the last.
    pub to: usize,
}

/// Rows, and what can be looked at.
pub struct Evaluated {
    /// One row per branch and image, in this order.
    pub outcomes: Vec<Outcome>,
    /// The image after the last that was evaluated: before the part's end where it was cut.
    pub to: usize,
    /// The first images under the middle condition, `[N, size, size, 3]` bytes, where the part
    /// has them; an attack's are those made against the last branch (the adversarial one).
    pub examples: Option<Vec<u8>>,
    /// Adversarial images, when they were asked for.
    pub saved: Option<Saved>,
}

/// Test images under a condition.
pub fn count(test: &Split, corrupted: &CorruptedImages, condition: &Condition) -> usize {
    match condition.corruption() {
        Some((name, severity)) => corrupted.count(test, name, severity),
        None => test.len(),
    }
}

/// How many images of a part an attack works on together. The more, the fuller are the passes of its last images: those
/// that still stand go through the model in full batches. It is a matter of time only; no row depends on it.
fn together(input: &EvaluationInput<'_>, part: Part) -> Result<usize> {
    let condition = &input.conditions[part.condition];
    let Condition::Attack(spec) = condition else {
        return Ok(input.batch);
    };
    let all = part.to - part.from;
    // The reference draws its numbers a batch, and so does who replays it.
    let (Some(&branch), false) = (input.branches.first(), all <= input.batch || spec.reference_rng()) else {
        return Ok(input.batch);
    };
    let batch = Batch::new(input, condition, part.from, input.batch)?;
    let started = Instant::now();
    let _ = averaged(input.networks.model(), &batch.images, branch, (1, input.batch))?;
    let pass = started.elapsed().as_secs_f64() / input.batch as f64;
    let seconds = pass * WITH_GRADIENT * spec.passes() * spec.eot() as f64;
    let values = batch.images.numel() / input.batch;
    let images = (TOGETHER.as_secs_f64() / seconds) as usize;
    let images = images.min(VALUES / values.max(1));
    Ok(match images >= all {
        true => all,
        // Whole batches, as the passes of most steps are.
        false => (images / input.batch).max(1) * input.batch,
    })
}

/// Evaluates a part, batch by batch, until its end or until `cut` says so after a batch.
/// Images get the same rows in whatever parts they come.
///
/// # Errors
/// When a corruption cannot take these images, an attack is not defined for the model, or
/// libtorch refuses an operation.
pub fn evaluate(
    input: &EvaluationInput<'_>,
    part: Part,
    cut: &dyn Fn() -> bool,
    progress: &Progress,
) -> Result<Evaluated> {
    let condition = &input.conditions[part.condition];
    let mut examples = None;
    let mut saved = input.save_images.then(Saved::default);
    let shown = part.condition == input.conditions.len() / 2;
    let mut rows: Vec<Vec<Outcome>> = vec![Vec::new(); input.branches.len()];
    let mut broken_by = vec![Vec::new(); input.branches.len()];
    let most = together(input, part)?;
    let mut at = part.from;
    while at < part.to {
        let n = most.min(part.to - at);
        let batch = Batch::new(input, condition, at, n)?;
        let before = input.branches.iter();
        let before: Vec<Before> = before
            .map(|&branch| batch.before(condition, branch, input))
            .collect::<Result<_>>()?;
        let shared = batch.shared(condition, &before, input)?;
        for (slot, &branch) in input.branches.iter().enumerate() {
            let before = &before[slot];
            let seen = batch.under(condition, branch, before, shared.as_ref(), input)?;
            rows[slot].extend(batch.judge(&seen, before, condition, branch, input)?);
            if let Some(saved) = &mut saved {
                let made = (&seen.images, &seen.spent);
                saved.push(condition, branch, &batch.indices, &batch.classes, made);
            }
            broken_by[slot].extend(seen.spent.broken_by);
            if shown && at == 0 && slot + 1 == input.branches.len() {
                let count = (n as i64).min(COUNT as i64);
                examples = Some(to_bytes(&seen.images.narrow(0, 0, count)));
            }
        }
        at += n;
        progress.advance(n as u64, || condition);
        if cut() {
            break;
        }
    }
    if let Condition::Attack(spec) = condition {
        for (branch, broken_by) in input.branches.iter().zip(&broken_by) {
            // Shown to another branch its images are right and wrong otherwise than where they were made.
            if spec.is_union() && spec.follows_itself() {
                let line = autoattack::survivors(spec, broken_by)?;
                let images = format!("images {} to {at}", part.from);
                progress.note(&format!("{condition}, branch {branch}, {images}: {line}"));
            }
        }
    }
    Ok(Evaluated {
        outcomes: rows.into_iter().flatten().collect(),
        to: at,
        examples,
        saved,
    })
}
