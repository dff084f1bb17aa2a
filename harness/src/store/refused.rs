//! Copies in a store that were found damaged.
//!
//! A store may let nobody delete. Then a damaged copy stays there, and its `cell.json` looks like that of a finished cell. So
//! the `cell.json` of a copy that was refused is kept in the run directory, as `refused/<id>`, where all processes that
//! share the directory see it. A copy that somebody has written anew has another `cell.json`, for there are times in it.

use super::cells::{Store, name};
use super::error::StoreError;
use crate::error::Result;
use crate::files::{create_folder, write_atomic};
use crate::run::RunDirectory;
use rlnet_suites::CellId;
use std::fs;
use std::path::PathBuf;

fn folder(directory: &RunDirectory) -> PathBuf {
    directory.root().join("refused")
}

impl Store {
    /// Refuses the copy of a cell that has this `cell.json`, and takes that away where this is allowed, so that
    /// nobody takes the cell for finished.
    pub(super) fn refuse(&self, directory: &RunDirectory, id: &CellId, record: &[u8]) -> Result<()> {
        let folder = folder(directory);
        create_folder(&folder)?;
        write_atomic(&folder.join(&id.0), record)?;
        self.withdraw(id);
        Ok(())
    }

    /// Whether a cell is in the store, in a copy that was not refused.
    pub(super) fn has(&self, directory: &RunDirectory, id: &CellId) -> std::result::Result<bool, StoreError> {
        let name = name(id, "cell.json");
        match fs::read(folder(directory).join(&id.0)) {
            Ok(refused) => Ok(self.objects.get(&name)?.is_some_and(|there| there != refused)),
            Err(_) => self.objects.has(&name),
        }
    }

    /// The cells of which a copy was refused.
    pub(super) fn refused(directory: &RunDirectory) -> Vec<CellId> {
        let entries = fs::read_dir(folder(directory)).into_iter().flatten().flatten();
        entries
            .map(|entry| CellId(entry.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// Forgets that a copy was refused, of a cell that has been copied anew.
    pub(super) fn forget_refused(directory: &RunDirectory, id: &CellId) {
        // Best effort: the new copy has another `cell.json`.
        let _ = fs::remove_file(folder(directory).join(&id.0));
    }
}
