//! Files are written whole or not at all: to `<path>.part`, flushed to disk, then renamed.

use crate::error::ReportError;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file so that a reader sees the old bytes or the new ones, never a piece.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let part = part_of(path);
    let written = write_synced(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|source| {
        // The half-written file must not stay behind on a full disk; that it could not be
        // removed either adds nothing to the error that is reported.
        fs::remove_file(&part).ok();
        ReportError::io("write", path, source)
    })
}

/// Creates a folder and its parents.
pub(crate) fn create_folder(path: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(path).map_err(|source| ReportError::io("create", path, source))
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ReportError> {
    fs::read(path).map_err(|source| ReportError::io("read", path, source))
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    PathBuf::from(name)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename itself survive a power cut. Not every file system can; those that
/// cannot still have the file.
fn sync_folder(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        && let Ok(folder) = File::open(folder)
    {
        folder.sync_all().ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_part_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"one").expect("first");
        write_atomic(&path, b"two").expect("second");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_the_path() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("missing").join("a.txt");
        let error = write_atomic(&path, b"one").expect_err("no folder").to_string();
        assert!(error.contains("a.txt"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_clean_error() {
        // /dev/full refuses every write with ENOSPC.
        let error = write_synced(Path::new("/dev/full"), b"one").expect_err("full");
        let error = ReportError::io("write", Path::new("/dev/full"), error).to_string();
        assert!(
            error.contains("/dev/full") && error.contains("free some space"),
            "{error}"
        );
    }
}
