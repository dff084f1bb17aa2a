//! Mean corruption error under every definition that papers call so.
//!
//! The corruption error CE_c is an error rate (mean over severities) divided by a base
//! network's; mCE is its mean over corruptions (Hendrycks and Dietterich, ICLR 2019, with
//! AlexNet as base). AugMix and most CIFAR papers do not divide; AugMax and RLNet divide by a
//! ResNet18; the benchmark's own script averages 19 corruptions. The relative form first
//! subtracts each network's clean error. All are shown side by side, by name: numbers under
//! two definitions cannot be compared. Each ten of C-bar has a mean of its own.

use crate::metrics::anchors::{ANCHORS, Anchor};
use crate::metrics::bootstrap::{Bootstrap, interval, weighted_mean};
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::{Known, Unknown};
use crate::metrics::measured_on::{Columns, Quantity};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::corruption::{self, BENCHMARK, EXTRA};
use rlnet_suites::{Condition, Family};
use serde::Serialize;

/// Number of corruptions: the benchmark's 15, the four extra ones, then those of C-bar.
pub const ALL: usize = corruption::ALL.len();

/// Which corruptions a mean is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The 15 of the benchmark.
    Benchmark,
    /// These and the four extra ones.
    Nineteen,
    /// The ten of CIFAR-10-C-bar, which no network was anchored on.
    Bar,
    /// The ten of ImageNet-C-bar, likewise.
    ImagenetBar,
}

impl Over {
    /// Their places in the list of all.
    pub fn places(self) -> Vec<usize> {
        let of = |family| {
            let names = corruption::of_family(family);
            let places = corruption::ALL.iter().enumerate();
            let own = places.filter(|(_, name)| names.contains(name));
            own.map(|(at, _)| at).collect()
        };
        match self {
            Self::Benchmark => (0..BENCHMARK.len()).collect(),
            Self::Nineteen => (0..BENCHMARK.len() + EXTRA.len()).collect(),
            Self::Bar => of(Family::CBar),
            Self::ImagenetBar => of(Family::CBarImagenet),
        }
    }

    /// In names of columns, and in headings.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Benchmark => ("15", "15"),
            Self::Nineteen => ("19", "19"),
            Self::Bar => ("10_c_bar", "the 10 of C-bar"),
            Self::ImagenetBar => ("10_imagenet_c_bar", "the 10 of ImageNet-C-bar"),
        }
    }
}

/// Error rates of a network: absent where not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// On clean images.
    pub clean: Option<f64>,
    /// Per corruption, mean over severities.
    pub errors: [Option<f64>; ALL],
}

impl From<&Anchor> for Profile {
    fn from(anchor: &Anchor) -> Self {
        Self {
            clean: Some(anchor.clean),
            errors: std::array::from_fn(|i| anchor.errors.get(i).copied()),
        }
    }
}

/// What error rates are divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Base {
    /// Nothing.
    None,
    /// A published network's.
    Anchor(&'static Anchor),
    /// Those of the suite's baseline.
    Baseline,
}

/// One definition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Definition {
    /// What is divided by.
    pub base: Base,
    /// Corruptions averaged.
    pub over: Over,
    /// Whether clean errors are subtracted first.
    pub relative: bool,
}

impl Definition {
    /// Every definition, the plainest first.
    pub fn all() -> Vec<Self> {
        let of = |base, over, relative| Self { base, over, relative };
        let anchors = |relative| ANCHORS.map(|anchor| of(Base::Anchor(anchor), Over::Benchmark, relative));
        let each = [Over::Benchmark, Over::Nineteen, Over::Bar, Over::ImagenetBar];
        let mut all: Vec<Self> = each.map(|over| of(Base::None, over, false)).to_vec();
        all.extend(each.map(|over| of(Base::Baseline, over, false)));
        all.extend(anchors(false));
        all.push(of(Base::Baseline, Over::Benchmark, true));
        all.extend(anchors(true));
        all
    }

    /// Name in files: `mce15_alexnet`.
    pub fn key(&self) -> String {
        let base = match self.base {
            Base::None => "unnormalised".to_owned(),
            Base::Anchor(anchor) => anchor.name.to_lowercase().replace('-', ""),
            Base::Baseline => "baseline".to_owned(),
        };
        let kind = if self.relative { "relative_mce" } else { "mce" };
        format!("{kind}{}_{base}", self.over.names().0)
    }

    /// Name in headings.
    pub fn title(&self, baseline: Option<&str>) -> String {
        let base = match self.base {
            Base::None => "not normalised".to_owned(),
            Base::Anchor(anchor) => format!("by {} ({})", anchor.name, anchor.dataset),
            Base::Baseline => format!("by {}", baseline.unwrap_or("the baseline")),
        };
        let kind = if self.relative { "relative mCE" } else { "mCE" };
        format!("{kind} over {}, {base}", self.over.names().1)
    }

