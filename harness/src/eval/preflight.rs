//! Looks at a model before hours are spent on it, for what makes robust numbers wrong.
//!
//! The checks are those of AutoAttack and RobustBench (and of what their users report), each
//! with a code. A finding refuses the model; `--allow CODE` lets it through, on the record.

use crate::attack::{Classifier, Objective};
use crate::error::{Error, Result};
use rlnet_suites::{Branch, SuiteError};
use std::fmt;
use std::str::FromStr;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Something about a model that makes its robust accuracy untrustworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Outputs are probabilities: attacks on the logits lose their gradient.
    Softmax,
    /// One image's logits depend on the other images of its batch (train-mode norms).
    BatchDependent,
    /// The same images give other logits the second time.
    Randomised,
    /// The gradient with respect to the image is NaN or infinite.
    NanGradient,
    /// The gradient is exactly zero for most images.
    ZeroGradient,
    /// More or fewer logits than the data has classes.
    Classes,
}

const ALL: [Finding; 6] = [
    Finding::Softmax,
    Finding::BatchDependent,
    Finding::Randomised,
    Finding::NanGradient,
    Finding::ZeroGradient,
    Finding::Classes,
];

impl Finding {
    /// The code, as `--allow` takes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::BatchDependent => "batch-dependent",
            Self::Randomised => "randomised",
            Self::NanGradient => "nan-gradient",
            Self::ZeroGradient => "zero-gradient",
            Self::Classes => "classes",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Softmax => {
                "its outputs lie in [0,1] and sum to 1: return logits, without the final softmax"
            }
            Self::BatchDependent => {
                "an image's logits change with its batch: save the model in eval mode (batch norm, dropout)"
            }
            Self::Randomised => {
                "the same images give other logits: attacks on it need expectation over the randomness"
            }
            Self::NanGradient => "the gradient with respect to the image is not finite",
            Self::ZeroGradient => {
                "the gradient is zero for most images: inputs outside [0,1], saturation or a quantised layer hide it"
            }
            Self::Classes => "it does not give one logit a class of this data set",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code(), self.advice())
    }
}

impl FromStr for Finding {
    type Err = SuiteError;
    fn from_str(text: &str) -> std::result::Result<Self, SuiteError> {
        ALL.into_iter()
            .find(|finding| finding.code() == text)
            .ok_or_else(|| {
                let hint = rlnet_suites::error::suggest(text, ALL.map(Self::code));
                SuiteError::value("finding", text, hint)
            })
    }
}

/// A logit difference that rounding cannot explain (AutoAttack's own threshold).
const DIFFERENT: f64 = 1e-4;

/// Examines a model on a few images (`[N, 3, H, W]`, N at least 4) through one branch.
///
/// # Errors
/// When the model cannot take these images at all.
pub fn examine(
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    labels: &Tensor,
    classes: usize,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    {
        let _guard = no_grad_guard();
        let whole = model.logits(images, branch)?;
        if whole.dim() != 2 || whole.size()[1] != classes as i64 {
            return Ok(vec![Finding::Classes]);
        }
        let sums = whole.sum_dim_intlist([1_i64].as_slice(), false, Kind::Double);
        let sums_to_one = (sums - 1.0).abs().max().double_value(&[]) < 1e-5;
        if sums_to_one && whole.min().double_value(&[]) >= 0.0 {
            findings.push(Finding::Softmax);
        }
        let apart = |other: &Tensor, from: i64, length: i64| {
            let mine = whole.narrow(0, from, length);
            let scale = mine.abs().max().double_value(&[]).max(1.0);
            (mine - other).abs().max().double_value(&[]) / scale
        };
        let n = images.size()[0];
        if apart(&model.logits(images, branch)?, 0, n) > DIFFERENT {
            findings.push(Finding::Randomised);
        } else if apart(&model.logits(&images.narrow(0, 0, 1), branch)?, 0, 1) > DIFFERENT {
            findings.push(Finding::BatchDependent);
        }
    }
    let variable = images.detach().copy().set_requires_grad(true);
    let logits = model.logits(&variable, branch)?;
    let loss = Objective::CrossEntropy(labels.shallow_clone())
        .per_image(&logits)
        .sum(Kind::Float);
    if !loss.requires_grad() {
        findings.push(Finding::ZeroGradient);
        return Ok(findings);
    }
    let gradient = Tensor::f_run_backward(&[&loss], &[&variable], false, false)?.remove(0);
    let largest = gradient
        .abs()
        .flatten(1, -1)
        .amax([1_i64].as_slice(), false)
        .to_device(Device::Cpu);
    let largest = Vec::<f32>::try_from(largest)?;
    if largest.iter().any(|value| !value.is_finite()) {
        findings.push(Finding::NanGradient);
    } else if 2 * largest.iter().filter(|value| **value == 0.0).count() > largest.len() {
        findings.push(Finding::ZeroGradient);
    }
    Ok(findings)
}

