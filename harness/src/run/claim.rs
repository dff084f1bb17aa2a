//! Claims: who computes what, among the processes that share a run directory.
//!
//! A claim is the kernel's lock on a file under `locks/`. A process that dies in any way gives
//! its claims up, so there is nothing to clean after a crash and no clock is asked. What a claim
//! is for is looked at again once it is held: another process may have finished it meanwhile.
//! Locks need a file system that carries `flock` between machines (NFS since Linux 2.6.12,
//! Lustre mounted with `-o flock`, any local one).

use crate::error::{Error, Result};
use crate::files::create_folder;
use crate::progress::announce;
use crate::stop;
use rlnet_suites::CellId;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Claims among machines that share no run directory.
pub trait SharedClaims: std::fmt::Debug + Send + Sync {
    /// Whether this run may compute a cell: nobody else does, and it is not finished elsewhere. It stays this run's
    /// until it is given up, or this is dropped.
    fn take(&self, cell: &CellId) -> bool;
    /// Leaves a cell to others, finished or not.
    fn give_up(&self, cell: &CellId);
}

/// Between two looks at a lock that another process holds.
const LOOK: Duration = Duration::from_millis(200);

/// A held claim; given up when dropped.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

/// The claims of a run directory.
#[derive(Debug, Clone)]
pub struct Claims {
    folder: PathBuf,
}

impl Claims {
    /// The claims under `root/locks`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        let claims = Self::at(root);
        create_folder(&claims.folder)?;
        Ok(claims)
    }

    /// The claims under `root/locks`, a folder that somebody else makes.
    pub fn at(root: &Path) -> Self {
        Self {
            folder: root.join("locks"),
        }
    }

    /// Claims a name; nothing when another process has it.
    ///
    /// # Errors
    /// When the lock file cannot be made, or the file system has no locks.
    pub fn take(&self, name: &str) -> Result<Option<Claim>> {
        let path = self.folder.join(name);
        let open = || File::create(&path).map_err(|error| Error::writing(&path, &error));
        let file = open()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::locking(&path, error)),
        }
    }

    /// Claims a name, waiting for another process to give it up.
    ///
    /// # Errors
    /// As [`take`](Self::take), and when asked to stop meanwhile.
    pub fn wait(&self, name: &str, what: &str) -> Result<Claim> {
        let mut said = false;
        loop {
            if let Some(claim) = self.take(name)? {
                return Ok(claim);
            }
            if !said {
                announce(&format!("another rlnet process {what}; waiting for it"));
                said = true;
            }
            stop::check("nothing was lost")?;
            std::thread::sleep(LOOK);
        }
    }

    /// Removes the locks whose names start so, of work that is done.
    pub fn sweep(&self, prefix: &str) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
            // Best effort: a lock file that stays is empty and harmless.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_by_one_and_given_up_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let claims = Claims::open(folder.path()).expect("claims");
        let held = claims.take("a").expect("a lock").expect("free");
        assert!(claims.take("a").expect("a lock").is_none());
        assert!(claims.take("b").expect("a lock").is_some());
        drop(held);
        assert!(claims.take("a").expect("a lock").is_some());
        claims.sweep("a");
        assert!(!folder.path().join("locks/a").exists() && folder.path().join("locks/b").exists());
    }
}
