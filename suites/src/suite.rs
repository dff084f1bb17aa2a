//! A suite as it is written: TOML, read strictly, every mistake with its line.
//!
//! [`Suite`] is the raw form, as it was written; `read` reads it, `keys` and `check` refuse what
//! the types cannot, and [`Suite::plan`] resolves it.

mod attacks;
mod check;
mod keys;
mod read;
mod source;
mod span;

pub use attacks::Attacks;
pub(crate) use read::apply as set;

use crate::attack::AttackSpec;
use crate::bounds::Bounds;
use crate::branch::Branch;
use crate::branch::NormBanks;
use crate::corrupted::{Corrupted, Draws, Frost, Origin, STACKS, Stack};
use crate::corruption::{self, GROUPS, check_corruption};
use crate::error::SuiteError;
use crate::images::ImageRanges;
use crate::replicates::MOST_REPLICATES;
use crate::settings::Kind::{self, *};
use crate::settings::{Section, section};
use crate::slurm::Slurm;
use crate::train::{Allocation, Budget, ImportedMask, LARGEST_BATCH, Stage, StageSettings};
use crate::view::View;
use rlnet_corruptions::picture::Filter;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
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

/// Share of the training images that is held out to select epochs, unless a suite says otherwise.
pub const VALIDATION: f64 = 0.1;

/// The severities of a corruption.
pub const SEVERITIES: [u8; 5] = [1, 2, 3, 4, 5];

/// The words of `data.filter`.
const FILTERS: &[&str] = &[
    Filter::Bilinear.name(),
    Filter::Bicubic.name(),
    Filter::Lanczos.name(),
];

/// More images than any data set has.
const MOST_IMAGES: u64 = 100_000_000;

/// Images that go through a model at a time when it is evaluated, where nobody says otherwise.
pub const EVALUATION_BATCH: usize = 100;

section! {
    /// A suite, as written.
    #[derive(Debug, Clone)]
    pub struct Suite {
        schema: u32, Whole(1, Some(1)), (required), "version of this form: 1";
        name: String, Text, (required), "short name; also that of its folder of results";
        title: String, Text, (required), "one line for people";
        description: String, Text, (required), "what it measures and why";
        gpu_hours: Option<f64>, Number(Bounds::positive(1e6)), (none "not estimated"),
            "estimate of the hours of all its cells on one large GPU (an H100 or H200)";
        data: Data, Inner(Section::Data), (required), "the images";
        network: Network, Inner(Section::Network), (none "the paper's"),
            "what all stages share, unless they say otherwise";
        training: StageSettings, Inner(Section::Stage), (none "the method's"),
            "settings all stages share, unless they say otherwise";
        train: Vec<Train>, List(Section::Train), (none "none: any model is measured"),
            "the stages to train, parents first";
        replicates: u32, Whole(1, Some(MOST_REPLICATES)), (= 1),
            "trainings of every stage, each with the next seed; reports then give means and one interval over trainings and images";
        evaluation: Evaluation, Inner(Section::Evaluation), (required), "what is measured";
        scale: BTreeMap<String, Table>, Changes, (none "none"),
            "what changes at a scale, by its name (--set scale=NAME): settings as in the suite, stages by \
             their names, and `models`, the only ones that are left";
        slurm: Slurm, Inner(Section::Slurm), (none "nothing"),
            "options of a Slurm cluster; they change no result";
        // What it was read from, for errors that show later.
        @private source: source::Source;
    }
}

section! {
    /// `[data]`.
    #[derive(Debug, Clone)]
    pub struct Data {
        dataset: String, Text, (required), "as in `rlnet data list`, or imagefolder:PATH";
        resize: Option<usize>, Whole(1, Some(4096)), (none "not resized"),
            "length of the shorter side after resizing, as torchvision's Resize (imagefolder only)";
        crop: Option<usize>, Whole(1, Some(4096)), (none "not cropped"),
            "side of the square that is cut from their centre; training crops at random";
        filter: Filter, Words(FILTERS), (= Filter::default()), "how they are resized";
        train: Option<u32>, Whole(2, Some(MOST_IMAGES)), (none "all"),
            "training images used, from the front of the official order";
        test: Option<u32>, Whole(1, Some(MOST_IMAGES)), (none "all"),
            "test images used, from the front of the official order";
        images: Option<ImageRanges>, Text, (none "the first ones"),
            "test images that models are measured on in place of the first: positions and ranges, 5000-5511 or 3,7,9-20";
        validation: f64, Number(Bounds::share()), (= VALIDATION),
            "share of the training images held out to select epochs; the reference selects on the test set";
    }
}

section! {
    /// `[network]`.
    #[derive(Debug, Clone)]
    pub struct Network {
        arch: String, Text, (required), "as in `rlnet model list`";
        norm: NormBanks, Words(NormBanks::WORDS), (= NormBanks::Dual),
            "banks of batch norm; dual: clean and AugMix images through one, attacked ones through the other (the paper)";
    }
}

impl Default for Network {
    /// The paper's.
    fn default() -> Self {
        Self {
            arch: DEFAULT_ARCH.to_owned(),
            norm: NormBanks::Dual,
        }
    }
}

