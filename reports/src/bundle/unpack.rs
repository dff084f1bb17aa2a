//! Reading a bundle that a stranger made. No name leads out of the folder, and no file grows beyond what `bundle.json`
//! says and a limit allows.

use super::{Bundle, MANIFEST, Manifest, SCHEMA};
use crate::error::ReportError;
use crate::files;
use rlnet_suites::io::checksum;
use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

/// Bytes of one file, and of all, at most: whole CIFAR under a hundred attacks is a tenth of it.
const LARGEST: u64 = 1 << 30;
const ALL: u64 = 4 << 30;
/// Files, at most.
const COUNT: usize = 100_000;

/// Unpacks a bundle into an empty folder. What is wrong with single files is kept in the bundle's faults.
///
/// # Errors
/// When the file is no bundle of a known version, or the folder cannot be written.
pub fn unpack(file: &Path, folder: &Path) -> Result<Bundle, ReportError> {
    let bytes = files::read(file)?;
    let bad = |why: String| ReportError::file(file, format!("not a bundle that can be read: {why}"));
    let mut archive = ZipArchive::new(Cursor::new(&bytes[..])).map_err(|error| {
        bad(format!(
            "{error}; it is cut short, damaged or no zip archive: make or copy it again"
        ))
    })?;
    if archive.len() > COUNT {
        return Err(bad(format!(
            "{} files, where {COUNT} are the most",
            archive.len()
        )));
    }
    let manifest = take(&mut archive, MANIFEST, LARGEST).map_err(&bad)?;
    let manifest: Manifest =
        serde_json::from_slice(&manifest).map_err(|error| bad(format!("{MANIFEST}: {error}")))?;
    if manifest.schema != SCHEMA {
        return Err(bad(format!(
            "{MANIFEST} has schema {}, and this version of the program reads {SCHEMA}",
            manifest.schema
        )));
    }
    let names: BTreeSet<String> = archive.file_names().map(str::to_owned).collect();
    if names.len() != archive.len() {
        return Err(bad("two of its files have one name".to_owned()));
    }
    let mut faults: Vec<String> = names
        .iter()
        .filter(|name| *name != MANIFEST && !manifest.files.contains_key(*name))
        .map(|name| format!("{name} is not listed in {MANIFEST}"))
        .collect();
    let mut total = 0;
    for (name, record) in &manifest.files {
        if !is_plain(name) {
            return Err(bad(format!(
                "{MANIFEST} names a file {name:?}, which no bundle has"
            )));
        }
        total += record.bytes;
        if record.bytes > LARGEST || total > ALL {
            return Err(bad(format!("its files are larger than {} GiB", ALL >> 30)));
        }
        if !names.contains(name) {
            faults.push(format!("{name} is missing"));
            continue;
        }
        match take(&mut archive, name, record.bytes) {
            Ok(bytes) if checksum(&bytes) == record.blake3 => {
                let path = folder.join(name);
                files::create_folder(path.parent().unwrap_or(folder))?;
                files::write_atomic(&path, &bytes)?;
            }
            Ok(_) => faults.push(format!("{name} has another checksum than {MANIFEST} says")),
            Err(why) => faults.push(why),
        }
    }
    Ok(Bundle {
        file: file.to_owned(),
        checksum: checksum(&bytes),
        folder: folder.to_owned(),
        manifest,
        faults,
    })
}

/// The bytes of a file of the archive, which has no more than `most` of them.
fn take(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let entry = archive
        .by_name(name)
        .map_err(|error| format!("{name}: {error}"))?;
    let mut bytes = Vec::new();
    let read = entry.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{name} cannot be read: {error}"))?;
    match bytes.len() as u64 > most {
        true => Err(format!("{name} is longer than it should be ({most} bytes)")),
        false => Ok(bytes),
    }
}

/// Whether a name stays in its folder, on every system.
fn is_plain(name: &str) -> bool {
    let part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
    };
    name.len() < 200 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        for good in [
            "plan.json",
            "cells/0123/outcomes.parquet",
            "cards/rlnet_worst.json",
        ] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a//b",
            "a\\b",
            "C:a",
            "a/.ssh",
            "a\0",
        ] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
