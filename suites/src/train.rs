//! What a training cell does: stage, data roles, losses, schedule. Fully resolved; the
//! defaults are RLNet's (specs of the method: arXiv 2402.05521 and its reference code).

use crate::attack::AttackSpec;
use crate::branch::NormBanks;
use crate::dialect::Quirk;
use crate::error::SuiteError;
use crate::objective::{
    Augmentation, DEFAULT_ATTENTION, Granularity, Inner, Pram, Precision, Schedule, Score, is_default,
};
use crate::published::{self, PublishedBudget};
use crate::view::View;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The three stages of the method, and SNL's search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Trains an all-ReLU (AR) network.
    Teacher,
    /// Finds which ReLUs to keep while distilling into a fresh partial-ReLU (PR) network.
    Mask,
    /// Trains the PR network with its mask frozen.
    Student,
    /// Finds which ReLUs to keep as SNL does (Cho et al., ICML 2022): from the teacher's weights,
    /// a slope a unit, a lasso on the slopes.
    Snl,
}

impl Stage {
    /// Whether its result is a mask for a student.
    pub fn is_search(self) -> bool {
        matches!(self, Self::Mask | Self::Snl)
    }

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Mask => "mask",
            Self::Student => "student",
            Self::Snl => "snl",
        }
    }
}

/// `fixed` does what the paper describes; `parity` replays the reference code's defects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// What the paper describes (default).
    Fixed,
    /// What the reference code does.
    Parity,
}

/// Which epoch's weights a training cell hands on. Measured on the held-out tenth of the
/// training set, never on the test set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Select {
    /// The last epoch.
    Last,
    /// Best clean accuracy through the clean branch (the reference's rule, there on the test set).
    Clean,
    /// Best mean of clean accuracy (clean branch) and adversarial accuracy (adversarial branch).
    Mean,
}

/// Counts above this are no network's, and a double no longer tells them apart.
const MOST_RELUS: f64 = 1e15;

/// How many ReLUs a mask keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Budget {
    /// A number of ReLUs: `50k`, `50000`.
    Count(u64),
    /// All ReLUs divided by this: `11.14x`.
    Reduction(f64),
}

impl Budget {
    /// The number of ReLUs to keep of `total`.
    ///
    /// # Errors
    /// When the budget is not between 1 and `total`.
    pub fn resolve(self, total: u64) -> Result<u64, SuiteError> {
        let keep = match self {
            Self::Count(n) => n,
            Self::Reduction(r) => (total as f64 / r).round() as u64,
        };
        if keep == 0 || keep > total {
            return Err(SuiteError::value(
                "budget",
                self,
                format!("keeps {keep} ReLUs, but this network has {total}; ask for 1 to {total}"),
            ));
        }
        Ok(keep)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) if n % 1000 == 0 => write!(f, "{}k", n / 1000),
            Self::Count(n) => write!(f, "{n}"),
            Self::Reduction(r) => write!(f, "{r}x"),
        }
    }
}

impl Budget {
    /// A reduction, with its `x` or without: `11.14x`, `11.14`.
    ///
    /// # Errors
    /// When it is no number of 1 or more.
    pub fn reduction(text: &str) -> Result<Self, SuiteError> {
        let lower = text.trim().to_lowercase();
        let ratio = lower.strip_suffix('x').or(lower.strip_suffix('×'));
        Self::times(ratio.unwrap_or(&lower), |why| {
            SuiteError::value(
                "reduction",
                text,
                format!("{why}; write how many times fewer ReLUs: 11.14x"),
            )
        })
    }

