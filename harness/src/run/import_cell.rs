//! A finished cell of one run directory, brought to another.

use super::directory::RunDirectory;
use crate::error::{Error, Result};
use crate::files::{checksum, create_folder, sync_folder};
use rlnet_suites::CellRecord;
use std::fs::{self, File};
use std::path::Path;

/// Copies a finished cell, unless it is there. What arrives is compared with its checksums before it
/// counts as done.
///
/// # Errors
/// When a file cannot be read or written, or is not what was recorded of it.
pub fn import_cell(from: &Path, record: &CellRecord, to: &RunDirectory) -> Result<()> {
    let id = &record.cell.id;
    if to.is_done(id) {
        return Ok(());
    }
    let Some(_claim) = to.claims().take(&id.0)? else {
        return Err(Error::Failed(format!(
            "cell {id} is in the hands of another process in {}; wait for it",
            to.root().display()
        )));
    };
    let work = to.root().join("work").join(format!("{id}.brought"));
    create_folder(&work)?;
    for name in record
        .provenance
        .files
        .keys()
        .map(String::as_str)
        .chain(["cell.json"])
    {
        let (source, copy) = (from.join(name), work.join(name));
        fs::copy(&source, &copy).map_err(|error| Error::reading(&source, error))?;
        if let Ok(file) = File::open(&copy) {
            let _ = file.sync_all();
        }
    }
    for (name, sum) in &record.provenance.files {
        let path = work.join(name);
        if checksum(&path)? != *sum {
            let why = "its checksum is not the recorded one: the cell is damaged; run what made it again";
            return Err(Error::reading(&from.join(name), why));
        }
    }
    sync_folder(&work);
    let place = to.cell(id);
    fs::rename(&work, &place).map_err(|error| Error::writing(&place, &error))?;
    sync_folder(&to.root().join("cells"));
    Ok(())
}
