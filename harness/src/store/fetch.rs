//! Cells on their way back, every file compared with its checksum.

use super::cells::{Store, name};
use super::error::StoreError;
use crate::error::{Error, Problem, Result};
use crate::eval::saved;
use crate::files::{create_folder, sync_folder, write_atomic};
use crate::progress::announce;
use crate::run::RunDirectory;
use crate::run::check::record_of;
use crate::stop;
use rlnet_reports::format::count;
use rlnet_suites::{Cell, CellId, CellSpec};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Where fetched files lie until all of a cell's are there.
const FETCHED: &str = "fetched";

/// What came of fetching a cell.
pub(super) enum Fetched {
    /// Its files are there.
    Whole,
    /// The store does not have it.
    Absent,
    /// It is not what was recorded: what is wrong.
    Damaged(Problem),
}

impl Store {
    /// Fetches those of these cells that the store has and the directory lacks. Gives the ones
    /// that are damaged there, which are [refused](super::refused).
    ///
    /// # Errors
    /// When the store refuses or does not answer, or the disk does.
    pub fn fetch(
        &self,
        directory: &RunDirectory,
        cells: &[Cell],
        there: &BTreeSet<CellId>,
    ) -> Result<Vec<CellId>> {
        let missing = || -> Vec<&Cell> {
            let missing = |cell: &&Cell| there.contains(&cell.id) && !directory.is_done(&cell.id);
            cells.iter().filter(missing).collect()
        };
        if missing().is_empty() {
            return Ok(Vec::new());
        }
        let _claim = directory.claims().wait("store", "fetches finished cells")?;
        let missing = missing();
        let parent = directory.root().join(FETCHED);
        // What a killed process left.
        let _ = fs::remove_dir_all(&parent);
        let damaged = self.each(&missing, |cell| {
            stop::check("the fetched cells are in the folder")?;
            let why = self.fetch_one(directory, cell, &parent.join(&cell.id.0))?;
            Ok::<_, Error>(why.map(|why| {
                announce(&format!(
                    "cell {} in {} is damaged: {why}; it is refused, and computed and copied again",
                    cell.id,
                    self.url()
                ));
                cell.id.clone()
            }))
        })?;
        let _ = fs::remove_dir_all(&parent);
        let fetched = missing.iter().filter(|cell| directory.is_done(&cell.id)).count();
        if fetched > 0 {
            announce(&format!(
                "{} fetched from {}",
                count(fetched, "finished cell"),
                self.url()
            ));
        }
        Ok(damaged.into_iter().flatten().collect())
    }

    /// Fetches one cell and moves it into place; says what is wrong with a damaged one, which is
    /// kept where it can be looked at.
    fn fetch_one(&self, directory: &RunDirectory, cell: &Cell, folder: &Path) -> Result<Option<Problem>> {
        // Another process may be at work on it. What it does is not lost; it finds the cell done.
        let claim = directory.claims().take(&cell.id.0)?;
        // Images may be many times the rest, and nothing that is computed needs them.
        match self.fetch_files(&cell.id, folder, |file| file != saved::FILE)? {
            Fetched::Absent => {}
            Fetched::Damaged(why) => {
                let record = folder.join("cell.json");
                let bytes = fs::read(&record).map_err(|error| Error::reading(&record, error))?;
                self.refuse(directory, &cell.id, &bytes)?;
                directory.keep_damaged(&cell.id, folder)?;
                return Ok(Some(why));
            }
            Fetched::Whole => {
                let place = directory.cell(&cell.id);
                match fs::rename(folder, &place) {
                    Err(_) if directory.is_done(&cell.id) => {}
                    moved => moved.map_err(|error| Error::writing(&place, &error))?,
                }
                sync_folder(&directory.root().join("cells"));
                if claim.is_some() && matches!(cell.spec, CellSpec::Train(_)) {
                    // A checkpoint that nobody goes on from.
                    let _ = fs::remove_dir_all(directory.work_path(&cell.id));
                }
            }
        }
        Ok(None)
    }

