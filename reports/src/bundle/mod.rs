//! Bundles: the evidence behind a run's numbers in one file that others can check.
//!
//! A bundle is a zip archive of a run directory without its networks: the plan, the records and rows of its cells; the
//! tables and model cards that are claimed; the originals and adversarial examples of a few drawn images; and
//! `bundle.json`, which names every file with its checksum. Equal runs give equal bytes. Unpacked, it is a run
//! directory that `rlnet report` reads. (The format is described in `docs/bundles.md`.)
//!
//! This module writes and reads the archive, and checks what needs neither the model nor the data set. The rest of the
//! audit, which shows the examples to the model, is the harness's.

pub mod board;
mod board_page;
mod check;
mod draw;
mod pack;
mod rows;
mod rules;
mod stated;
mod unpack;

pub use check::{Check, Inspection, Verdict, inspect};
pub use draw::{attacked, draw};
pub use pack::{archive, seal, stage};
pub use unpack::unpack;

use rlnet_suites::CellId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the format.
pub const SCHEMA: u32 = 1;
/// The file that names all others.
pub const MANIFEST: &str = "bundle.json";
/// The drawn images as they are, side by side.
pub const ORIGINALS: &str = "sample/originals.png";

/// Where the adversarial examples of an attack are.
pub fn examples(cell: &CellId) -> String {
    format!("sample/{cell}.safetensors")
}

/// What the people who made the bundle say of it. Nothing of this can be recomputed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Who submits it.
    #[serde(default)]
    pub submitter: String,
    /// Where the models or the paper can be found.
    #[serde(default)]
    pub link: String,
    /// Images beyond the data set's training images that the models have learnt from: `none`, or which. Absent when
    /// nothing was said.
    #[serde(default)]
    pub extra_data: Option<String>,
}

/// The drawn images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Positions in the test set, in the order of the originals and of every file of examples.
    pub images: Vec<u32>,
    /// Side of an image in pixels.
    pub size: u32,
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// blake3 of its bytes, in hex.
    pub blake3: String,
    /// Length.
    pub bytes: u64,
}

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program that made the bundle (each cell's record says which computed it).
    pub program: String,
    /// The division that it enters.
    pub division: String,
    /// What its makers say.
    pub statement: Statement,
    /// The drawn images.
    pub sample: Sample,
    /// Every other file, by name.
    pub files: BTreeMap<String, FileRecord>,
}

/// An unpacked bundle.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The file it came from.
    pub file: PathBuf,
    /// blake3 of that file: what an audit is of.
    pub checksum: String,
    /// Where it was unpacked.
    pub folder: PathBuf,
    /// `bundle.json`.
    pub manifest: Manifest,
    /// Files that are missing, damaged or not listed, each with what is wrong.
    pub faults: Vec<String>,
}

impl Bundle {
    /// A file of the bundle, where it was unpacked.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// `model.zip` becomes `model.audit.json`: where the record of an audit lies beside its bundle.
pub fn audit_file(bundle: &Path) -> PathBuf {
    bundle.with_extension("audit.json")
}

/// The record of an audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// blake3 of the bundle.
    pub bundle: String,
    /// Version of the program that audited.
    pub program: String,
    /// Whether nothing was found.
    pub clean: bool,
    /// What was checked.
    pub checks: Vec<Check>,
}
