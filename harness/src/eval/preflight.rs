//! Looks at a model before hours are spent on it, for what makes robust numbers wrong.
//!
//! The checks are those of AutoAttack and RobustBench (and of what their users report), each
//! with a code. A finding refuses the model; `--allow CODE` lets it through, on the record.

use crate::attack::{Classifier, Objective};
use crate::error::{Error, Result};
use rlnet_suites::{Branch, SuiteError};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Something about a model that makes its robust accuracy untrustworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Outputs are probabilities: attacks on the logits lose their gradient.
    Softmax,
    /// It answers far better when images are not in `[0, 1]`.
    InputRange,
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

const ALL: [Finding; 7] = [
    Finding::Softmax,
    Finding::InputRange,
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
            Self::InputRange => "input-range",
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
                "its outputs lie in [0,1], as probabilities do: return logits, without the final softmax or sigmoid"
            }
            Self::InputRange => {
                "it expects other inputs than images in [0,1]: put the scaling and the normalisation into the model"
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

/// What models expect that do not take images in `[0, 1]`, each with the mean that is subtracted and
/// the deviation that is divided by: bytes; many tutorials' 0.5; about those of natural images (ImageNet's).
const RANGES: [(&str, f64, f64); 3] = [
    ("values from 0 to 255", 0.0, 1.0 / 255.0),
    ("values from -1 to 1", 0.5, 0.5),
    ("normalised images", 0.45, 0.225),
];

/// Whether `other` answers so many more images rightly than `own`, and so different ones, that neither
/// chance nor always giving one class explains it: of 16 images or more three in eight, of three classes
/// (of both where there are two; own choice).
fn answers_better(own: &Tensor, other: &Tensor, labels: &Tensor, classes: usize) -> Result<bool> {
    let right = |logits: &Tensor| -> Result<Vec<bool>> {
        let same = logits.argmax(1, false).eq_tensor(labels);
        Ok(
            Vec::<i64>::try_from(same.to_device(Device::Cpu).to_kind(Kind::Int64))?
                .into_iter()
                .map(|same| same != 0)
                .collect(),
        )
    };
    let (own, other) = (right(own)?, right(other)?);
    let labels = Vec::<i64>::try_from(labels.to_device(Device::Cpu))?;
    let kinds: BTreeSet<i64> = labels
        .iter()
        .zip(&other)
        .filter_map(|(label, right)| right.then_some(*label))
        .collect();
    let count = |right: &[bool]| right.iter().filter(|right| **right).count();
    let enough = labels.len() >= 16 && kinds.len() >= classes.clamp(2, 3);
    Ok(enough && 8 * count(&other) >= 8 * count(&own) + 3 * labels.len())
}

/// A finding about one of the networks of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub finding: Finding,
    /// The surrogate that has it; nothing for the model itself.
    pub surrogate: Option<String>,
    said: String,
    /// Whether an evaluation would mean something all the same.
    can_be_allowed: bool,
}

impl Found {
    fn new(finding: Finding) -> Self {
        Self {
            finding,
            surrogate: None,
            said: finding.advice().to_owned(),
            can_be_allowed: true,
        }
    }

    /// Labels point into the logits: with more of them than classes every label has one, with
    /// fewer some have none.
    fn classes(logits: i64, classes: usize) -> Self {
        let can_be_allowed = logits > classes as i64;
        let advice = match can_be_allowed {
            true => {
                "class k of the data set is taken to be logit k, and a prediction beyond them counts as wrong"
            }
            false => "evaluate it on the data set it was trained for, or a model for these classes",
        };
        Self {
            said: format!(
                "{}: {logits} logits an image, {classes} classes; {advice}",
                Finding::Classes.advice()
            ),
            can_be_allowed,
            ..Self::new(Finding::Classes)
        }
    }

    /// The same finding, about a surrogate of this name.
    #[must_use]
    pub fn about(self, surrogate: Option<&str>) -> Self {
        Self {
            surrogate: surrogate.map(str::to_owned),
            ..self
        }
    }

