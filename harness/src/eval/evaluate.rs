//! Test images through a condition and every branch, to one outcome row each.

use super::corrupted::CorruptedImages;
use super::examples::{COUNT, to_bytes};
use super::judge::judge;
use crate::attack::{self, Classifier};
use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result};
use crate::progress::Progress;
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
    /// Where corrupted images come from.
    pub corrupted: &'a CorruptedImages,
    /// Images a batch; results do not depend on it.
    pub batch: usize,
    /// Seed of attack starts.
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
        let count = match condition {
            Condition::Corruption { name, severity } => input.corrupted.count(input.test, name, *severity),
            _ => input.test.len(),
        };
        for from in (0..count).step_by(input.batch) {
            let n = input.batch.min(count - from);
            let batch = Batch::new(input, condition, from, n)?;
            for (slot, &branch) in input.branches.iter().enumerate() {
                let made = batch.through(input, condition, branch, &mut rows[slot])?;
                if position == shown && from == 0 && slot + 1 == input.branches.len() {
                    let count = (n as i64).min(COUNT as i64);
                    examples = to_bytes(&made.narrow(0, 0, count));
                }
            }
            progress.advance(n as u64, &condition.to_string());
        }
        outcomes.extend(rows.into_iter().flatten());
    }
    Ok(Evaluated { outcomes, examples })
}

/// A batch of test images, corrupted when the condition says so.
struct Batch {
    images: Tensor,
    labels: Tensor,
    indices: Vec<u32>,
    classes: Vec<u16>,
}

impl Batch {
    fn new(input: &EvaluationInput<'_>, condition: &Condition, from: usize, n: usize) -> Result<Self> {
        let part = match condition {
            Condition::Corruption { name, severity } => {
                input.corrupted.batch(input.test, name, *severity, from, n)?
            }
            _ => input.test.slice(from, n),
        };
        let device = input.model.device();
        let labels: Vec<i64> = part.labels.iter().map(|&label| i64::from(label)).collect();
        Ok(Self {
            images: images_to_tensor(&part.images, part.len(), part.size, device),
            labels: Tensor::from_slice(&labels).to_device(device),
            indices: part.indices,
            classes: part.labels,
        })
    }

    /// One row an image; gives back the images as the model saw them.
    fn through(
        &self,
        input: &EvaluationInput<'_>,
        condition: &Condition,
        branch: Branch,
        rows: &mut Vec<Outcome>,
    ) -> Result<Tensor> {
        let (images, forwards, backwards) = match condition {
            Condition::Attack(spec) => {
                let made = attack::run(
                    spec,
                    input.model,
                    branch,
                    &self.images,
                    &self.labels,
                    &self.indices,
                    input.seed,
                )?;
                (made.images, made.forwards, made.backwards)
            }
            _ => (self.images.shallow_clone(), 0, 0),
        };
        let _guard = no_grad_guard();
        let logits = input.model.logits(&images, branch)?;
        let norms = (&images - &self.images)
            .abs()
            .flatten(1, -1)
            .amax([1_i64].as_slice(), false);
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
                forwards: forwards + 1,
                backwards,
            });
        }
        Ok(images)
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}
