//! Reading, writing and checking files and folders, with the harness's errors.

use crate::error::{Error, Result};
use rlnet_suites::io;
use serde::Serialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub use rlnet_suites::io::sync_folder;

/// Writes a file so that no reader ever sees half of it.
///
/// # Errors
/// When it cannot be written; the old file, if any, is untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    io::write_atomic(path, bytes).map_err(|error| Error::writing(path, &error))
}

/// Writes a value as indented JSON, as [`write_atomic`] does.
///
/// # Errors
/// When it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(Error::internal)?;
    text.push('\n');
    write_atomic(path, text.as_bytes())
}

/// Reads a whole file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::reading(path, error))
}

/// The blake3 checksum of a file, in hex.
///
/// # Errors
/// When it cannot be read.
pub fn checksum(path: &Path) -> Result<String> {
    io::file_checksum(path).map_err(|error| Error::reading(path, error))
}

/// Creates a folder and its parents.
///
/// # Errors
/// When it cannot be created.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::writing(path, &error))
}

/// Creates a folder for results and checks that files can be made in it, before any work is done.
///
/// # Errors
/// When it cannot be created or written.
pub fn open_folder(path: &Path) -> Result<()> {
    if path.is_file() {
        return Err(Error::Output {
            path: path.to_path_buf(),
            why: "it is a file, and results need a folder; name a folder with --out".into(),
        });
    }
    fs::create_dir_all(path)
        .and_then(|()| probe(path))
        .map_err(|error| Error::unusable(path, &error))
}

/// A folder for files that nobody needs after this command.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> Result<TempDir> {
    tempfile::tempdir().map_err(|error| {
        Error::External(format!(
            "a temporary folder cannot be made: {error}; name a writable one with TMPDIR"
        ))
    })
}

/// rlnet's cache folder; nothing where the user has no home folder.
pub fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    caches.map(|caches| caches.join("rlnet"))
}

/// Makes a file in a folder and removes it: permissions alone do not tell whether that can be done.
///
/// # Errors
/// When it cannot.
pub fn probe(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".rlnet-{}", std::process::id()));
    File::create(&file)?;
    // Another thread may have removed it.
    let _ = fs::remove_file(&file);
    Ok(())
}
