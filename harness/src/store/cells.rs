//! Cells as objects: copied when they are finished, fetched back where they are missing.

use super::Objects;
use super::claims::Conditional;
use super::error::StoreError;
use crate::error::{Error, Problem, Result};
use crate::eval::saved;
use crate::run::RunDirectory;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use rlnet_suites::{CellId, Plan};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use url::Url;

/// Cells on their way at once. Requests wait for the network, so more than there are cores.
const AT_ONCE: usize = 8;

/// The cells of one URL.
#[derive(Debug)]
pub struct Store {
    pub(super) objects: Objects,
    pool: ThreadPool,
}

/// Name of an object of a cell.
pub(super) fn name(id: &CellId, file: &str) -> String {
    format!("cells/{id}/{file}")
}

impl Store {
    /// Opens a URL; nothing is asked of the network yet.
    ///
    /// # Errors
    /// When the URL or the environment's options are wrong.
    pub fn open(url: &Url) -> Result<Self> {
        let pool = ThreadPoolBuilder::new().num_threads(AT_ONCE).build();
        Ok(Self {
            objects: Objects::open(url)?,
            pool: pool.map_err(|error| Error::External(format!("starting threads: {error}")))?,
        })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.objects.url()
    }

    /// Does something with each of many, several at once; the first error ends it.
    pub(super) fn each<T: Sync, R: Send, E: Send>(
        &self,
        items: &[T],
        act: impl Fn(&T) -> std::result::Result<R, E> + Sync + Send,
    ) -> std::result::Result<Vec<R>, E> {
        self.pool
            .install(|| items.par_iter().with_max_len(1).map(act).collect())
    }

    /// The cells that are whole in the store.
    ///
    /// # Errors
    /// When the store refuses or does not answer.
    pub fn finished(&self) -> std::result::Result<BTreeSet<CellId>, StoreError> {
        let names = self.objects.list("cells")?;
        let ids = names.iter().filter_map(|name| {
            let id = name.strip_prefix("cells/")?.strip_suffix("/cell.json")?;
            (!id.contains('/')).then(|| CellId(id.to_owned()))
        });
        Ok(ids.collect())
    }

    /// Copies a file of a run directory that is no cell's, `plan.json`.
    ///
    /// # Errors
    /// When it cannot be read or the store does not take it.
    pub fn keep_file(&self, root: &Path, name: &str) -> Result<()> {
        let path = root.join(name);
        let bytes = fs::read(&path).map_err(|error| Error::reading(&path, error))?;
        Ok(self.objects.put(name, bytes)?)
    }

