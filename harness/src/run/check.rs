//! Whether the files of finished cells are still what was recorded of them.

use super::directory::RunDirectory;
use crate::error::{Error, Problem, Result};
use crate::eval::saved;
use crate::files::create_folder;
use crate::progress::announce;
use rayon::prelude::*;
use rlnet_suites::io::file_checksum;
use rlnet_suites::{CellId, CellRecord, Plan};
use std::fs;
use std::path::{Path, PathBuf};

/// Larger files (models) are looked at when they are used, and by `--verify`.
const SMALL: u64 = 4 << 20;

impl RunDirectory {
    /// What a finished cell recorded.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn record(&self, id: &CellId) -> std::result::Result<CellRecord, Problem> {
        let bytes = fs::read(self.cell(id).join("cell.json"))
            .map_err(|error| Problem::from(format!("its cell.json cannot be read ({error})")))?;
        record_of(id, &bytes)
    }

    /// The cells that are in place.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn finished(&self) -> Result<Vec<CellId>> {
        let folder = self.root().join("cells");
        let entries = fs::read_dir(&folder).map_err(|error| Error::reading(&folder, error))?;
        let names = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut ids: Vec<CellId> = names.map(CellId).collect();
        ids.sort();
        Ok(ids)
    }

    /// A hash of all that a report of this plan depends on: the plan, what its finished cells
    /// recorded, this program.
    ///
    /// # Errors
    /// When the plan cannot be written down.
    pub fn state(&self, plan: &Plan) -> Result<String> {
        let mut hash = blake3::Hasher::new();
        let text = serde_json::to_vec(plan).map_err(Error::internal)?;
        hash.update(&text);
        for cell in &plan.cells {
            // A cell that is not there has no bytes.
            let record = fs::read(self.cell(&cell.id).join("cell.json")).unwrap_or_default();
            hash.update(blake3::hash(&record).as_bytes());
        }
        hash.update(super::provenance::program().as_bytes());
        Ok(hash.finalize().to_hex().to_string())
    }

    /// Compares one file of a finished cell with its recorded checksum.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check_file(&self, id: &CellId, name: &str) -> std::result::Result<(), Problem> {
        let record = self.record(id)?;
        let sum = record
            .provenance
            .files
            .get(name)
            .ok_or_else(|| Problem::from(format!("it records no {name}")))?;
        check_sum(&self.cell(id).join(name), sum, u64::MAX)
    }

    /// Compares the files of a finished cell with their checksums: all of them, or (not `whole`)
    /// the small ones, and of the large ones only that they are there. Its adversarial images are
    /// not looked at: what becomes of them takes nothing from the rows.
    ///
    /// # Errors
    /// Says what is wrong with the first that is not as it was.
    pub fn check_cell(&self, id: &CellId, whole: bool) -> std::result::Result<(), Problem> {
        let limit = if whole { u64::MAX } else { SMALL };
        let record = self.record(id)?;
        let files = record.provenance.files.iter();
        files
            .filter(|(name, _)| !["cell.json", saved::FILE].contains(&name.as_str()))
            .try_for_each(|(name, sum)| check_sum(&self.cell(id).join(name), sum, limit))
    }

    /// The damaged ones among these cells, with what is wrong. Cells that are not done are no
    /// concern here; what a killed process left over in a finished one is removed.
    pub fn damaged<'a>(&self, ids: &[&'a CellId], whole: bool) -> Vec<(&'a CellId, Problem)> {
        ids.par_iter()
            .filter(|id| self.cell(id).exists())
            .filter_map(|id| match self.check_cell(id, whole) {
                Ok(()) => {
                    self.sweep(id);
                    None
                }
                Err(why) => Some((*id, why)),
            })
            .collect()
    }

    /// Those of these cells whose adversarial images are there, and not what was recorded.
    pub fn damaged_images<'a>(&self, ids: &[&'a CellId]) -> Vec<&'a CellId> {
        let there = |id: &&&CellId| self.cell(id).join(saved::FILE).exists();
        let damaged = |id: &&&CellId| self.check_file(id, saved::FILE).is_err();
        ids.par_iter().filter(there).filter(damaged).copied().collect()
    }

    /// Moves damaged adversarial images of a cell to `damaged/`; its rows stay.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub fn set_images_aside(&self, id: &CellId) -> Result<()> {
        let place = self.keep_damaged(id, &self.cell(id).join(saved::FILE))?;
        announce(&format!(
            "the adversarial images of cell {id} are damaged; they are set aside in {}, and its rows stay",
            place.display()
        ));
        Ok(())
    }

    /// Sets aside what is damaged among the cells of a plan, so that it is computed again.
    ///
    /// # Errors
    /// When a folder cannot be moved.
    pub fn repair(&self, plan: &Plan) -> Result<()> {
        let ids: Vec<&CellId> = plan.cells.iter().map(|cell| &cell.id).collect();
        for (id, why) in self.damaged(&ids, false) {
            self.set_aside(id, &why)?;
        }
        Ok(())
    }

    /// Moves a damaged cell to `damaged/`, where it can be looked at.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_aside(&self, id: &CellId, why: &Problem) -> Result<()> {
        let place = self.keep_damaged(id, &self.cell(id))?;
        announce(&format!(
            "cell {id} is damaged: {why}; it is set aside in {} and computed again",
            place.display()
        ));
        Ok(())
    }

    /// Moves files of a damaged cell to `damaged/`; gives their place there.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub fn keep_damaged(&self, id: &CellId, files: &Path) -> Result<PathBuf> {
        let folder = self.root().join("damaged");
        create_folder(&folder)?;
        let mut place = folder.join(&id.0);
        let mut number = 1;
        while place.exists() {
            number += 1;
            place = folder.join(format!("{id}-{number}"));
        }
        match fs::rename(files, &place) {
            // Another process was first.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(place),
            moved => moved
                .map(|()| place.clone())
                .map_err(|error| Error::writing(&place, &error)),
        }
    }
}

/// What the `cell.json` of a cell says.
///
/// # Errors
/// Says what is wrong with it. Names of files may come from anywhere: none may lead out of the
/// cell's folder.
pub fn record_of(id: &CellId, bytes: &[u8]) -> std::result::Result<CellRecord, Problem> {
    let record: CellRecord = serde_json::from_slice(bytes).map_err(|error| {
        Problem::from(format!(
            "its cell.json is damaged or of another version ({error})"
        ))
    })?;
    if record.cell.id != *id {
        return Err(format!("its cell.json is that of cell {}", record.cell.id).into());
    }
    match record.provenance.files.keys().find(|name| !is_plain(name)) {
        Some(name) => Err(format!("its cell.json names a file {name:?}").into()),
        None => Ok(record),
    }
}

/// Whether a name is that of a file right in a folder.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|plain| plain == name)
}

fn check_sum(path: &Path, sum: &str, limit: u64) -> std::result::Result<(), Problem> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unread = |error: std::io::Error| Problem::from(format!("{name} cannot be read ({error})"));
    if fs::metadata(path).map_err(unread)?.len() > limit {
        return Ok(());
    }
    if file_checksum(path).map_err(unread)? == sum {
        Ok(())
    } else {
        Err(format!("the checksum of {name} is wrong").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_stay_in_their_folder() {
        assert!(is_plain("model.safetensors"));
        for name in ["", "..", "../a", "/etc/a", "a/b", "a/"] {
            assert!(!is_plain(name), "{name:?}");
        }
        let error = record_of(&CellId("a".into()), b"{")
            .expect_err("half a record")
            .to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}
