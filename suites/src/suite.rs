//! A suite as it is written: TOML, read strictly, every mistake with its line.
//!
//! [`Suite`] is the raw form, exactly what somebody wrote; `read` reads it, `check` says what
//! the types cannot, and [`Suite::plan`] resolves it.

mod attacks;
mod check;
mod range;
mod read;
mod source;
mod span;

pub use attacks::Attacks;
pub(crate) use read::apply as set;

use crate::attack::AttackSpec;
use crate::branch::Branch;
use crate::branch::NormBanks;
use crate::corrupted::{Corrupted, Draws, Frost, Origin, Stack};
use crate::corruption::{BENCHMARK, EXTRA, check_corruption};
use crate::dialect::Quirk;
use crate::error::SuiteError;
use crate::objective::{Augmentation, Granularity, Inner, ModeName, Pram, Precision, Schedule, Score};
use crate::slurm::Slurm;
use crate::train::{Allocation, Budget, Dialect, ImportedMask, Select, Stage};
use crate::view::View;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Spanned, Table, Value};

/// What is wrong with a suite, and where.
struct ConfigError {
    span: Span,
    message: String,
}

/// Where a mistake is: a byte of the text, or a setting by its keys.
enum Span {
    Byte(usize),
    Key(Vec<String>),
}

/// The schema this version reads.
pub const SCHEMA: u32 = 1;

/// The network of a suite that names none: the paper's first.
pub const DEFAULT_ARCH: &str = "resnet18";

/// A suite, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Version of the schema: 1.
    pub schema: u32,
    /// Short name: also the name on the command line.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it measures and why.
    pub description: String,
    /// Hours on one large GPU (an H100 or H200), as an estimate of all cells together.
    pub gpu_hours: Option<f64>,
    /// The images.
    pub data: Data,
    /// The network all stages share, unless they say otherwise. A suite that trains nothing
    /// may leave it out.
    #[serde(default)]
    pub network: Network,
    /// Settings all stages share, unless they say otherwise.
    #[serde(default)]
    pub training: StageSettings,
    /// The training cells, in order. None: the suite only measures, whatever model it is given.
    #[serde(default)]
    pub train: Vec<Train>,
    /// What is measured.
    pub evaluation: Evaluation,
    /// What a Slurm cluster wants to know; changes no result.
    #[serde(default)]
    pub slurm: Slurm,
    /// What this suite changes at a scale (`--set scale=NAME`), laid over the ceilings that all
    /// suites have there (see [`crate::scale`]): settings as in the suite itself, stages by
    /// their names, and `models`, the only ones that are left.
    #[serde(default)]
    pub scale: BTreeMap<String, Table>,
    /// What it was read from, for errors that show later.
    #[serde(skip)]
    source: source::Source,
}

/// `[data]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A data set, as in `rlnet data list`.
    pub dataset: String,
    /// Training images used, from the front; all when absent.
    pub train: Option<u32>,
    /// Test images used, from the front; all when absent.
    pub test: Option<u32>,
    /// Share of the training images held out for selecting epochs.
    #[serde(default = "tenth")]
    pub validation: f64,
}

fn tenth() -> f64 {
    0.1
}

/// `[network]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Architecture, as in `rlnet model list`.
    pub arch: String,
    /// Banks of batch norm.
    #[serde(default = "dual")]
    pub norm: NormBanks,
}

fn dual() -> NormBanks {
    NormBanks::Dual
}

impl Default for Network {
    /// The paper's.
    fn default() -> Self {
        Self {
            arch: DEFAULT_ARCH.to_owned(),
            norm: dual(),
        }
    }
}