    /// The plan that was run last; nothing when none was.
    ///
    /// # Errors
    /// When the store refuses or does not answer, or the plan is damaged.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let bytes = self.objects.get("plan.json")?;
        let plan = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        plan.map_err(|error| Error::Missing(format!("reading {}: {error}", self.objects.at("plan.json"))))
    }

    /// Copies a report, unless it is there.
    ///
    /// # Errors
    /// As [`keep_file`](Self::keep_file).
    pub fn keep_report(&self, root: &Path) -> Result<()> {
        // Says of which cells the report is, and is written last.
        const LAST: &str = "report/drawn.json";
        let own = fs::read(root.join(LAST)).ok();
        if own.is_some() && self.objects.get(LAST)? == own {
            return Ok(());
        }
        let mut files = Vec::new();
        walk(root, Path::new("report"), &mut files)?;
        files.retain(|file| file != LAST);
        self.each(&files, |file| self.keep_file(root, file))?;
        match own {
            Some(own) => Ok(self.objects.put(LAST, own)?),
            None => Ok(()),
        }
    }

    /// Copies a finished cell, `cell.json` last. One whose files are not what was recorded is set
    /// aside instead.
    pub(super) fn keep(&self, directory: &RunDirectory, id: &CellId) -> Result<()> {
        self.keep_files(directory, id)?;
        self.keep_record(directory, id)
    }

    /// Copies the files of a finished cell but `cell.json`.
    fn keep_files(&self, directory: &RunDirectory, id: &CellId) -> Result<()> {
        let folder = directory.cell(id);
        let damaged = |why: Problem| {
            directory.set_aside(id, &why)?;
            Err(Error::Failed(format!("cell {id} is damaged: {why}")))
        };
        let record = match directory.record(id) {
            Ok(record) => record,
            Err(why) => return damaged(why),
        };
        // Images that were fetched with nothing, or thrown away, are not here.
        let here = |file: &str| file != saved::FILE || folder.join(file).exists();
        for (file, sum) in record.provenance.files.iter().filter(|(file, _)| here(file)) {
            if !self.objects.put_file(&name(id, file), &folder.join(file), sum)? {
                return damaged(format!("the checksum of {file} is wrong").into());
            }
        }
        Ok(())
    }

    /// Copies `cell.json`, after the other files. Another machine may have copied the same cell meanwhile, and
    /// files that hold times differ: then either its copy is whole, or all is copied again.
    fn keep_record(&self, directory: &RunDirectory, id: &CellId) -> Result<()> {
        let path = directory.cell(id).join("cell.json");
        let bytes = fs::read(&path).map_err(|error| Error::reading(&path, error))?;
        let name = name(id, "cell.json");
        if matches!(
            self.objects.create(&name, bytes.clone()),
            Ok(Conditional::Written(_))
        ) {
            return Ok(());
        }
        // Or the store knows no such condition, or it failed and may do better with a plain request.
        if self.objects.has(&name)? {
            if self.check(id)?.is_none() {
                return Ok(());
            }
            self.keep_files(directory, id)?;
        }
        Ok(self.objects.put(&name, bytes)?)
    }

    /// Takes the claim on a finished cell away.
    pub(super) fn release(&self, id: &CellId) {
        // Best effort: nobody looks at a claim of a finished cell.
        let _ = self.objects.delete(&super::claims::name(id));
    }

    /// Takes `cell.json` of a damaged cell away, so that nobody takes the cell for whole. Says
    /// whether that was allowed.
    pub fn withdraw(&self, id: &CellId) -> bool {
        self.objects.delete(&name(id, "cell.json")).is_ok()
    }
}

/// The files under a folder of `root`, by their names from `root` on.
fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let path = root.join(folder);
    let entries = fs::read_dir(&path).map_err(|error| Error::reading(&path, error))?;
    for entry in entries.flatten() {
        let below = folder.join(entry.file_name());
        if entry.path().is_dir() {
            walk(root, &below, files)?;
        } else if let Some(name) = below.to_str().filter(|name| !name.ends_with(".part")) {
            files.push(name.to_owned());
        }
    }
    Ok(())
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn two_machines_that_copy_one_cell_at_once_leave_one_whole_copy() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = example::store(&folder.path().join("store"));
        let cell = &example::cells()[0];
        let machine = |name: &str| {
            let directory = RunDirectory::open(&folder.path().join(name)).expect("a folder");
            example::finish(&directory, cell, name);
            directory
        };
        let (slow, fast) = (machine("slow"), machine("fast"));
        // The slow one is cut off before its last file, and the fast one has a whole copy when it is back.
        store.keep_files(&slow, &cell.id).expect("copied");
        store.keep(&fast, &cell.id).expect("copied");
        store.keep_record(&slow, &cell.id).expect("copied");
        assert_eq!(store.check(&cell.id), Ok(None));
        let here = fs::read(fast.cell(&cell.id).join("cell.json")).ok();
        assert_eq!(store.objects.get(&name(&cell.id, "cell.json")), Ok(here));
        // It is cut off earlier, and its files come in between those of the whole copy.
        store.keep_files(&slow, &cell.id).expect("copied");
        assert!(store.check(&cell.id).expect("an answer").is_some());
        store.keep_record(&slow, &cell.id).expect("copied");
        assert_eq!(store.check(&cell.id), Ok(None));
    }
}
