//! The run directory: `plan.json`, finished cells under `cells/`, work in flight under `work/`.
//!
//! A cell is done exactly when its folder is under `cells/`: it is written under `work/` and
//! moved in one rename.

use super::files::{create_folder, sync_folder, write_atomic};
use crate::error::{Error, Result};
use rlnet_suites::{CellId, CellRecord, Plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// An open run directory, locked against other processes while it lives.
#[derive(Debug)]
pub struct RunDirectory {
    root: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Opens or makes the directory and takes its lock, waiting for another process to
    /// finish if need be. The lock is the kernel's: a killed process leaves none behind.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self> {
        create_folder(&root.join("cells"))?;
        create_folder(&root.join("work"))?;
        let path = root.join(".lock");
        let lock = File::create(&path).map_err(|error| Error::writing(&path, &error))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            crate::progress::announce(&format!(
                "another rlnet process works in {}; waiting for it",
                root.display()
            ));
            lock.lock().map_err(|error| Error::writing(&path, &error))?;
        }
        Ok(Self {
            root: root.to_path_buf(),
            _lock: lock,
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a finished cell is.
    pub fn cell(&self, id: &CellId) -> PathBuf {
        self.root.join("cells").join(&id.0)
    }

    /// Whether a cell is done.
    pub fn is_done(&self, id: &CellId) -> bool {
        self.cell(id).join("cell.json").exists()
    }

    /// Where a cell in flight keeps its files.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn work(&self, id: &CellId) -> Result<PathBuf> {
        let path = self.root.join("work").join(&id.0);
        create_folder(&path)?;
        Ok(path)
    }

    /// Writes `cell.json`, with the checksums of the cell's files, and moves the cell into
    /// place. `scratch` files are left behind.
    ///
    /// # Errors
    /// When a file cannot be read, written or moved.
    pub fn finish(&self, record: &mut CellRecord, scratch: &[&str]) -> Result<()> {
        let id = &record.cell.id;
        let work = self.work(id)?;
        for name in scratch {
            let path = work.join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(|error| Error::writing(&path, &error))?;
            }
        }
        record.provenance.files = checksums(&work)?;
        write_json(&work.join("cell.json"), record)?;
        sync_folder(&work);
        let place = self.cell(id);
        fs::rename(&work, &place).map_err(|error| Error::writing(&place, &error))?;
        sync_folder(&self.root.join("cells"));
        Ok(())
    }

    /// Writes `plan.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        write_json(&self.root.join("plan.json"), plan)
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Work(format!("writing {}: {error}", path.display())))?;
    text.push('\n');
    write_atomic(path, text.as_bytes())
}

fn checksums(folder: &Path) -> Result<BTreeMap<String, String>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::reading(folder, error))?;
    let mut sums = BTreeMap::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let bytes = fs::read(&path).map_err(|error| Error::reading(&path, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        sums.insert(name, blake3::hash(&bytes).to_hex().to_string());
    }
    Ok(sums)
}
