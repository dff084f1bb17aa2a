//! Reading and writing files with the errors of a report.

use crate::error::ReportError;
use rlnet_suites::io;
use std::fs;
use std::path::Path;

/// Writes a file so that a reader sees the old bytes or the new ones, never a piece.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    io::write_atomic(path, bytes).map_err(|source| ReportError::io("write", path, source))
}

/// Creates a folder and its parents.
pub(crate) fn create_folder(path: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(path).map_err(|source| ReportError::io("create", path, source))
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ReportError> {
    fs::read(path).map_err(|source| ReportError::io("read", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let error = fs::write("/dev/full", b"one").expect_err("full");
        let error = ReportError::io("write", Path::new("/dev/full"), error).to_string();
        assert!(
            error.contains("/dev/full") && error.contains("free some space"),
            "{error}"
        );
    }
}