    /// Fetches the wanted files of a cell into a folder, each compared with its checksum;
    /// `cell.json` last.
    pub(super) fn fetch_files(
        &self,
        id: &CellId,
        folder: &Path,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Fetched> {
        let Some(bytes) = self.objects.get(&name(id, "cell.json"))? else {
            return Ok(Fetched::Absent);
        };
        let record = match record_of(id, &bytes) {
            Ok(record) => record,
            Err(why) => {
                create_folder(folder)?;
                write_atomic(&folder.join("cell.json"), &bytes)?;
                return Ok(Fetched::Damaged(why));
            }
        };
        create_folder(folder)?;
        let mut wrong = None;
        for (file, sum) in record.provenance.files.iter().filter(|(file, _)| wanted(file)) {
            let path = folder.join(file);
            let mut into = File::create(&path).map_err(|error| Error::writing(&path, &error))?;
            let hash = self.objects.read(&name(id, file), &mut into)?;
            into.sync_all().map_err(|error| Error::writing(&path, &error))?;
            wrong = wrong.or_else(|| differs(file, sum, hash));
        }
        write_atomic(&folder.join("cell.json"), &bytes)?;
        Ok(wrong.map_or(Fetched::Whole, Fetched::Damaged))
    }

    /// Compares the store's copy of a cell with its checksums, and keeps nothing of it; says what
    /// is wrong.
    ///
    /// # Errors
    /// When the store refuses or does not answer.
    pub fn check(&self, id: &CellId) -> std::result::Result<Option<Problem>, StoreError> {
        let Some(bytes) = self.objects.get(&name(id, "cell.json"))? else {
            return Ok(Some("its cell.json is gone".into()));
        };
        let record = match record_of(id, &bytes) {
            Ok(record) => record,
            Err(why) => return Ok(Some(why)),
        };
        for (file, sum) in &record.provenance.files {
            let hash = self.objects.read(&name(id, file), &mut io::sink())?;
            if let Some(why) = differs(file, sum, hash) {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// The damaged ones among these cells of the store, with what is wrong.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn damaged(&self, ids: &BTreeSet<CellId>) -> Result<Vec<(CellId, Problem)>> {
        let ids: Vec<&CellId> = ids.iter().collect();
        let found = self.each(&ids, |id| {
            let why = self.check(id)?;
            Ok::<_, StoreError>(why.map(|why| ((*id).clone(), why)))
        })?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// What is wrong with a file of this checksum, of which a store has this.
fn differs(file: &str, sum: &str, hash: Option<blake3::Hash>) -> Option<Problem> {
    match hash {
        None => Some(format!("{file} is missing").into()),
        Some(hash) if hash.to_hex().as_str() != sum => {
            Some(format!("the checksum of {file} is wrong").into())
        }
        Some(_) => None,
    }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_cell_that_is_fetched_while_it_is_computed_stays_as_it_was_fetched() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = example::store(&folder.path().join("store"));
        let cells = example::cells();
        let cell = &cells[0];
        let machine = |name: &str| RunDirectory::open(&folder.path().join(name)).expect("a folder");
        let (here, there) = (machine("here"), machine("there"));
        let _at_work = here.claims().take(&cell.id.0).expect("a lock").expect("free");
        here.work(&cell.id).expect("a folder");
        example::finish(&there, cell, "computed there");
        store.keep(&there, &cell.id).expect("copied");
        let finished = store.finished().expect("an answer");
        store.fetch(&here, &cells, &finished).expect("fetched");
        example::finish(&here, cell, "computed here");
        assert!(here.check_cell(&cell.id, true).is_ok() && !here.work_path(&cell.id).exists());
        let record = |directory: &RunDirectory| fs::read(directory.cell(&cell.id).join("cell.json")).ok();
        assert_eq!(record(&here), record(&there));
    }
}
