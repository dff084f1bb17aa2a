//! `rlnet run --executor slurm` and `--cancel` in a program that was built without the cargo feature `slurm`.

use crate::error::{Error, Result};
use crate::run::RunDirectory;
use rlnet_suites::{Cell, CellId, Plan, Slurm};
use std::collections::BTreeSet;
use std::path::Path;

/// The shards that evaluations are split into.
#[expect(dead_code, reason = "only the build with Slurm reads them")]
pub struct Shards {
    /// The number of test images.
    pub images: usize,
    /// Images of one attack in a shard.
    pub attacked: usize,
}

fn absent(option: &str) -> Error {
    Error::Usage(format!(
        "{option}: this rlnet was built without Slurm; use --jobs N on this machine, or build it with the cargo \
         feature `slurm`"
    ))
}

/// Refuses to submit.
pub fn submit(
    _directory: &RunDirectory,
    _plan: &Plan,
    _wanted: &[&Cell],
    _suite: &Slurm,
    _shards: &Shards,
    _json: bool,
) -> Result<()> {
    Err(absent("--executor slurm"))
}

/// Refuses a task's list of cells.
pub fn cells(_file: &Path) -> Result<BTreeSet<CellId>> {
    Err(absent("--cells"))
}

/// Refuses to cancel.
pub fn cancel(_out: &Path) -> Result<()> {
    Err(absent("--cancel"))
}