    fn times(ratio: &str, bad: impl Fn(&str) -> SuiteError) -> Result<Self, SuiteError> {
        let ratio = finite(ratio).ok_or_else(|| bad("not a number"))?;
        match ratio < 1.0 {
            true => Err(bad("a reduction below 1 would add ReLUs")),
            false => Ok(Self::Reduction(ratio)),
        }
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

impl FromStr for Budget {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let bad = |why: &str| {
            SuiteError::value(
                "budget",
                text,
                format!("{why}; write a count (50k, 50000) or a reduction (11.14x)"),
            )
        };
        let lower = text.trim().to_lowercase();
        if let Some(ratio) = lower.strip_suffix('x').or(lower.strip_suffix('×')) {
            return Self::times(ratio, bad);
        }
        let (number, unit) = match lower.strip_suffix('k') {
            Some(thousands) => (thousands, 1000.0),
            None => (lower.as_str(), 1.0),
        };
        let count = finite(number).ok_or_else(|| bad("not a number"))? * unit;
        if count < 1.0 {
            return Err(bad("fewer than one ReLU"));
        }
        if count > MOST_RELUS {
            return Err(bad("more ReLUs than any network has"));
        }
        // 82.65k in binary is not quite a whole number.
        let whole = count.round();
        if (count - whole).abs() > 1e-6 * unit {
            return Err(bad(&format!(
                "not a whole number of ReLUs; for {number} times fewer write {number}x"
            )));
        }
        Ok(Self::Count(whole as u64))
    }
}

impl TryFrom<String> for Budget {
    type Error = SuiteError;
    fn try_from(text: String) -> Result<Self, SuiteError> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        budget.to_string()
    }
}

/// How a budget is shared among the layers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Allocation {
    /// SENet's sensitivities of ResNet18, by relative depth: deeper layers keep more (the w18
    /// curve of the published ResNet18 lists).
    Sensitivity,
    /// Sensitivities measured on the teacher and the held-out images.
    Measured,
    /// The same share of every layer (a control).
    Uniform,
    /// The same number of units in every layer, as far as they have them (a control).
    Equal,
    /// A published list by name: its own counts, or its proportions when there is a budget.
    Published(&'static PublishedBudget),
}

impl Allocation {
    const PUBLISHED: &'static str = "published:";

    /// Whether it says how many units to keep, so that no budget is needed.
    pub fn has_counts(self) -> bool {
        matches!(self, Self::Published(_))
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sensitivity => f.write_str("sensitivity"),
            Self::Measured => f.write_str("measured"),
            Self::Uniform => f.write_str("uniform"),
            Self::Equal => f.write_str("equal"),
            Self::Published(list) => write!(f, "{}{}", Self::PUBLISHED, list.name),
        }
    }
}

impl FromStr for Allocation {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        if let Some(name) = text.strip_prefix(Self::PUBLISHED) {
            return Ok(Self::Published(published::find(name)?));
        }
        [Self::Sensitivity, Self::Measured, Self::Uniform, Self::Equal]
            .into_iter()
            .find(|allocation| allocation.to_string() == text)
            .ok_or_else(|| {
                let message = "write sensitivity, measured, uniform, equal, or published:NAME with a name \
                               of `rlnet model budgets`";
                SuiteError::value("allocation", text, message)
            })
    }
}

impl TryFrom<String> for Allocation {
    type Error = SuiteError;
    fn try_from(text: String) -> Result<Self, SuiteError> {
        text.parse()
    }
}

impl From<Allocation> for String {
    fn from(allocation: Allocation) -> Self {
        allocation.to_string()
    }
}

/// A mask in a file, as `rlnet export MODEL --format mask` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedMask {
    /// Where it is. No part of a cell's identity.
    pub path: String,
    /// Its blake3 checksum, 64 hexadecimal digits: what it is.
    pub blake3: String,
}