/// Refuses a model with findings that were not allowed; gives back the allowed ones.
///
/// # Errors
/// With every finding's code and advice.
pub fn judge(findings: &[Finding], allowed: &[Finding]) -> Result<Vec<String>> {
    let refused: Vec<String> = findings
        .iter()
        .filter(|finding| !allowed.contains(finding))
        .map(|finding| format!("{finding} (to go on all the same: --allow {})", finding.code()))
        .collect();
    if refused.is_empty() {
        return Ok(findings.iter().map(|finding| finding.code().to_owned()).collect());
    }
    Err(Error::Input(format!(
        "this model's robust accuracy would be wrong:\n  {}",
        refused.join("\n  ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear model with one vice.
    struct Vicious(Option<Finding>, std::cell::Cell<u32>);

    impl Classifier for Vicious {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            self.1.set(self.1.get() + 1);
            let flat = images.flatten(1, -1);
            let rows = Tensor::arange(3 * flat.size()[1], (Kind::Float, Device::Cpu)).reshape([3, -1]);
            let logits = flat.matmul(&(rows * 0.37).sin().transpose(0, 1));
            Ok(match self.0 {
                None => logits,
                Some(Finding::Softmax) => logits.softmax(1, Kind::Float),
                Some(Finding::BatchDependent) => {
                    &logits - logits.mean_dim([0_i64].as_slice(), true, Kind::Float)
                }
                Some(Finding::Randomised) => {
                    logits + f64::from(self.1.get()) * Tensor::from_slice(&[0.0_f32, 1.0, 2.0])
                }
                Some(Finding::NanGradient) => logits + (images * 0.0).sqrt().flatten(1, -1).narrow(1, 0, 3),
                Some(Finding::ZeroGradient) => (logits * 0.1).round(),
                Some(Finding::Classes) => logits.narrow(1, 0, 2),
            })
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    #[test]
    fn each_vice_is_found_by_its_code_and_a_sound_model_passes() {
        let pixels: Vec<f32> = (0..4 * 12).map(|i| (i as f32 * 0.7).sin() * 0.5 + 0.5).collect();
        let images = Tensor::from_slice(&pixels).reshape([4, 3, 2, 2]);
        let labels = Tensor::from_slice(&[0_i64, 1, 2, 0]);
        let found = |vice| {
            examine(
                &Vicious(vice, Default::default()),
                Branch::Single,
                &images,
                &labels,
                3,
            )
            .expect("an examination")
        };
        assert_eq!(found(None), []);
        for vice in ALL {
            assert_eq!(found(Some(vice)), [vice], "{}", vice.code());
        }
        let error = judge(&[Finding::Softmax], &[]).expect_err("refused").to_string();
        assert!(error.contains("--allow softmax"), "{error}");
        assert_eq!(
            judge(&[Finding::Softmax], &[Finding::Softmax]).expect("allowed"),
            ["softmax"]
        );
    }
}
