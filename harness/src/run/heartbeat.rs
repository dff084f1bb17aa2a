//! Which processes work in a run directory, and how far they are.
//!
//! Each process keeps a locked file under `live/` while it lives, and beside it a small JSON file
//! that says what it does. Whoever wants to know looks at those whose lock is held.

use crate::error::{Error, Result};
use crate::files::create_folder;
use crate::progress::{self, Report};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// A name for this process that no other has: host, process id and start.
pub fn process() -> String {
    static NAME: OnceLock<String> = OnceLock::new();
    let name = || {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let nanoseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let start = blake3::hash(&nanoseconds.to_le_bytes()).to_hex();
        format!("{}-{}-{}", host.trim(), std::process::id(), &start[..8])
    };
    NAME.get_or_init(name).clone()
}

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The process.
    pub process: String,
    /// The device it works on.
    pub device: String,
    /// What it is doing.
    pub report: Report,
}

/// This process's presence in a run directory; ends when dropped.
#[derive(Debug)]
pub struct Heartbeat {
    _lock: File,
    lock: PathBuf,
    word: PathBuf,
}

impl Heartbeat {
    /// Shows this process in a run directory.
    ///
    /// # Errors
    /// When the files cannot be made.
    pub fn show(root: &Path, device: &str) -> Result<Self> {
        let folder = root.join("live");
        create_folder(&folder)?;
        // Sweeps up after processes that were killed.
        worker_statuses(root);
        let name = process();
        let lock = folder.join(format!("{name}.lock"));
        let file = File::create(&lock).map_err(|error| Error::writing(&lock, &error))?;
        file.try_lock().map_err(|error| Error::locking(&lock, error))?;
        let word = folder.join(format!("{name}.json"));
        let path = word.clone();
        let (process, device) = (name, device.to_owned());
        progress::tell(move |report| {
            let said = WorkerStatus {
                process: process.clone(),
                device: device.clone(),
                report: report.clone(),
            };
            // Best effort: only a view depends on it. Not flushed to disk, for it is of no use
            // after a crash.
            if let Ok(text) = serde_json::to_vec(&said) {
                let part = path.with_extension("part");
                let _ = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
            }
        });
        Ok(Self {
            _lock: file,
            lock,
            word,
        })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        progress::tell(|_| {});
        let _ = fs::remove_file(&self.word);
        let _ = fs::remove_file(&self.lock);
    }
}

/// The processes at work in a run directory, by name. Files of dead ones are removed.
pub fn worker_statuses(root: &Path) -> Vec<WorkerStatus> {
    let mut words = Vec::new();
    for entry in fs::read_dir(root.join("live")).into_iter().flatten().flatten() {
        let lock = entry.path();
        if lock.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(file) = File::open(&lock) else { continue };
        let word = lock.with_extension("json");
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            let said = fs::read(&word)
                .ok()
                .and_then(|text| serde_json::from_slice::<WorkerStatus>(&text).ok());
            words.extend(said);
        } else {
            let _ = fs::remove_file(&word);
            let _ = fs::remove_file(&lock);
        }
    }
    words.sort_by(|a, b| a.process.cmp(&b.process));
    words
}