/// One training cell, with nothing left to default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// Which of the three stages.
    pub stage: Stage,
    /// Whether a student takes nothing of its second parent, a search, but the units it keeps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub units_only: bool,
    /// Architecture, as in `rlnet model list`.
    pub arch: String,
    /// Banks of batch norm.
    pub norm: NormBanks,
    /// Image roles in a step; the loss is the mean over them.
    pub views: Vec<View>,
    /// What makes the augmented role's images.
    #[serde(default, skip_serializing_if = "is_default")]
    pub augmentation: Augmentation,
    /// Passes over the training images; at most, of a stage `snl`.
    pub epochs: u32,
    /// Images a step, split between the roles.
    pub batch: usize,
    /// Learning rate before any milestone.
    pub lr: f64,
    /// How the rate falls.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// Fractions of `epochs` after which the rate is divided by 10 (schedule `steps`).
    pub milestones: Vec<f64>,
    /// SGD momentum (no Nesterov).
    pub momentum: f64,
    /// L2 penalty on every parameter, norms and biases too.
    pub weight_decay: f64,
    /// Weight of the cross entropy (stages `mask` and `student`).
    pub gamma: f64,
    /// Weight of the distillation KL (stages `mask` and `student`).
    pub alpha: f64,
    /// Weight of the attention transfer (stage `student`).
    pub beta: f64,
    /// Roles whose features the attention term compares, those absent from `views` left out.
    #[serde(default = "default_attention", skip_serializing_if = "is_default_attention")]
    pub attention: Vec<View>,
    /// The form of the attention term.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pram: Pram,
    /// Weight of TRADES' term `KL_T(adversarial || clean)`, which replaces the mean over roles
    /// (stage `teacher`, one norm bank); 0 is off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trades: f64,
    /// First weight of the slopes' lasso (stage `snl`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub lasso: f64,
    /// Weight of the Jensen-Shannon consistency of clean and AugMix predictions; 0 is off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jsd: f64,
    /// Distillation temperature.
    pub temperature: f64,
    /// What the inner attack maximises.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inner: Inner,
    /// The inner attack of the adversarial role, also used for validation.
    pub attack: AttackSpec,
    /// ReLUs to keep (stages `mask` and `snl`, and a student without a mask stage).
    pub budget: Option<Budget>,
    /// How the budget is shared (stage `mask`).
    pub allocation: Allocation,
    /// The mask of a student that takes it from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Box<ImportedMask>>,
    /// How units are scored (stage `mask`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub score: Score,
    /// What is kept or dropped as one (stage `mask`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub granularity: Granularity,
    /// Arithmetic of the stage.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Which epoch is handed on.
    pub select: Select,
    /// `fixed` or `parity`.
    pub dialect: Dialect,
    /// The reference's defects that are replayed, in order; all of them in dialect `parity`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quirks: Vec<Quirk>,
    /// Seed of initialisation, order, augmentation and attack starts.
    pub seed: u64,
}

fn default_attention() -> Vec<View> {
    DEFAULT_ATTENTION.to_vec()
}

fn is_default_attention(views: &[View]) -> bool {
    views == DEFAULT_ATTENTION
}

impl TrainSpec {
    /// The learning rate of a 1-based epoch: divided by 10 for every milestone strictly
    /// passed (reference: 150, 180 and 210 of 240 epochs), or along a cosine that would be zero
    /// after the last epoch.
    pub fn lr_at(&self, epoch: u32) -> f64 {
        if self.schedule == Schedule::Cosine {
            let done = f64::from(epoch.saturating_sub(1)) / f64::from(self.epochs.max(1));
            return self.lr * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
        }
        let passed = self
            .milestones
            .iter()
            .filter(|fraction| (f64::from(self.epochs) * **fraction).round() < f64::from(epoch))
            .count();
        self.lr * 0.1_f64.powi(passed as i32)
    }

    /// Whether a defect of the reference is replayed.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether a defect of the reference concerns this stage, its network and its roles: where it
    /// does not, its switch changes nothing.
    pub fn concerns(&self, quirk: Quirk) -> bool {
        let (resnet, wrn) = (self.arch.starts_with("resnet"), self.arch.starts_with("wrn"));
        let (single, dual, triple) = (
            self.norm == NormBanks::Single,
            self.norm == NormBanks::Dual,
            self.norm == NormBanks::Triple,
        );
        let (teacher, search) = (self.stage == Stage::Teacher, self.stage == Stage::Mask);
        let distilled = !teacher && self.stage != Stage::Snl;
        let augmix = self.views.contains(&View::Augmix);
        let robust = self.is_robust();
        match quirk {
            Quirk::SharedShortcutNorm => teacher && resnet && !triple,
            Quirk::StrictThreshold | Quirk::ReplicatedFirstMask => {
                search && self.granularity == Granularity::Unit
            }
            Quirk::NormedStages => distilled && wrn,
            Quirk::SelectOnTest => self.stage != Stage::Snl,
            Quirk::TripleNormThirds => triple && augmix && (robust || distilled),
            Quirk::SingleNormRoles => single && robust,
            Quirk::OwnAugmixCrop => augmix,
            Quirk::StudentWithoutSkip => distilled && resnet,
            Quirk::TripleTeacherWithoutSkip => teacher && resnet && triple,
            Quirk::SingleNormCleanLoss => {
                distilled && single && robust && (self.gamma > 0.0 || self.beta > 0.0)
            }
            Quirk::NoAugmixKlOnly => distilled && dual && robust && !augmix,
            Quirk::TripleNormKlOnly => distilled && triple && robust,
        }
    }