section! {
    /// `[[train]]`. (The settings are spelled out in `with`, not flattened: serde's `flatten` would
    /// lose the line of an unknown key.)
    #[derive(Debug, Clone)]
    pub struct Train {
        name: Spanned<String>, Text, (required),
            "name of the model it makes: letters, digits, `-`, `_`, `.`";
        stage: Stage, Words(Stage::WORDS), (required), "which stage of the method, or SNL's search";
        views: Option<Vec<View>>, WordList(View::WORDS),
            (none "those of the stage it builds on; else all three"),
            "roles that training images play (the paper)";
        norm: Option<NormBanks>, Words(NormBanks::WORDS),
            (none "that of the stage it builds on; else network.norm"), "banks of batch norm";
        arch: Option<String>, Text, (none "that of the stage it builds on; else network.arch"), "architecture";
        teacher: Option<Spanned<String>>, Text, (none "a mask or snl stage must have it"),
            "the teacher of a mask or snl stage, or of a student without one: a stage above";
        mask: Option<Spanned<String>>, Text, (none "a student must have it, or a teacher and a budget"),
            "the mask or snl stage of a student: a stage above";
        budget: Option<Budget>, Kind::Budget, (none "a mask stage must have it, or a published allocation"),
            "ReLUs to keep: a number (50k) or a reduction (11.14x)";
        allocation: Option<Allocation>, Text, (later = Allocation::Sensitivity),
            "how a budget is shared among layers: sensitivity, measured, uniform, equal or published:NAME";
        imported: Option<Box<ImportedMask>>, Inner(Section::Imported), (none "none"),
            "the mask of a student that has a teacher and no budget, from a file";
        units: Option<Spanned<String>>, Text, (none "none"),
            "an earlier mask or snl stage: a student with a teacher takes its kept units and starts from fresh weights";
        dataset: Option<String>, Text, (none "data.dataset"),
            "data set of a teacher and what builds on it, as many images as in [data]; such models are not measured";
        replicates: Option<u32>, Whole(1, Some(MOST_REPLICATES)), (none "replicates of the suite"),
            "trainings of this stage, each with the next seed";
        with: StageSettings, Inner(Section::Stage), (none "none"), "settings of this stage alone";
    }
}

section! {
    /// `[evaluation]`.
    #[derive(Debug, Clone)]
    pub struct Evaluation {
        models: Option<Vec<Spanned<String>>>, Names, (none "every teacher and student"),
            "stages whose models are evaluated";
        corruptions: Corruptions, Kind::Corruptions, (required),
            "benchmark (15), extra (4), all (these 19), c-bar (10), imagenet-c-bar (10, for 224 pixels), p (14 sequences), \
             p-cifar (10 of them), none, or a list of names and of these words";
        severities: Vec<u8>, Wholes(1, 5), (= SEVERITIES.to_vec()), "severities of each corruption";
        corrupted: Origin, Words(Origin::WORDS), (= Origin::default()),
            "whether corrupted images are generated, or read from --corrupted-dir";
        stack: Stack, Words(STACKS), (= Stack::default()),
            "which libraries generated images imitate: those of the published files, or of 2023";
        rng: Draws, Words(Draws::WORDS), (= Draws::default()),
            "random numbers of generated images: one generator an image, or the published script's single stream";
        frost: Frost, Words(Frost::WORDS), (= Frost::default()),
            "textures of frost: any, or the published photographs only";
        augmix: bool, Flag, (= false), "whether AugMix views of the test images are a condition";
        attacks: Attacks, Kind::Attacks, (required),
            "attacks, groups of them, or { attack, images } for the first so many images";
        certify: Attacks, Kind::Attacks, (= Attacks::default()),
            "certificates, as certify:eps=1/255,method=crown, or { attack, images } for the first so many images";
        headline: Option<AttackSpec>, Attack, (none "the strongest kind of attacks (docs/attacks)"),
            "the attack whose accuracy is called AdvA";
        baseline: Option<Spanned<String>>, Text, (none "none"), "the model others are compared with";
        batch: usize, Whole(1, Some(LARGEST_BATCH)), (= EVALUATION_BATCH), "images a batch; results do not depend on it";
        seed: u64, Whole(0, None), (= 0), "seed of corruptions and attack starts";
        branches: Option<Vec<Branch>>, WordList(Branch::WORDS), (none "all of a model's"),
            "norm branches that are evaluated";
        save_images: bool, Flag, (= true), "whether adversarial images are kept beside the outcomes";
        probe: bool, Flag, (= false), "whether gradients are probed at the clean images, for the diagnosis";
        similarity: bool, Flag, (= false),
            "whether students' activations are compared with their teachers', layer by layer";
    }
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

/// Which corruptions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Corruptions(pub Vec<String>);

impl Corruptions {
    /// A set of names and groups.
    fn of<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, SuiteError> {
        let mut list: Vec<String> = Vec::new();
        for part in parts {
            let names = match corruption::group(part) {
                Some(group) => group,
                None => {
                    check_corruption(part)?;
                    vec![part.to_owned()]
                }
            };
            for name in names {
                if !list.contains(&name) {
                    list.push(name);
                }
            }
        }
        Ok(Self(list))
    }
}

impl FromStr for Corruptions {
    type Err = SuiteError;
    /// Groups and names, with commas.
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        Self::of(text.split(',').map(str::trim))
    }
}

impl TryFrom<Value> for Corruptions {
    type Error = SuiteError;
    fn try_from(value: Value) -> Result<Self, SuiteError> {
        let wrong = |value: &dyn std::fmt::Display| {
            let why = format!(
                "write {}, or a list of names and of these words",
                GROUPS.join(", ")
            );
            SuiteError::value("corruptions", value, why)
        };
        match &value {
            Value::String(word) => match corruption::group(word) {
                Some(group) => Ok(Self(group)),
                None => Err(wrong(word)),
            },
            Value::Array(items) => {
                let names = items.iter().map(|item| item.as_str().ok_or_else(|| wrong(item)));
                Self::of(names.collect::<Result<Vec<_>, _>>()?.into_iter())
            }
            other => Err(wrong(other)),
        }
    }
}
