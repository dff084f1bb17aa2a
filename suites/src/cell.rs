//! Cells: the units of work, identified by their content, and what is recorded of each.

use crate::branch::{Branch, NormBanks};
use crate::condition::Condition;
use crate::corrupted::CorruptedFiles;
use crate::fixed_point::Deployed;
use crate::images::ImageRanges;
use crate::objective::{Dropped, is_default};
use crate::train::{Stage, TrainSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Identity of a cell: the hash of everything that can change its result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId(pub String);

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which images a suite uses. `checksum` is the identity of the bytes, so a changed file is
/// a changed cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSpec {
    /// Name, as in `rlnet data list`.
    pub dataset: String,
    /// Training images used, from the front of the official order; all when absent.
    pub train: Option<u32>,
    /// Test images used, from the front of the official order; all when absent.
    pub test: Option<u32>,
    /// The test images used where they are not the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageRanges>,
    /// Share of the training images held out for selecting epochs.
    pub validation: f64,
    /// Seed of the held-out split.
    pub seed: u64,
    /// Checksum of the data.
    pub checksum: String,
}

impl DataSpec {
    /// Number of test images; none where they are all of the data set.
    pub fn measured(&self) -> Option<u32> {
        match &self.images {
            Some(images) => Some(images.iter().count() as u32),
            None => self.test,
        }
    }

    /// Whether both show the same test images: of one checksum, wherever they lie and whatever they are called.
    pub fn shows_the_images_of(&self, other: &Self) -> bool {
        (&self.checksum, self.test, &self.images) == (&other.checksum, other.test, &other.images)
    }
}

/// One evaluation: a model under a family of conditions, through its branches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateSpec {
    /// Conditions, in order.
    pub conditions: Vec<Condition>,
    /// Only so many of the test images, from the front; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u32>,
    /// Seed of corruptions and attack starts.
    pub seed: u64,
    /// The branches that are evaluated; all of the model's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Vec<Branch>>,
    /// Other networks the attacks need, by the name they have in the attack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub surrogates: BTreeMap<String, CellId>,
    /// Whether gradients are probed as well (`probe.parquet`): does the loss rise along PGD's
    /// steps, and are there gradients to follow?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probe: bool,
    /// Whether activations are compared with the teacher's as well (`similarity.parquet`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub similarity: bool,
    /// The files that corrupted images are read from; absent where they are generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<CorruptedFiles>,
}

/// What a cell computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[expect(
    clippy::large_enum_variant,
    reason = "a plan has few trainings, and a box would show in every match"
)]
pub enum CellSpec {
    /// Trains a network.
    Train(TrainSpec),
    /// Evaluates a network.
    Evaluate(EvaluateSpec),
}

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Identity.
    pub id: CellId,
    /// Name within the suite: `rlnet`, `rlnet/fog`, `rlnet/pgd:...`.
    pub name: String,
    /// The model this cell makes or evaluates: the name of a training cell.
    pub model: String,
    /// Cells whose results this one needs: teacher, then mask; or the evaluated model.
    pub parents: Vec<CellId>,
    /// The images.
    pub data: DataSpec,
    /// What to compute.
    pub spec: CellSpec,
    /// Version constants of the algorithms involved, bumped by hand when results change.
    pub versions: BTreeMap<String, u32>,
    /// The training that this one repeats with another seed. A label, no part of the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<String>,
}

impl Cell {
    /// What a training cell does; nothing for other cells.
    pub fn trained(&self) -> Option<&TrainSpec> {
        match &self.spec {
            CellSpec::Train(spec) => Some(spec),
            CellSpec::Evaluate(_) => None,
        }
    }

    /// Whether its identity is that of its settings, parents, images and versions.
    pub fn is_itself(&self) -> bool {
        let (parents, spec) = (self.parents.clone(), self.spec.clone());
        crate::plan::identify(
            &self.name,
            &self.model,
            parents,
            &self.data,
            spec,
            self.versions.clone(),
        )
        .id == self.id
    }

    /// How a student is trained; nothing for other cells.
    pub fn student(&self) -> Option<&TrainSpec> {
        self.trained().filter(|spec| spec.stage == Stage::Student)
    }
}

/// One ReLU layer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The field's name: `stem`, `layer1.0.a`, ...
    pub name: String,
    /// Channels, height, width of its output.
    pub shape: [u64; 3],
    /// ReLUs kept.
    pub kept: u64,
}

impl LayerRecord {
    /// All units of the layer.
    pub fn total(&self) -> u64 {
        self.shape.iter().product()
    }

    /// What its dropped units cost beside the linear layers: a multiplication each, as the product of a column and a
    /// number, where they are not the identity.
    pub fn product(&self, dropped: Dropped) -> Option<LinearRecord> {
        let units = self.total() - self.kept;
        (dropped == Dropped::Affine && units > 0).then_some(LinearRecord {
            rows: units,
            inner: 1,
            columns: 1,
            groups: 1,
            input: units,
        })
    }
}