    /// CE of one corruption (its place in the list of all), as a ratio: 1 is the base's own.
    ///
    /// # Errors
    /// When something was not measured, or the base makes no error.
    pub fn ce(&self, at: usize, own: &Profile, baseline: Option<&Profile>) -> Known<f64> {
        let name = corruption_at(at);
        let missing = |who: &str| Unknown::because(format!("{who} has no error rate on {name}"));
        let error = own.errors[at].ok_or_else(|| missing("the model"))?;
        let lost = |who: &str, profile: &Profile, error: f64| match (self.relative, profile.clean) {
            (false, _) => Ok(error),
            (true, Some(clean)) => Ok(error - clean),
            (true, None) => Err(Unknown::because(format!(
                "{who} has no error rate on clean images"
            ))),
        };
        let own_loss = lost("the model", own, error)?;
        let base = match self.base {
            Base::None => return Ok(own_loss),
            Base::Anchor(anchor) => &Profile::from(anchor),
            Base::Baseline => baseline.ok_or_else(|| Unknown::because("the suite names no baseline"))?,
        };
        let theirs = base.errors[at].ok_or_else(|| missing("the base"))?;
        let base_loss = lost("the base", base, theirs)?;
        if base_loss <= 0.0 {
            return Err(Unknown::because(format!("the base loses nothing on {name}")));
        }
        Ok(own_loss / base_loss)
    }

    /// Mean of CE over the definition's corruptions.
    ///
    /// # Errors
    /// As [`Self::ce`].
    pub fn mce(&self, own: &Profile, baseline: Option<&Profile>) -> Known<f64> {
        let places = self.over.places();
        let mut sum = 0.0;
        for &at in &places {
            sum += self.ce(at, own, baseline)?;
        }
        Ok(sum / places.len() as f64)
    }
}

/// A ratio with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The ratio; 1 is 100 %.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Error rates of one reading of one model, as measured and resampled.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// How it is read.
    pub policy: BranchPolicy,
    /// As measured.
    pub profile: Profile,
    /// Resampled over images, the same images for every model.
    pub resampled: Vec<Profile>,
    /// Severities measured, of every corruption that has any.
    pub severities: Vec<u8>,
}

impl Measured {
    /// One definition's number, with its interval.
    ///
    /// # Errors
    /// When something it needs was not measured.
    pub fn mce(&self, definition: &Definition, baseline: Option<&Self>) -> Known<Ratio> {
        self.comparable(definition)?;
        let base = baseline.map(|other| &other.profile);
        let value = definition.mce(&self.profile, base)?;
        (definition.over.places().into_iter())
            .try_for_each(|at| has_denominator(definition, at, baseline))?;
        let (low, high) = interval(&self.resampled_mce(definition, baseline));
        Ok(Ratio { value, low, high })
    }

    /// CE of one corruption (its place in the list of all) in one definition, as a ratio.
    ///
    /// # Errors
    /// As [`Self::mce`].
    pub fn ce(&self, definition: &Definition, at: usize, baseline: Option<&Self>) -> Known<f64> {
        self.comparable(definition)?;
        let ce = definition.ce(at, &self.profile, baseline.map(|other| &other.profile))?;
        has_denominator(definition, at, baseline)?;
        Ok(ce)
    }

    /// One definition's number in every resample.
    pub fn resampled_mce(&self, definition: &Definition, baseline: Option<&Self>) -> Vec<f64> {
        let own = self.resampled.iter().enumerate();
        own.filter_map(|(i, profile)| {
            let base = baseline.and_then(|other| other.resampled.get(i));
            definition.mce(profile, base).ok()
        })
        .collect()
    }

