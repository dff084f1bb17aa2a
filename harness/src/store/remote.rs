//! A run that writes through to an object store.

use crate::error::{Error, Result};
use crate::run::RunDirectory;
use crate::store::{Mirror, OutputLocation, Store};
use rlnet_suites::{CellId, Plan};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The store of a run, asked once what it has.
#[derive(Debug)]
pub struct Remote {
    store: Arc<Store>,
    there: BTreeSet<CellId>,
}

impl Remote {
    /// Opens the store of a place and asks what it has; nothing for a folder.
    ///
    /// # Errors
    /// When the URL is wrong, or the store refuses or does not answer.
    pub fn open(place: &OutputLocation) -> Result<Option<Self>> {
        let Some(url) = place.url() else { return Ok(None) };
        let store = Store::open(url)?;
        Ok(Some(Self {
            there: store.finished()?,
            store: Arc::new(store),
        }))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The cells that it has.
    pub fn there(&self) -> &BTreeSet<CellId> {
        &self.there
    }

    /// Says which plan is run, and that it may be said; then fetches those of its cells that the
    /// directory lacks.
    ///
    /// # Errors
    /// When the store refuses or does not answer, or the disk does.
    pub fn begin(&mut self, directory: &RunDirectory, plan: &Plan) -> Result<()> {
        self.store.keep_file(directory.root(), "plan.json")?;
        for id in self.store.fetch(directory, &plan.cells, &self.there)? {
            self.there.remove(&id);
        }
        Ok(())
    }

    /// Does work while finished cells are copied, the last of them before this returns. What came
    /// of the work, and of the copies.
    ///
    /// # Errors
    /// Those of the work, with those of the copies.
    pub fn during<T>(
        &self,
        directory: &RunDirectory,
        plan: &Plan,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Result<()>)> {
        let mirror = Mirror::start(&self.store, directory, plan.cells.clone(), self.there.clone())?;
        match (work(), mirror.finish()) {
            (Err(error), Err(copies)) => Err(error.and(copies)),
            (Err(error), Ok(())) => Err(error),
            (Ok(done), copies) => Ok((done, copies)),
        }
    }

    /// Copies the report.
    ///
    /// # Errors
    /// When the store refuses or does not answer.
    pub fn end(&self, directory: &RunDirectory) -> Result<()> {
        self.store.keep_file(directory.root(), "plan.json")?;
        self.store.keep_report(directory.root())
    }
}

/// The folders of runs: a folder itself; of a URL one with what a report needs, fetched now.
///
/// # Errors
/// When there is no run at a URL, or its store refuses or does not answer.
pub fn folders(places: &[&OutputLocation]) -> Result<Vec<PathBuf>> {
    let folder = |place: &&OutputLocation| {
        let folder = place.view()?;
        if let Some(url) = place.url() {
            Store::open(url)?.view(&folder)?;
        }
        Ok::<_, Error>(folder)
    };
    places.iter().map(folder).collect()
}