/// Settings of a stage; what is absent comes from `[training]`, then from the method.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSettings {
    /// Passes over the training images.
    pub epochs: Option<u32>,
    /// Images a step.
    pub batch: Option<usize>,
    /// Learning rate before any milestone.
    pub lr: Option<f64>,
    /// How the rate falls.
    pub schedule: Option<Schedule>,
    /// Fractions of the epochs after which the rate is divided by 10.
    pub milestones: Option<Vec<f64>>,
    /// SGD momentum.
    pub momentum: Option<f64>,
    /// L2 penalty.
    pub weight_decay: Option<f64>,
    /// Weight of the cross entropy.
    pub gamma: Option<f64>,
    /// Weight of the distillation KL.
    pub alpha: Option<f64>,
    /// Weight of the attention transfer.
    pub beta: Option<f64>,
    /// A named combination of loss terms; `gamma`, `alpha`, `beta`, `attention`, `inner` and
    /// `trades` beside it override its parts.
    pub mode: Option<ModeName>,
    /// Roles of the attention term.
    pub attention: Option<Vec<View>>,
    /// Form of the attention term.
    pub pram: Option<Pram>,
    /// What the inner attack maximises.
    pub inner: Option<Inner>,
    /// Weight of TRADES' term.
    pub trades: Option<f64>,
    /// Weight of the Jensen-Shannon consistency.
    pub jsd: Option<f64>,
    /// First weight of the slopes' lasso of a stage `snl`.
    pub lasso: Option<f64>,
    /// What makes the augmented role's images.
    pub augmentation: Option<Augmentation>,
    /// How the mask stage scores units.
    pub score: Option<Score>,
    /// What a mask keeps or drops as one.
    pub granularity: Option<Granularity>,
    /// Arithmetic: `fp32`, `tf32`, or `bf16` (inner attack only).
    pub precision: Option<Precision>,
    /// Distillation temperature.
    pub temperature: Option<f64>,
    /// The inner attack.
    pub attack: Option<AttackSpec>,
    /// Which epoch is handed on.
    pub select: Option<Select>,
    /// `fixed` or `parity`.
    pub dialect: Option<Dialect>,
    /// Defects of the reference to replay, by name or number, in dialect `fixed`.
    pub quirks: Option<Vec<Quirk>>,
    /// Seed.
    pub seed: Option<u64>,
}

/// `[[train]]`. (The settings are spelled out, not flattened: serde's `flatten` would lose
/// the line of an unknown key.)
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Name of the model it makes.
    pub name: Spanned<String>,
    /// Which stage.
    pub stage: Stage,
    /// Image roles; all three when absent.
    pub views: Option<Vec<View>>,
    /// Banks of batch norm; the suite's when absent.
    pub norm: Option<NormBanks>,
    /// Architecture; the suite's when absent.
    pub arch: Option<String>,
    /// The teacher of a mask stage, or of a student that has none.
    pub teacher: Option<Spanned<String>>,
    /// The stage `mask` or `snl` of a student.
    pub mask: Option<Spanned<String>>,
    /// ReLUs to keep, of a mask stage or of a student that has none: `50k` or `11.14x`.
    pub budget: Option<Budget>,
    /// How the budget is shared among layers.
    pub allocation: Option<Allocation>,
    /// The mask of a student with a teacher, from a file.
    pub imported: Option<Box<ImportedMask>>,
    /// The stage `mask` or `snl` whose kept units a student with a teacher takes, and nothing else
    /// of it: its weights are fresh, and the two may be of different data sets.
    pub units: Option<Spanned<String>>,
    /// The data set of a teacher, and of the stages that build on it; the suite's when absent.
    pub dataset: Option<String>,
    /// Its own settings.
    #[serde(default)]
    pub with: StageSettings,
}

