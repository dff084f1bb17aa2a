//! Test images through a condition and every branch, to one outcome row each.

use super::examples::{COUNT, to_bytes};
use super::judge::judge;
use crate::attack::target::whole_lanes;
use crate::attack::{self, Classifier, Spent, Target, autoattack, ball};
use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result};
use crate::progress::Progress;
use rlnet_corruptions::{Corruption, Generator, Severity};
use rlnet_suites::attack::Norm;
use rlnet_suites::{Branch, Condition, Outcome};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// What is evaluated, and how.
pub struct EvaluationInput<'a> {
    /// The model.
    pub model: &'a dyn Classifier,
    /// Test images.
    pub test: &'a Split,
    /// The conditions, in order.
    pub conditions: &'a [Condition],
    /// Branches to go through.
    pub branches: &'a [Branch],
    /// Makes the corrupted images.
    pub corruptions: &'a Generator,
    /// Images a batch; results do not depend on it.
    pub batch: usize,
    /// Seed of corruptions and attack starts.
    pub seed: u64,
}

/// Rows, and a strip of examples.
pub struct Evaluated {
    /// One row per condition, branch and image, in this order.
    pub outcomes: Vec<Outcome>,
    /// The first images under the middle condition, `[N, size, size, 3]` bytes; an attack's
    /// are those made against the last branch (the adversarial one).
    pub examples: Vec<u8>,
}

/// Evaluates.
///
/// # Errors
/// When a corruption cannot take these images, or libtorch refuses an operation.
pub fn evaluate(input: &EvaluationInput<'_>, progress: &Progress) -> Result<Evaluated> {
    let mut outcomes = Vec::new();
    let mut examples = Vec::new();
    let shown = input.conditions.len() / 2;
    for (position, condition) in input.conditions.iter().enumerate() {
        let mut rows: Vec<Vec<Outcome>> = vec![Vec::new(); input.branches.len()];
        let mut broken_by = vec![Vec::new(); input.branches.len()];
        for from in (0..input.test.len()).step_by(input.batch) {
            let n = input.batch.min(input.test.len() - from);
            let batch = Batch::new(input, condition, from, n)?;
            for (slot, &branch) in input.branches.iter().enumerate() {
                let (made, spent) = batch.through(input, condition, branch, &mut rows[slot])?;
                broken_by[slot].extend(spent.broken_by);
                if position == shown && from == 0 && slot + 1 == input.branches.len() {
                    let count = (n as i64).min(COUNT as i64);
                    examples = to_bytes(&made.narrow(0, 0, count));
                }
            }
            progress.advance(n as u64, &condition.to_string());
        }
        outcomes.extend(rows.into_iter().flatten());
        if let Condition::Attack(spec) = condition {
            for (branch, broken_by) in input.branches.iter().zip(&broken_by) {
                if spec.name() == "autoattack" {
                    let line = autoattack::survivors(spec, broken_by)?;
                    progress.note(&format!("{condition}, branch {branch}: {line}"));
                }
            }
        }
    }
    Ok(Evaluated { outcomes, examples })
}

/// A batch of test images, corrupted when the condition says so.
struct Batch<'a> {
    images: Tensor,
    labels: Tensor,
    indices: &'a [u32],
    classes: &'a [u16],
}

impl<'a> Batch<'a> {
    fn new(input: &EvaluationInput<'a>, condition: &Condition, from: usize, n: usize) -> Result<Self> {
        let test = input.test;
        let bytes = test.size * test.size * 3;
        let mut pixels = test.images[from * bytes..(from + n) * bytes].to_vec();
        let indices = &test.indices[from..from + n];
        if let Some((name, severity)) = condition.corruption() {
            let failed = |why: &dyn std::fmt::Display| Error::Input(format!("{condition}: {why}"));
            let corruption: Corruption = name.parse().map_err(|why| failed(&why))?;
            let severity = Severity::new(severity).map_err(|why| failed(&why))?;
            let source = pixels.clone();
            let keys: Vec<u64> = indices.iter().map(|&index| u64::from(index)).collect();
            let size = (test.size, test.size);
            input
                .corruptions
                .corrupt_batch(
                    &source,
                    size,
                    &keys,
                    corruption,
                    severity,
                    input.seed,
                    &mut pixels,
                )
                .map_err(|why| failed(&why))?;
        }
        let device = input.model.device();
        let classes = &test.labels[from..from + n];
        let labels: Vec<i64> = classes.iter().map(|&label| i64::from(label)).collect();
        Ok(Self {
            images: images_to_tensor(&pixels, n, test.size, device),
            labels: Tensor::from_slice(&labels).to_device(device),
            indices,
            classes,
        })
    }

    /// One row an image; gives back the images as the model saw them, and what they cost.
    fn through(
        &self,
        input: &EvaluationInput<'_>,
        condition: &Condition,
        branch: Branch,
        rows: &mut Vec<Outcome>,
    ) -> Result<(Tensor, Spent)> {
        let target = Target::new(
            input.model,
            branch,
            &self.images,
            &self.labels,
            self.indices,
            input.seed,
        );
        let (images, norm) = match condition {
            Condition::Attack(spec) => (attack::run(spec, &target, None)?, spec.norm()),
            _ => (self.images.shallow_clone(), Norm::Linf),
        };
        let spent = target.spent();
        let _guard = no_grad_guard();
        let logits = whole_lanes(input.model, &images, branch)?;
        let norms = ball::length(&(&images - &self.images), norm);
        let (logits, width) = (floats(&logits), logits.size()[1] as usize);
        let norms = floats(&norms);
        for (position, row) in logits.chunks_exact(width).enumerate() {
            let label = self.classes[position];
            if usize::from(label) >= width {
                return Err(Error::Input(format!(
                    "the model gives {width} logits, but image {} has label {label}",
                    self.indices[position]
                )));
            }
            let verdict = judge(row, label);
            rows.push(Outcome {
                image: self.indices[position],
                branch,
                condition: condition.clone(),
                label,
                prediction: verdict.prediction,
                margin: verdict.margin,
                loss: verdict.loss,
                norm: norms[position],
                forwards: spent.forwards[position] + 1,
                backwards: spent.backwards[position],
            });
        }
        Ok((images, spent))
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}
