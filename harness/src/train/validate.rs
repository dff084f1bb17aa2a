//! Accuracy on the held-out images, clean and attacked, through every branch.

use crate::attack::pgd::{self, Settings, descend};
use crate::attack::{Classifier, Objective};
use crate::data::{Split, images_to_tensor};
use crate::error::Result;
use rlnet_suites::{Branch, TrainSpec};
use tch::{Kind, Tensor, no_grad_guard};

/// Held-out images that are attacked each epoch, from the front. An attack costs as much as
/// a training step; this many tell epochs apart within about two points (one standard error).
const ATTACKED: usize = 512;
const BATCH: usize = 256;

/// Accuracies of one branch, fractions.
#[derive(Debug, Clone, Copy)]
pub struct Accuracy {
    /// The branch.
    pub branch: Branch,
    /// On clean images.
    pub clean: f64,
    /// Under the training attack; none when the stage trains without one.
    pub adversarial: Option<f64>,
}

/// Measures every branch of a frozen network.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn validate(model: &dyn Classifier, split: &Split, spec: &TrainSpec) -> Result<Vec<Accuracy>> {
    model
        .branches()
        .iter()
        .map(|&branch| {
            let clean = accuracy(model, split, split.len(), branch, None)?;
            let adversarial = match spec.is_robust() {
                true => Some(attacked(
                    model,
                    split,
                    branch,
                    Settings::of(&spec.attack).in_ball(),
                    spec.seed,
                )?),
                false => None,
            };
            Ok(Accuracy {
                branch,
                clean,
                adversarial,
            })
        })
        .collect()
}

/// Accuracy of a branch, a fraction, on the first [`ATTACKED`] held-out images under an attack on the labels.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn attacked(
    model: &dyn Classifier,
    split: &Split,
    branch: Branch,
    attack: Settings,
    seed: u64,
) -> Result<f64> {
    accuracy(
        model,
        split,
        split.len().min(ATTACKED),
        branch,
        Some((attack, seed)),
    )
}

fn accuracy(
    model: &dyn Classifier,
    split: &Split,
    images: usize,
    branch: Branch,
    attack: Option<(Settings, u64)>,
) -> Result<f64> {
    let mut right = 0;
    for from in (0..images).step_by(BATCH) {
        let n = BATCH.min(images - from);
        let part = split.slice(from, n)?;
        let mut xs = images_to_tensor(&part.images, n, split.size, model.device());
        let labels: Vec<i64> = part.labels.iter().map(|&y| i64::from(y)).collect();
        let labels = Tensor::from_slice(&labels).to_device(model.device());
        if let Some((settings, seed)) = attack {
            let start = pgd::uniform_start(&xs, settings.start, seed, "validation", &[], &part.indices);
            let objective = Objective::CrossEntropy(labels.shallow_clone());
            xs = descend(model, branch, &xs, &start, &objective, settings)?;
        }
        let _guard = no_grad_guard();
        let predictions = Classifier::logits(model, &xs, branch)?.argmax(1, false);
        right += predictions.eq_tensor(&labels).sum(Kind::Int64).int64_value(&[]);
    }
    Ok(right as f64 / images.max(1) as f64)
}