/// One linear layer of a model, as the product of matrices `[rows, inner]` and `[inner, columns]`, `groups` times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearRecord {
    /// Places of the output; 1 for a head.
    pub rows: u64,
    /// Values that an output is a sum over.
    pub inner: u64,
    /// Output channels of a group.
    pub columns: u64,
    /// Groups of channels (or heads of attention).
    pub groups: u64,
    /// Values that enter.
    pub input: u64,
}

impl LinearRecord {
    /// Multiply-accumulates of one image.
    pub fn macs(&self) -> u64 {
        self.outputs() * self.inner
    }

    /// Values that leave.
    pub fn outputs(&self) -> u64 {
        self.rows * self.columns * self.groups
    }
}

/// What a trained network is, for tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Architecture.
    pub arch: String,
    /// Side of its input in pixels.
    pub image_size: u32,
    /// Class names.
    pub classes: Vec<String>,
    /// Banks of batch norm.
    pub norm: NormBanks,
    /// Trainable parameters.
    pub parameters: u64,
    /// Multiply-accumulates of one forward pass of one image.
    pub macs: u64,
    /// ReLU layers in execution order.
    pub layers: Vec<LayerRecord>,
    /// Linear layers in execution order; none in files of earlier versions. Products of dropped units are not among them:
    /// [`ModelRecord::products`] has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linear: Vec<LinearRecord>,
    /// What its dropped units compute.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropped: Dropped,
    /// The epoch whose weights were kept (1-based).
    pub epoch: u32,
    /// The epoch in which its training was found to overfit, and ended (`stop_at_overfitting`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overfitted: Option<u32>,
    /// Whether its weights were imported, and what it takes for an image with them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// The arithmetic that it is computed in and its twin, where that is not floating point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Deployed>,
}

/// The ReLUs of a network that does not describe its layers, as its user states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReluCount {
    /// ReLUs kept.
    pub kept: u64,
    /// ReLUs of the network with all of them, where that is stated too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl ModelRecord {
    /// ReLUs kept in all.
    pub fn kept(&self) -> u64 {
        self.layers.iter().map(|layer| layer.kept).sum()
    }

    /// ReLUs of the all-ReLU network.
    pub fn total(&self) -> u64 {
        self.layers.iter().map(LayerRecord::total).sum()
    }

    /// Its linear layers, and behind them the products of its dropped units; none where the linear layers are not known. A
    /// convolution cannot take these products over: a channel may have kept units beside dropped ones.
    pub fn products(&self) -> Vec<LinearRecord> {
        if self.linear.is_empty() {
            return Vec::new();
        }
        let of_dropped = self.layers.iter().filter_map(|layer| layer.product(self.dropped));
        self.linear.iter().copied().chain(of_dropped).collect()
    }
}

/// Where and how a cell was computed. Nothing here is part of its identity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this program.
    pub program: String,
    /// Commit it was built from; empty when built outside a checkout.
    pub commit: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// `cpu` or `cuda:0 (name)`.
    pub device: String,
    /// libtorch threads.
    pub threads: u32,
    /// Start, seconds since 1970.
    pub started: u64,
    /// Wall seconds spent, over all resumed pieces.
    pub seconds: f64,
    /// How often the cell was resumed.
    pub resumed: u32,
    /// Peak resident memory of the process, bytes; 0 when unknown.
    pub peak_memory: u64,
    /// How corruptions were made: stack, random source, textures; empty when none were.
    pub corruptions: String,
    /// blake3 checksums of the cell's files.
    pub files: BTreeMap<String, String>,
    /// Cells whose adversarial images were shown here as well, instead of making them again. What
    /// making them cost is in the rows all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images_of: Vec<CellId>,
    /// Preflight findings that were allowed by hand.
    pub allowed: Vec<String>,
    /// Preflight findings that refuse no model, each `code: what was seen`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Number of classes of the data set, for an evaluation; 0 when unknown.
    #[serde(default)]
    pub classes: u32,
    /// Their names, with the clean images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Whether the program was built from a checkout with changes of its own.
    #[serde(default)]
    pub dirty: bool,
    /// Versions of the libraries that numbers depend on.
    #[serde(default)]
    pub dependencies: BTreeMap<String, String>,
    /// The machine: its name and processor.
    #[serde(default)]
    pub machine: String,
    /// End, seconds since 1970.
    #[serde(default)]
    pub ended: u64,
    /// Flags that can change bits: TF32, determinism, variables of the environment.
    #[serde(default)]
    pub flags: BTreeMap<String, String>,
    /// Forward passes of the network that is evaluated or trained, over all images: an image
    /// through the network once is one, whatever the batch. Of a training: its steps, their inner
    /// attacks and the validation after each epoch. 0: not counted.
    #[serde(default)]
    pub forwards: u64,
    /// Backward passes of that network, to the image or to the weights.
    #[serde(default)]
    pub backwards: u64,
    /// Forward passes of the frozen teacher, of a training that has one.
    #[serde(default)]
    pub teacher_forwards: u64,
}

/// `cell.json`: what a finished cell was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The cell as planned.
    pub cell: Cell,
    /// The network, for a training cell.
    pub model: Option<ModelRecord>,
    /// Number of outcome rows, for an evaluation cell.
    pub rows: u64,
    /// Where and how.
    pub provenance: Provenance,
}