/// `[evaluation]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Models to evaluate; every teacher and student when absent.
    pub models: Option<Vec<Spanned<String>>>,
    /// `benchmark` (15), `all` (19), `none`, or a list of names.
    pub corruptions: Corruptions,
    /// Severities of each corruption.
    #[serde(default = "every_severity")]
    pub severities: Vec<u8>,
    /// Where corrupted images come from.
    #[serde(default)]
    pub corrupted: Origin,
    /// Which libraries generated images imitate.
    #[serde(default)]
    pub stack: Stack,
    /// Where the draws of generated images come from.
    #[serde(default)]
    pub rng: Draws,
    /// Which frost textures generated images may have.
    #[serde(default)]
    pub frost: Frost,
    /// Whether AugMix views of the test images are a condition too: images augmented as those
    /// of training, but never seen.
    #[serde(default)]
    pub augmix: bool,
    /// Attacks, each through every branch.
    pub attacks: Attacks,
    /// The attack whose accuracy is called AdvA; the strongest kind of `attacks` when absent.
    pub headline: Option<AttackSpec>,
    /// The model that others are compared with.
    pub baseline: Option<Spanned<String>>,
    /// Images a batch; results do not depend on it.
    #[serde(default = "evaluation_batch")]
    pub batch: usize,
    /// Seed of corruptions and attack starts.
    #[serde(default)]
    pub seed: u64,
    /// Branches to go through; all of a model's when absent.
    pub branches: Option<Vec<Branch>>,
    /// Whether adversarial images are kept beside the outcomes.
    #[serde(default = "kept")]
    pub save_images: bool,
    /// Whether gradients are probed at the clean images: a part of the diagnosis that is no
    /// attack.
    #[serde(default)]
    pub probe: bool,
    /// Whether each student's activations are compared with its teacher's, layer by layer.
    #[serde(default)]
    pub similarity: bool,
}

impl Suite {
    /// The data set that a stage is trained on: its own, else that of its teacher, else the suite's.
    pub fn dataset_of<'a>(&'a self, train: &'a Train) -> &'a str {
        let mut stage = train;
        // Names refer to stages above, so this ends.
        while let Some(above) = stage.teacher.as_ref().or(stage.mask.as_ref()) {
            let named = |other: &&Train| other.name.get_ref() == above.get_ref();
            match self.train.iter().find(named) {
                Some(found) => stage = found,
                None => break,
            }
        }
        stage.dataset.as_deref().unwrap_or(&self.data.dataset)
    }

    /// The data sets that stages name beside the suite's own.
    pub fn other_datasets(&self) -> BTreeSet<&str> {
        let named = self.train.iter().filter_map(|train| train.dataset.as_deref());
        named.filter(|name| *name != self.data.dataset).collect()
    }
}

impl Evaluation {
    /// What is said of corrupted images.
    pub fn corrupted(&self) -> Corrupted {
        Corrupted {
            origin: self.corrupted,
            stack: self.stack,
            draws: self.rng,
            frost: self.frost,
        }
    }
}

fn every_severity() -> Vec<u8> {
    (1..=5).collect()
}

fn kept() -> bool {
    true
}

fn evaluation_batch() -> usize {
    100
}

/// Which corruptions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Corruptions(pub Vec<String>);

impl TryFrom<Value> for Corruptions {
    type Error = SuiteError;
    fn try_from(value: Value) -> Result<Self, SuiteError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match value {
            Value::String(word) => match word.as_str() {
                "benchmark" => Ok(Self(owned(&BENCHMARK))),
                "all" => Ok(Self(owned(&[&BENCHMARK[..], &EXTRA[..]].concat()))),
                "none" => Ok(Self(Vec::new())),
                other => Err(SuiteError::value(
                    "corruptions",
                    other,
                    "write benchmark, all, none, or a list of names",
                )),
            },
            Value::Array(items) => items
                .into_iter()
                .map(|item| {
                    let name = item
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| SuiteError::value("corruption", &item, "a name in quotes"))?;
                    check_corruption(&name)?;
                    Ok(name)
                })
                .collect::<Result<_, _>>()
                .map(Self),
            other => Err(SuiteError::value(
                "corruptions",
                other,
                "write benchmark, all, none, or a list of names",
            )),
        }
    }
}
