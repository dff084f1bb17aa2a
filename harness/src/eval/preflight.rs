//! Looks at a model before hours are spent on it, for what makes robust numbers wrong.
//!
//! The checks are those of AutoAttack and RobustBench (and of what their users report), each
//! with a code. A finding refuses the model; `--allow CODE` lets it through, on the record.

mod input_range;
mod logits;
#[cfg(test)]
mod tests;

use super::networks::Networks;
use crate::attack::{Classifier, Objective};
use crate::data::{Split, images_to_tensor};
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
    /// It answers far better when images are not in `[0, 1]`.
    InputRange,
    /// One image's logits depend on the other images of its batch (train-mode norms).
    BatchDependent,
    /// The same images give other logits the second time.
    Randomised,
    /// A logit is NaN or plus infinity, or no logit of an image is finite.
    NanLogits,
    /// The gradient with respect to the image is NaN or infinite.
    NanGradient,
    /// The gradient is exactly zero for most images.
    ZeroGradient,
    /// More or fewer logits than the data has classes.
    Classes,
    /// The last bits of an image's logits depend on its place in a batch, or on the batch's size.
    BatchBits,
}

const ALL: [Finding; 9] = [
    Finding::Softmax,
    Finding::InputRange,
    Finding::BatchDependent,
    Finding::Randomised,
    Finding::NanLogits,
    Finding::NanGradient,
    Finding::ZeroGradient,
    Finding::Classes,
    Finding::BatchBits,
];

/// Images of a batch that most checks look at.
const BATCH: usize = 16;

/// Images, at most, that one network is examined on: [`BATCH`] for most checks, all for its input range.
pub const IMAGES: usize = 256;

impl Finding {
    /// The code, as `--allow` takes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::InputRange => "input-range",
            Self::BatchDependent => "batch-dependent",
            Self::Randomised => "randomised",
            Self::NanLogits => "nan-logits",
            Self::NanGradient => "nan-gradient",
            Self::ZeroGradient => "zero-gradient",
            Self::Classes => "classes",
            Self::BatchBits => "batch-bits",
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
            Self::NanLogits => {
                "it gives logits that are NaN or plus infinity, or none that is finite; -inf for a class that is left out is no such thing"
            }
            Self::NanGradient => "the gradient with respect to the image is not finite",
            Self::ZeroGradient => {
                "the gradient is zero for most images: inputs outside [0,1], saturation or a quantised layer hide it"
            }
            Self::Classes => "it does not give one logit a class of this data set",
            Self::BatchBits => {
                "the last bits of an image's logits depend on its place in a batch, so rows may differ in their last bits between --batch, --shard and --limit (a last layer whose width is no multiple of 4 does that)"
            }
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

/// A finding about one of the networks of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub finding: Finding,
    /// The surrogate that has it; nothing for the model itself.
    pub surrogate: Option<String>,
    said: String,
    weight: Weight,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It is said beside the numbers.
    Warns,
    /// No evaluation, but where the finding is allowed.
    Refuses,
    /// No evaluation: it would mean nothing.
    NeverPasses,
}

/// What did not refuse the networks of an evaluation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Findings that were allowed.
    pub allowed: Vec<String>,
    /// Findings that refuse no network, each with what was seen.
    pub warnings: Vec<String>,
}

impl Found {
    fn new(finding: Finding) -> Self {
        Self {
            finding,
            surrogate: None,
            said: finding.advice().to_owned(),
            weight: Weight::Refuses,
        }
    }

    /// Labels point into the logits: with more of them than classes every label has one, with
    /// fewer some have none.
    fn classes(logits: i64, classes: usize) -> Self {
        let (weight, advice) = match logits > classes as i64 {
            true => (
                Weight::Refuses,
                "class k of the data set is taken to be logit k, and a prediction beyond them counts as wrong",
            ),
            false => (
                Weight::NeverPasses,
                "evaluate it on the data set it was trained for, or a model for these classes",
            ),
        };
        Self {
            said: format!(
                "{}: {logits} logits an image, {classes} classes; {advice}",
                Finding::Classes.advice()
            ),
            weight,
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

    /// The same finding, about a network that a run trained itself: nobody can let it through there, and
    /// the other cells need not wait for it, so that it is said beside the numbers.
    #[must_use]
    pub fn about_own(self) -> Self {
        let weight = match self.weight {
            Weight::NeverPasses => Weight::NeverPasses,
            Weight::Refuses | Weight::Warns => Weight::Warns,
        };
        Self { weight, ..self }
    }

    /// As a record names it.
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
        match self.weight {
            Weight::Refuses => write!(f, " (to go on all the same: --allow {code})"),
            Weight::Warns | Weight::NeverPasses => Ok(()),
        }
    }
}

/// A network to be examined through one branch.
pub struct Examinee<'a> {
    /// The network.
    pub model: &'a dyn Classifier,
    /// The branch.
    pub branch: Branch,
    /// Images `[N, 3, H, W]` in `[0, 1]`, at least one, spread over the test set.
    pub images: &'a Tensor,
    /// Their labels `[N]` (int64).
    pub labels: &'a Tensor,
    /// Classes of the data set.
    pub classes: usize,
    /// Whether this program trained it: then it takes images in `[0, 1]` and returns logits.
    pub own: bool,
}