    /// Anchors are means over severities 1 to 5, and so must be what is divided by them.
    ///
    /// # Errors
    /// When other severities were measured.
    pub fn comparable(&self, definition: &Definition) -> Known<()> {
        match definition.base {
            Base::Anchor(anchor) if self.severities != [1, 2, 3, 4, 5] => Err(Unknown::because(format!(
                "{}'s errors are means over severities 1 to 5, not those of this suite",
                anchor.name
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether what a ratio divides by can be told from zero: a baseline's loss on a corruption whose
/// 95 % interval reaches zero makes a ratio of any size.
fn has_denominator(definition: &Definition, at: usize, baseline: Option<&Measured>) -> Known<()> {
    let Some(baseline) = baseline.filter(|_| definition.base == Base::Baseline) else {
        return Ok(());
    };
    let loss = |profile: &Profile| {
        let clean = if definition.relative { profile.clean? } else { 0.0 };
        Some(profile.errors[at]? - clean)
    };
    let losses: Vec<f64> = baseline.resampled.iter().filter_map(loss).collect();
    let (low, _) = interval(&losses);
    if low > 0.0 {
        return Ok(());
    }
    let what = if definition.relative {
        "loss of accuracy"
    } else {
        "error"
    };
    Err(Unknown::because(format!(
        "the {what} of the baseline {} on {} cannot be told from zero",
        baseline.model,
        corruption_at(at)
    )))
}

/// Name of a corruption by its place in the list of all.
fn corruption_at(at: usize) -> &'static str {
    corruption::ALL.get(at).copied().unwrap_or_default()
}

/// Measures every reading of every model; what is missing is absent.
pub fn measure(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    columns: &Columns,
    bootstrap: &Bootstrap,
) -> Vec<Measured> {
    let mut all = Vec::new();
    for (model, matrix) in runs.models.iter().zip(matrices) {
        let admit = |name: &str| {
            let quantity = Quantity::Corruption(name.to_owned());
            columns.admit(model, &quantity).is_ok()
        };
        for policy in model.policies() {
            all.push(of(model, matrix, policy, (&admit, bootstrap)));
        }
    }
    all
}

/// One reading of one model.
fn of(
    model: &Model,
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    (admit, bootstrap): (&dyn Fn(&str) -> bool, &Bootstrap),
) -> Measured {
    let mut severities: Vec<u8> = Vec::new();
    let errors: [Option<Vec<f32>>; ALL] = std::array::from_fn(|at| {
        let name = corruption_at(at);
        if !admit(name) {
            return None;
        }
        let planned: Vec<&Condition> = model
            .planned
            .iter()
            .map(|(condition, _)| condition)
            .filter(
                |condition| matches!(condition, Condition::Corruption { name: known, .. } if known == name),
            )
            .collect();
        for condition in &planned {
            if let Condition::Corruption { severity, .. } = condition
                && !severities.contains(severity)
            {
                severities.push(*severity);
            }
        }
        mean_error(matrix, policy, &planned)
    });
    severities.sort_unstable();
    let clean = mean_error(matrix, policy, &[&Condition::Clean]);
    let ones = vec![1.0; matrix.images.len()];
    let profile = |weights: &[f32]| Profile {
        clean: clean.as_ref().map(|errors| weighted_mean(errors, weights)),
        errors: std::array::from_fn(|at| errors[at].as_ref().map(|errors| weighted_mean(errors, weights))),
    };
    let measured = errors.iter().any(Option::is_some);
    Measured {
        model: model.name.clone(),
        policy,
        profile: profile(&ones),
        resampled: if measured {
            bootstrap.profiles(matrix.images.len(), profile)
        } else {
            Vec::new()
        },
        severities,
    }
}

/// Each image's own share of wrong answers under some conditions; absent unless every image
/// was answered under all of them.
fn mean_error(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    conditions: &[&Condition],
) -> Option<Vec<f32>> {
    let mut wrong = vec![0.0_f32; matrix.images.len()];
    for condition in conditions {
        for (sum, right) in wrong.iter_mut().zip(matrix.right(policy, condition)?) {
            *sum += f32::from(u8::from(!right?));
        }
    }
    let n = conditions.len() as f32;
    (!conditions.is_empty() && !wrong.is_empty()).then(|| wrong.into_iter().map(|sum| sum / n).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::anchors::{ALEXNET, RESNET18};

    fn definition(base: Base, relative: bool) -> Definition {
        Definition {
            base,
            over: Over::Benchmark,
            relative,
        }
    }

    #[test]
    fn an_anchor_has_an_mce_of_exactly_one_by_itself() {
        for anchor in ANCHORS {
            let own = Profile::from(anchor);
            for relative in [false, true] {
                assert_eq!(
                    definition(Base::Anchor(anchor), relative).mce(&own, None),
                    Ok(1.0)
                );
            }
            for at in 0..15 {
                assert_eq!(
                    definition(Base::Anchor(anchor), false).ce(at, &own, None),
                    Ok(1.0)
                );
            }
        }
    }

    #[test]
    fn published_means_come_out() {
        // AugMax, "Normal" ResNet18 on Tiny-ImageNet-C: robust accuracy 23.91 %.
        let own = Profile::from(&RESNET18);
        let error = definition(Base::None, false).mce(&own, None).expect("known");
        assert!((100.0 * (1.0 - error) - 23.91).abs() < 0.01, "{error}");
        // RobustBench, "Standard" on CIFAR-10-C: mean accuracy 73.46 %.
        let own = Profile::from(&crate::metrics::anchors::WRN_28_10);
        let error = definition(Base::None, false).mce(&own, None).expect("known");
        assert!((100.0 * (1.0 - error) - 73.46).abs() < 0.01, "{error}");
        // Four extra corruptions have no anchor.
        let nineteen = Definition {
            over: Over::Nineteen,
            ..definition(Base::None, false)
        };
        assert!(nineteen.mce(&own, None).is_err());
    }

    #[test]
    fn halving_every_error_halves_the_mce_but_not_the_relative_one() {
        let anchor = Profile::from(&ALEXNET);
        let half = Profile {
            clean: anchor.clean.map(|clean| clean / 2.0),
            errors: anchor.errors.map(|error| error.map(|error| error / 2.0)),
        };
        let mce = definition(Base::Baseline, false).mce(&half, Some(&anchor));
        assert!((mce.expect("known") - 0.5).abs() < 1e-12);
        let kept = Profile {
            clean: Some(0.0),
            ..half
        };
        let relative = definition(Base::Baseline, true)
            .mce(&kept, Some(&anchor))
            .expect("known");
        // By hand for two corruptions: gaussian 0.443214 / 0.451648, brightness
        // 0.282296 / 0.129812; the mean of all fifteen lies between.
        assert!(
            relative > 0.443_214 / 0.451_648 && relative < 0.282_296 / 0.129_812,
            "{relative}"
        );
    }
}
