//! What a model says of images: the mean of as many passes as the condition asks for.

use super::judge::{Prediction, judge};
use super::networks::Networks;
use crate::attack::Classifier;
use crate::attack::lanes::in_batches;
use crate::error::{Error, Result};
use rlnet_suites::{Branch, Condition};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Passes that a verdict under a condition is the mean of.
pub fn passes(condition: &Condition) -> u32 {
    match condition {
        Condition::Attack(spec) => spec.eot() as u32,
        _ => 1,
    }
}

/// What a model says of stored images `[N, 3, H, W]`: of each image as it is and rounded to 8 bits, by the mean of so
/// many passes.
///
/// # Errors
/// When the model cannot take the images.
pub fn predictions(
    networks: &Networks,
    branch: Branch,
    images: &Tensor,
    labels: &[u16],
    passes: u32,
) -> Result<Vec<(Prediction, Prediction)>> {
    const BATCH: usize = 128;
    let _guard = no_grad_guard();
    let mut answers = Vec::with_capacity(labels.len());
    for (from, labels) in (0_i64..).step_by(BATCH).zip(labels.chunks(BATCH)) {
        let batch = images
            .narrow(0, from, labels.len() as i64)
            .to_device(networks.device());
        let said = |images: &Tensor| averaged(networks.model(), images, branch, (passes, BATCH));
        let (whole, rounded) = (said(&batch)?, said(&eight_bits(&batch))?);
        let width = whole.size()[1] as usize;
        let (whole, rounded) = (floats(&whole), floats(&rounded));
        for (row, &label) in labels.iter().enumerate() {
            if usize::from(label) >= width {
                return Err(Error::Incompatible(format!(
                    "the model gives {width} logits, but an image has label {label}"
                )));
            }
            let said_of = |all: &[f32]| judge(&all[row * width..][..width], label);
            answers.push((said_of(&whole), said_of(&rounded)));
        }
    }
    Ok(answers)
}

/// Logits `[N, classes]`, the mean of so many passes of about `batch` images at a time: a randomised model gives others
/// each time. Takes no gradient.
pub(super) fn averaged(
    model: &dyn Classifier,
    images: &Tensor,
    branch: Branch,
    (passes, batch): (u32, usize),
) -> Result<Tensor> {
    let first = in_batches(model, images, branch, batch)?;
    if passes <= 1 {
        return Ok(first);
    }
    let add = |sum: Tensor, _| Ok::<Tensor, Error>(sum + in_batches(model, images, branch, batch)?);
    Ok((1..passes).try_fold(first, add)? / f64::from(passes))
}

/// Images as 8 bits a value can hold them.
pub(super) fn eight_bits(images: &Tensor) -> Tensor {
    (images * 255.0).round() / 255.0
}

/// A tensor's values as they lie.
pub fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Odd passes say one class and even ones, more loudly, the other.
    struct Fickle(Cell<u32>);

    impl Classifier for Fickle {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            self.0.set(self.0.get() + 1);
            let row = match self.0.get() % 2 {
                1 => [1.0_f32, 0.0],
                _ => [0.0, 3.0],
            };
            Ok(Tensor::from_slice(&row)
                .unsqueeze(0)
                .expand([images.size()[0], 2], false))
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    #[test]
    fn a_randomised_model_is_judged_by_the_mean_of_its_passes() {
        let images = Tensor::zeros([1, 3, 1, 1], (Kind::Float, Device::Cpu));
        let said = |condition: &str| {
            let condition: Condition = condition.parse().expect("a condition");
            let model = Fickle(Cell::new(0));
            let logits = averaged(&model, &images, Branch::Single, (passes(&condition), 8)).expect("logits");
            (model.0.get(), floats(&logits))
        };
        assert_eq!(said("clean"), (1, vec![1.0, 0.0]));
        assert_eq!(said("pgd:steps=3"), (1, vec![1.0, 0.0]));
        assert_eq!(said("pgd:eot=4"), (4, vec![0.5, 1.5]));
        assert_eq!(said("autoattack:version=rand"), (20, vec![0.5, 1.5]));
    }
}
