//! Files that are either complete or not there, and their checksums. Every crate of the workspace that
//! writes result files uses these functions.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that no reader ever sees half of it: a temporary file beside it (`<path>.part`),
/// fsync, rename, fsync of the folder.
///
/// # Errors
/// When a step fails; the old file, if any, is untouched and the temporary one removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(".part");
    let part = Path::new(&name);
    let written = File::create(part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(part, path));
    if written.is_err() {
        // Best effort: a leftover .part is harmless, and the first error matters more.
        let _ = fs::remove_file(part);
        return written;
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        sync_folder(folder);
    }
    Ok(())
}

/// Makes a rename inside `folder` survive a power cut, where the file system can.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// The checksum of bytes: blake3, in hex.
pub fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The checksum of a file, read in pieces.
///
/// # Errors
/// When the file cannot be read.
pub fn file_checksum(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
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
        assert_eq!(file_checksum(&path).expect("read"), checksum(b"two"));
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.txt");
        fs::create_dir_all(path.join("in the way")).expect("a folder");
        assert!(write_atomic(&path, b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