impl Examinee<'_> {
    /// Examines the network.
    ///
    /// # Errors
    /// When it cannot take these images, or has no gradient for them, at all: it is no input for an
    /// evaluation.
    pub fn examine(&self) -> Result<Vec<Found>> {
        let rows = spread(self.images.size()[0] as usize, BATCH);
        let rows = Tensor::from_slice(&rows).to_device(self.images.device());
        let images = self.images.index_select(0, &rows);
        let labels = self.labels.index_select(0, &rows);
        self.findings(&images, &labels).map_err(|error| match error {
            Error::Torch(why) => Error::Model(format!(
                "{why}\n  (in the preflight: a batch of {BATCH} test images through it, and their gradient)"
            )),
            other => other,
        })
    }

    fn findings(&self, images: &Tensor, labels: &Tensor) -> Result<Vec<Found>> {
        let mut findings = Vec::new();
        {
            let _guard = no_grad_guard();
            let logits = self.model.logits(images, self.branch)?;
            let width = logits.size()[1];
            if width != self.classes as i64 {
                findings.push(Found::classes(width, self.classes));
            }
            if width < self.classes as i64 {
                return Ok(findings);
            }
            if logits::undefined(&logits) {
                findings.push(Found::new(Finding::NanLogits));
            }
            if !self.own {
                if logits::are_probabilities(&logits) {
                    findings.push(Found::new(Finding::Softmax));
                }
                findings.extend(input_range::examine(self)?);
            }
            findings.extend(self.unstable(images, &logits)?);
        }
        if self.model.has_gradients() {
            findings.extend(self.gradient(images, labels)?.map(Found::new));
        }
        Ok(findings)
    }

    /// Whether the logits of the same images change by themselves, or with the other images of a batch.
    fn unstable(&self, images: &Tensor, logits: &Tensor) -> Result<Option<Found>> {
        if logits::differ(logits, &self.model.logits(images, self.branch)?) {
            return Ok(Some(Found::new(Finding::Randomised)));
        }
        // Each image between others, as far from it as images can be: statistics over the batch, over
        // groups of it or over its first images are all different ones.
        let others = 1.0 - images.round();
        let mixed = Tensor::stack(&[&others, images], 1).flatten(0, 1);
        let among_others = self.model.logits(&mixed, self.branch)?;
        let own = among_others.reshape([-1, 2, logits.size()[1]]).select(1, 1);
        if logits::differ(logits, &own) {
            return Ok(Some(Found::new(Finding::BatchDependent)));
        }
        // Only on a CPU the same bits are promised for any batch.
        let bits = logits.device() == Device::Cpu && !logits::are_equal(logits, &own);
        Ok(bits.then(|| Found {
            weight: Weight::Warns,
            ..Found::new(Finding::BatchBits)
        }))
    }

    /// What is wrong with the gradient of the loss with respect to the images.
    fn gradient(&self, images: &Tensor, labels: &Tensor) -> Result<Option<Finding>> {
        let mut tape = self.model.tape(&images.copy());
        let logits = tape.logits(self.branch)?;
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
        // Of single images rows and reports give account.
        let most =
            |is: fn(&f32) -> bool| 2 * largest.iter().filter(|value| is(value)).count() > largest.len();
        Ok(if most(|value| !value.is_finite()) {
            Some(Finding::NanGradient)
        } else {
            most(|value| *value == 0.0).then_some(Finding::ZeroGradient)
        })
    }
}

/// Examines one of some networks on test images, through each of its branches: the model, or the one of this name
/// beside it.
///
/// # Errors
/// As [`Examinee::examine`].
pub fn examine(networks: &Networks, name: Option<&str>, test: &Split, classes: usize) -> Result<Vec<Found>> {
    let mut findings = Vec::new();
    let Some(model) = name.map_or(Some(networks.model()), |name| networks.other(name)) else {
        return Ok(findings);
    };
    // A folder's images come class by class: the first are of one class.
    let places = spread(test.len(), IMAGES.min(test.len()));
    let places: Vec<usize> = places.into_iter().map(|place| place as usize).collect();
    let test = test.select(&places).loaded()?;
    let device = networks.device();
    let images = images_to_tensor(&test.images, test.len(), test.size, device);
    let labels: Vec<i64> = test.labels.iter().map(|&label| i64::from(label)).collect();
    let labels = Tensor::from_slice(&labels).to_device(device);
    for &branch in model.branches() {
        let examinee = Examinee {
            model,
            branch,
            images: &images,
            labels: &labels,
            classes,
            own: networks.is_own(name),
        };
        for found in examinee.examine()? {
            let found = found.about(name);
            if !findings.contains(&found) {
                findings.push(found);
            }
        }
    }
    Ok(findings)
}

/// `count` places spread over `n` images, at irregular distances: classes may come in turns. Fewer images
/// are repeated, so that a batch is a batch whatever there is.
pub fn spread(n: usize, count: usize) -> Vec<i64> {
    /// The least regular of steps round a circle.
    const GOLDEN: f64 = 0.618_033_988_749_895;
    (0..count)
        .map(|i| {
            if n < count {
                return (i % n.max(1)) as i64;
            }
            let (from, to) = (i * n / count, (i + 1) * n / count);
            from as i64 + ((i as f64 * GOLDEN).fract() * (to - from) as f64) as i64
        })
        .collect()
}

/// Refuses networks with findings that were not allowed; gives back the others, as a record tells them.
///
/// # Errors
/// With every finding's code and advice.
pub fn judge(findings: &[Found], allowed: &[Finding]) -> Result<Passed> {
    let mut passed = Passed::default();
    let mut refused = Vec::new();
    for found in findings {
        match found.weight {
            Weight::Warns => passed
                .warnings
                .push(format!("{}: {}", found.record(), found.said)),
            Weight::Refuses if allowed.contains(&found.finding) => passed.allowed.push(found.record()),
            _ => refused.push(found.to_string()),
        }
    }
    if refused.is_empty() {
        return Ok(passed);
    }
    Err(Error::Model(format!(
        "this model's robust accuracy would be wrong:\n  {}",
        refused.join("\n  ")
    )))
}