    /// As a record says that it was allowed.
    fn record(&self) -> String {
        let code = self.finding.code();
        match &self.surrogate {
            Some(name) => format!("surrogate {name}: {code}"),
            None => code.to_owned(),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.surrogate {
            write!(f, "surrogate {name}: ")?;
        }
        let code = self.finding.code();
        write!(f, "[{code}] {}", self.said)?;
        match self.can_be_allowed {
            true => write!(f, " (to go on all the same: --allow {code})"),
            false => Ok(()),
        }
    }
}

/// Examines a model on a few images (`[N, 3, H, W]`, N at least 4) through one branch.
///
/// # Errors
/// When the model cannot take these images, or has no gradient for them, at all: it is no input
/// for an evaluation.
pub fn examine(
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    labels: &Tensor,
    classes: usize,
) -> Result<Vec<Found>> {
    look(model, branch, images, labels, classes).map_err(|error| match error {
        Error::Torch(why) => Error::Model(format!(
            "{why}\n  (in the preflight: {} test images through it, and their gradient)",
            images.size()[0]
        )),
        other => other,
    })
}

fn look(
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    labels: &Tensor,
    classes: usize,
) -> Result<Vec<Found>> {
    let mut findings = Vec::new();
    {
        let _guard = no_grad_guard();
        let whole = model.logits(images, branch)?;
        let width = whole.size()[1];
        if width != classes as i64 {
            findings.push(Found::classes(width, classes));
        }
        if width < classes as i64 {
            return Ok(findings);
        }
        // Of a sigmoid they need not sum to one; logits do not all lie there by chance, but those of a
        // quantised model may, as whole numbers.
        let (least, most) = (whole.min().double_value(&[]), whole.max().double_value(&[]));
        let whole_numbers = whole.frac().abs().max().double_value(&[]) == 0.0;
        if least >= 0.0 && most <= 1.0 && !whole_numbers {
            findings.push(Found::new(Finding::Softmax));
        }
        for (range, mean, deviation) in RANGES {
            let scaled = model.logits(&((images - mean) / deviation), branch)?;
            if answers_better(&whole, &scaled, labels, classes)? {
                let found = Found::new(Finding::InputRange);
                let said = format!("{}; given {range} it is right far more often", found.said);
                findings.push(Found { said, ..found });
                break;
            }
        }
        let apart = |other: &Tensor, length: i64| {
            let mine = whole.narrow(0, 0, length);
            let scale = mine.abs().max().double_value(&[]).max(1.0);
            (mine - other).abs().max().double_value(&[]) / scale
        };
        // Half of them, not one: a model may well squeeze a batch of one away, and no attack
        // gives it such a batch.
        let (n, half) = (images.size()[0], (images.size()[0] / 2).max(1));
        if apart(&model.logits(images, branch)?, n) > DIFFERENT {
            findings.push(Found::new(Finding::Randomised));
        } else if apart(&model.logits(&images.narrow(0, 0, half), branch)?, half) > DIFFERENT {
            findings.push(Found::new(Finding::BatchDependent));
        }
    }
    if !model.has_gradients() {
        return Ok(findings);
    }
    let mut tape = model.tape(&images.copy());
    let logits = tape.logits(branch)?;
    let loss = Objective::CrossEntropy(labels.shallow_clone())
        .per_image(&logits)
        .sum(Kind::Float);
    let largest = tape
        .gradient(&loss, false)?
        .abs()
        .flatten(1, -1)
        .amax([1_i64].as_slice(), false)
        .to_device(Device::Cpu);
    let largest = Vec::<f32>::try_from(largest)?;
    if largest.iter().any(|value| !value.is_finite()) {
        findings.push(Found::new(Finding::NanGradient));
    } else if 2 * largest.iter().filter(|value| **value == 0.0).count() > largest.len() {
        findings.push(Found::new(Finding::ZeroGradient));
    }
    Ok(findings)
}

/// Refuses networks with findings that were not allowed; gives back the allowed ones, as a
/// record tells them.
///
/// # Errors
/// With every finding's code and advice.
pub fn judge(findings: &[Found], allowed: &[Finding]) -> Result<Vec<String>> {
    let passes = |found: &&Found| found.can_be_allowed && allowed.contains(&found.finding);
    let refused: Vec<String> = findings
        .iter()
        .filter(|found| !passes(found))
        .map(ToString::to_string)
        .collect();
    if refused.is_empty() {
        return Ok(findings.iter().map(Found::record).collect());
    }
    Err(Error::Model(format!(
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
            let weights = (rows * 0.37).sin().transpose(0, 1);
            let logits = flat.matmul(&weights);
            Ok(match self.0 {
                None => logits,
                Some(Finding::Softmax) => logits.softmax(1, Kind::Float),
                // Its boundaries go through the middle of bytes, far from [0, 1].
                Some(Finding::InputRange) => (flat - 127.5).matmul(&weights),
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
            let model = Vicious(vice, Default::default());
            let found = examine(&model, Branch::Single, &images, &labels, 3).expect("an examination");
            found.iter().map(|found| found.finding).collect::<Vec<_>>()
        };
        assert_eq!(found(None), []);
        for vice in ALL.into_iter().filter(|vice| *vice != Finding::InputRange) {
            assert_eq!(found(Some(vice)), [vice], "{}", vice.code());
        }
        let softmax = [Found::new(Finding::Softmax).about(Some("foo"))];
        let error = judge(&softmax, &[]).expect_err("refused").to_string();
        assert!(error.contains("surrogate foo: [softmax]"), "{error}");
        assert!(error.contains("--allow softmax"), "{error}");
        assert_eq!(
            judge(&softmax, &[Finding::Softmax]).expect("allowed"),
            ["surrogate foo: softmax"]
        );
    }

    #[test]
    fn a_model_of_bytes_is_found_by_its_answers() {
        let pixels: Vec<f32> = (0..24 * 12)
            .map(|i| ((i * i * 37) % 101) as f32 / 100.0)
            .collect();
        let images = Tensor::from_slice(&pixels).reshape([24, 3, 2, 2]);
        let found = |vice, range: f64| {
            let model = Vicious(vice, Default::default());
            let logits = model.logits(&(&images * range), Branch::Single).expect("logits");
            let labels = logits.argmax(1, false);
            let found = examine(&model, Branch::Single, &images, &labels, 3).expect("an examination");
            found.iter().map(|found| found.finding).collect::<Vec<_>>()
        };
        assert_eq!(found(Some(Finding::InputRange), 255.0), [Finding::InputRange]);
        // The same model where its answers to images in [0, 1] are right (it is too sure of them for a
        // gradient), and one that does not care.
        assert_eq!(found(Some(Finding::InputRange), 1.0), [Finding::ZeroGradient]);
        assert_eq!(found(None, 255.0), []);
    }

    #[test]
    fn more_logits_than_classes_can_be_allowed_and_fewer_cannot() {
        let images = Tensor::rand([4, 3, 2, 2], (Kind::Float, Device::Cpu));
        let labels = Tensor::from_slice(&[0_i64, 1, 1, 0]);
        let model = Vicious(Some(Finding::ZeroGradient), Default::default());
        let found = |classes| examine(&model, Branch::Single, &images, &labels, classes).expect("findings");
        // The other checks are made all the same.
        let more = found(2);
        assert_eq!(more.len(), 2, "{more:?}");
        let both = [Finding::Classes, Finding::ZeroGradient];
        assert_eq!(
            judge(&more, &both).expect("allowed"),
            ["classes", "zero-gradient"]
        );
        let fewer = found(5);
        let error = judge(&fewer, &both).expect_err("refused").to_string();
        assert!(error.contains("3 logits an image, 5 classes"), "{error}");
        assert!(!error.contains("--allow"), "{error}");
    }
}