    /// Whether its units are first drawn by lot, layer by layer: those of a mask stage are, and
    /// of a student that has no mask stage.
    pub fn draws_mask(&self) -> bool {
        let counted = self.budget.is_some() || self.allocation.has_counts();
        self.stage == Stage::Mask || (self.stage == Stage::Student && counted)
    }

    /// Whether any role is adversarial.
    pub fn is_robust(&self) -> bool {
        self.views.contains(&View::Adversarial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_read_as_people_write_them() {
        for text in [
            "sensitivity",
            "measured",
            "uniform",
            "equal",
            "published:ResNet18_c100_relu50k",
        ] {
            assert_eq!(text.parse::<Allocation>().expect(text).to_string(), text);
        }
        for bad in ["proportional", "published:", "published:ResNet18_relu1k"] {
            assert!(bad.parse::<Allocation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn budgets_read_as_people_write_them() {
        for (text, keep) in [
            ("50k", 50_000),
            ("11.14x", 50_005),
            ("82650", 82_650),
            ("82.65k", 82_650),
            ("0.001k", 1),
            ("1x", 557_056),
        ] {
            let budget: Budget = text.parse().expect(text);
            assert_eq!(budget.resolve(557_056).expect(text), keep, "{text}");
            assert_eq!(budget.to_string().parse::<Budget>().expect(text), budget);
        }
        for (bad, hint) in [
            ("0.5x", "below 1"),
            ("0", "fewer than one"),
            ("-3k", "fewer than one"),
            ("many", "not a number"),
            ("infx", "not a number"),
            ("1e30", "more ReLUs"),
            // A ratio that lost its x was once a count, cut to a whole one.
            ("5.7", "write 5.7x"),
            ("11.14", "write 11.14x"),
            ("5.5555k", "not a whole number"),
        ] {
            let error = bad.parse::<Budget>().expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
        for text in ["11.14x", "11.14", "3", "3X"] {
            let ratio = text.trim_end_matches(['x', 'X']).parse().expect("a number");
            assert_eq!(Budget::reduction(text).expect(text), Budget::Reduction(ratio));
        }
        for bad in ["0.9", "0.9x", "50k", "nan", ""] {
            assert!(Budget::reduction(bad).is_err(), "{bad}");
        }
        assert!(Budget::Count(600_000).resolve(557_056).is_err());
    }

    /// Which of the switches of `dialect = "parity"` have something to replay.
    #[test]
    fn switches_concern_the_stages_that_the_reference_gets_wrong() {
        let acting = |stage: &str, sets: &[&str]| {
            let mut all = vec!["training.dialect=parity".to_owned()];
            all.extend(sets.iter().map(|set| (*set).to_owned()));
            let text = crate::catalog::find("demo").expect("demo");
            let suite = crate::Suite::parse(text, "demo", &all).expect("a suite");
            let plan = suite
                .plan(&crate::plan::PlanContext::unread(&suite))
                .expect("a plan");
            let cell = plan
                .cells
                .into_iter()
                .find(|cell| cell.name == stage)
                .expect(stage);
            let crate::CellSpec::Train(spec) = cell.spec else {
                panic!("{stage} is trained")
            };
            let acting = Quirk::ALL.into_iter().filter(|quirk| spec.concerns(*quirk));
            acting.map(Quirk::number).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(acting("teacher", &[]), "B1 B4 B8");
        assert_eq!(acting("mask", &[]), "B2 B4 B8 B14 B23");
        assert_eq!(acting("rlnet", &[]), "B4 B8 B23");
        let triple = "network.norm=triple";
        assert_eq!(acting("teacher", &[triple]), "B4 B5 B8 B24");
        assert_eq!(acting("rlnet", &[triple]), "B4 B5 B8 B23 B27");
        assert_eq!(acting("rlnet", &["network.norm=single"]), "B4 B7 B23 B25");
        assert_eq!(acting("rlnet", &["network.arch=wrn-10-1"]), "B3 B4 B8");
        let without = "train.teacher.views=[\"clean\",\"adversarial\"]";
        assert_eq!(acting("rlnet", &[without]), "B4 B23 B26");
    }
}
