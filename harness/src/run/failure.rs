//! Cells that failed, told to the processes that share a run: nobody tries again what has just
//! failed for another, and the next run does.

use super::directory::RunDirectory;
use crate::error::{BAD_INPUT, Error, Result};
use crate::files::{create_folder, write_json};
use rlnet_suites::{Cell, CellId, Plan};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// One failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The run it happened in.
    pub session: String,
    /// The cell's name.
    pub name: String,
    /// What went wrong.
    pub why: String,
    /// Whether it lies in what was asked for, and not in the work.
    #[serde(default)]
    pub is_bad_input: bool,
}

/// The failures of a run directory.
#[derive(Debug)]
pub struct Failures {
    folder: PathBuf,
    session: String,
}

impl Failures {
    /// The failures under `failed/`, seen by a run of this name.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(directory: &RunDirectory, session: &str) -> Result<Self> {
        let folder = directory.root().join("failed");
        create_folder(&folder)?;
        Ok(Self {
            folder,
            session: session.to_owned(),
        })
    }

    fn path(&self, id: &CellId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// The failure of a cell, of whatever run.
    pub fn of(&self, id: &CellId) -> Option<Failure> {
        serde_json::from_slice(&fs::read(self.path(id)).ok()?).ok()
    }

    fn mine(&self, id: &CellId) -> bool {
        self.of(id).is_some_and(|failure| failure.session == self.session)
    }

    /// Whether a cell, or one it needs, failed in this run. (A cell that needs one which needs
    /// one that failed is marked when its own turn comes: `record` follows.)
    pub fn blocks(&self, cell: &Cell) -> bool {
        if self.mine(&cell.id) {
            return true;
        }
        let failed = cell.parents.iter().find_map(|id| Some((id, self.of(id)?)));
        let Some((parent, failure)) = failed.filter(|(_, failure)| failure.session == self.session) else {
            return false;
        };
        // Best effort: unmarked, its descendants wait for it until a stop.
        let _ = self.write(
            cell,
            format!("it needs cell {parent}, which failed"),
            failure.is_bad_input,
        );
        true
    }

    /// Records a failure.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, cell: &Cell, error: &Error) -> Result<()> {
        self.write(cell, error.to_string(), error.exit_code() == BAD_INPUT)
    }

    fn write(&self, cell: &Cell, why: String, is_bad_input: bool) -> Result<()> {
        let failure = Failure {
            session: self.session.clone(),
            name: cell.name.clone(),
            why,
            is_bad_input,
        };
        write_json(&self.path(&cell.id), &failure)
    }

    /// Forgets the failure of a cell that is done now.
    pub fn forget(&self, cell: &Cell) {
        let _ = fs::remove_file(self.path(&cell.id));
    }

    /// One error of all failures of this run; fine when there are none.
    ///
    /// # Errors
    /// Exactly when a cell of the plan failed in this run.
    pub fn judge(&self, plan: &Plan) -> Result<()> {
        let failures: Vec<Failure> = plan
            .cells
            .iter()
            .filter_map(|cell| self.of(&cell.id))
            .filter(|failure| failure.session == self.session)
            .collect();
        let failed: Vec<String> = failures
            .iter()
            .map(|failure| format!("{}: {}", failure.name, failure.why))
            .collect();
        let text = match failed.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            many => format!("{} cells failed:\n  {}", many.len(), many.join("\n  ")),
        };
        match failures.iter().all(|failure| failure.is_bad_input) {
            true => Err(Error::Incompatible(text)),
            false => Err(Error::Failed(text)),
        }
    }
}
