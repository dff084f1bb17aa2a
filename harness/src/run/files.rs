//! Files that are either complete or not there.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Writes a file so that no reader ever sees half of it: a temporary name beside it, fsync,
/// rename, fsync of the folder.
///
/// # Errors
/// When any step fails; the old file, if any, is untouched and the temporary one removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: a leftover .part is harmless, and the real error matters more.
        let _ = fs::remove_file(&temporary);
        return Err(Error::writing(path, &error));
    }
    sync_folder(path.parent().unwrap_or(Path::new(".")));
    Ok(())
}

/// Makes a rename inside `folder` durable, where the file system can.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Creates a folder for results and sees that files can be made in it, before any work is done.
///
/// # Errors
/// When it cannot be created or written.
pub fn open_folder(path: &Path) -> Result<()> {
    if path.is_file() {
        return Err(Error::Input(format!(
            "writing to {}: it is a file, and results need a folder; name a folder with --out",
            path.display()
        )));
    }
    fs::create_dir_all(path)
        .and_then(|()| probe(path))
        .map_err(|error| Error::unusable(path, &error))
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

/// Creates a folder and its parents.
///
/// # Errors
/// When it cannot be created.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::writing(path, &error))
}
