//! A file that a command is to write: refused before any work where it would destroy something, or
//! cannot be written.

use crate::error::{Error, Result};
use crate::files::probe;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Refuses a file to write that is one of those the command reads (through links as well), lies in a
/// cell's folder, is no plain file, or cannot be written. `option` is what named it.
///
/// # Errors
/// Exactly then.
pub fn check(option: &str, out: &Path, inputs: &[&Path]) -> Result<()> {
    let refuse = |why: &str| Err(Error::Usage(format!("{option} {}: {why}", out.display())));
    if let Some(input) = inputs.iter().find(|input| same(out, input)) {
        return refuse(&format!(
            "it is the file that is read ({}), and would be lost; name another file",
            input.display()
        ));
    }
    if out.is_dir() {
        return refuse("it is a folder; name a file");
    }
    // A finished file is renamed into place, which would replace a device by a file.
    if out.exists() && !out.is_file() {
        return refuse("it is a device or a pipe; name a plain file");
    }
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let (exists, folder) = (folder.exists(), folder.display());
        return if exists {
            refuse(&format!("{folder} is a file, not a folder"))
        } else {
            refuse(&format!("there is no folder {folder}; make it first"))
        };
    }
    // Where the file is, and where it leads.
    let places = [folder.canonicalize(), out.canonicalize()];
    let mut above = places.iter().flatten().flat_map(|place| place.ancestors());
    if let Some(cell) = above.find(|folder| folder.join("cell.json").is_file()) {
        return refuse(&format!(
            "{} is a cell of a run, whose files are as they were written; name a file elsewhere",
            cell.display()
        ));
    }
    probe(folder).map_err(|error| Error::unusable(out, &error))
}

/// Whether two paths lead to one file, by whatever links.
fn same(a: &Path, b: &Path) -> bool {
    let of = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    of(a).is_some_and(|a| of(b) == Some(a))
}
