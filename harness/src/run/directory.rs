//! The run directory: `plan.json`, finished cells under `cells/`, work in flight under `work/`,
//! claims under `locks/`.
//!
//! A cell is done exactly when its folder is under `cells/`: it is written under `work/` and
//! moved in one rename. Any number of processes may share the directory (see [`Claims`]).

use super::claim::{Claim, Claims};
use super::shard;
use crate::error::{Error, Result};
use crate::files::{checksum, create_folder, sync_folder, write_json};
use crate::progress::announce;
use crate::train::stage::CHECKPOINT;
use rlnet_suites::{Cell, CellId, CellRecord, Plan};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An open run directory.
#[derive(Debug)]
pub struct RunDirectory {
    root: PathBuf,
    claims: Claims,
}

impl RunDirectory {
    /// Opens or makes the directory.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self> {
        let directory = Self::at(root);
        directory.make()?;
        Ok(directory)
    }

    /// The directory at a path where nothing need be yet; [`make`](Self::make) comes before any work.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            claims: Claims::at(root),
        }
    }

    /// Makes what is missing of its folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn make(&self) -> Result<()> {
        for name in ["cells", "work", "locks"] {
            let folder = self.root.join(name);
            fs::create_dir_all(&folder).map_err(|error| Error::unusable(&folder, &error))?;
        }
        Ok(())
    }

    /// Who computes what.
    pub fn claims(&self) -> &Claims {
        &self.claims
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
        Self::has(&self.root, id)
    }

    /// Whether a cell is done in a folder that nobody need open.
    pub fn has(root: &Path, id: &CellId) -> bool {
        root.join("cells").join(&id.0).join("cell.json").exists()
    }

    /// The directory for results where a user names none: `out/NAME`; where that holds the results
    /// of another model, other images or other settings, with which the plan has no cell in common,
    /// one beside it, which is said. The same plan finds it again.
    pub fn default_root(plan: &Plan) -> PathBuf {
        let shared = Path::new("out").join(&plan.suite);
        let Some(first) = plan.cells.first().filter(|_| Self::holds_another(&shared, plan)) else {
            return shared;
        };
        let own = Path::new("out").join(format!(
            "{}-{}",
            plan.suite,
            &first.id.0[..8.min(first.id.0.len())]
        ));
        announce(&format!(
            "{} holds results of another model, other images or other settings; these results go to {} (choose a folder with --out)",
            shared.display(),
            own.display()
        ));
        own
    }

    /// Whether a folder has a plan that has no cell in common with this one: its report is about
    /// something else.
    pub fn holds_another(root: &Path, plan: &Plan) -> bool {
        let known = fs::read(root.join("plan.json")).ok();
        let known: Option<Plan> = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        known.is_some_and(|known| {
            let shared = |cell: &Cell| plan.cells.iter().any(|own| own.id == cell.id);
            !known.cells.is_empty() && !known.cells.iter().any(shared)
        })
    }

    /// Where a cell in flight keeps its files.
    pub fn work_path(&self, id: &CellId) -> PathBuf {
        self.root.join("work").join(&id.0)
    }

    /// Makes the folder of a cell in flight.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn work(&self, id: &CellId) -> Result<PathBuf> {
        let path = self.work_path(id);
        create_folder(&path)?;
        Ok(path)
    }

    /// Writes `cell.json`, with the checksums of the cell's files, moves the cell into place, and
    /// only then removes `scratch`: a process killed at any point loses nothing. Where the cell is in place already, it
    /// stays as it is.
    ///
    /// # Errors
    /// When a file cannot be read, written or moved.
    pub fn finish(&self, record: &mut CellRecord, scratch: &[&str]) -> Result<()> {
        let id = &record.cell.id;
        let work = self.work(id)?;
        record.provenance.files = checksums(&work, scratch)?;
        write_json(&work.join("cell.json"), record)?;
        sync_folder(&work);
        let place = self.cell(id);
        if let Err(error) = fs::rename(&work, &place) {
            // Another machine computed it too, and its copy was fetched meanwhile. Two of one cell are as good as one.
            if !self.is_done(id) {
                return Err(Error::writing(&place, &error));
            }
            remove(&work);
        }
        sync_folder(&self.root.join("cells"));
        for name in scratch {
            remove(&place.join(name));
        }
        self.claims.sweep(&format!("{id}."));
        Ok(())
    }

    /// Removes what a process killed in [`finish`](Self::finish) left over in a finished cell.
    pub(super) fn sweep(&self, id: &CellId) {
        for name in [CHECKPOINT, shard::FOLDER] {
            let path = self.cell(id).join(name);
            if path.exists() {
                remove(&path);
            }
        }
    }

    /// Makes this plan the directory's own, until the claim is dropped: `plan.json` says which
    /// cells a report is about.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn own_plan(&self, plan: &Plan) -> Result<Claim> {
        let claim = self.claims.wait("plan", "draws the report")?;
        if Self::holds_another(&self.root, plan) {
            announce(&format!(
                "{} held the results of other settings under this name: their cells stay, the report is now about these \
                 (--out keeps both)",
                self.root.display()
            ));
        }
        write_json(&self.root.join("plan.json"), plan)?;
        Ok(claim)
    }
}

/// Removes a file or a folder that nobody needs. What stays behind is swept up by the next run.
fn remove(path: &Path) {
    let _ = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

/// blake3 of every file of a folder but `scratch`.
fn checksums(folder: &Path, scratch: &[&str]) -> Result<BTreeMap<String, String>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::reading(folder, error))?;
    let mut sums = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // `cell.json` holds the checksums; one that a killed process wrote is written anew.
        if name == "cell.json" || scratch.contains(&name.as_str()) {
            continue;
        }
        if name.ends_with(".part") {
            remove(&entry.path());
            continue;
        }
        sums.insert(name, checksum(&entry.path())?);
    }
    Ok(sums)
}
