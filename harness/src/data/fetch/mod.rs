//! Official archives: where they are, how they are fetched, checked and unpacked.

#[cfg(feature = "fetch")]
mod download;
mod unpack;

use crate::error::{Error, Result};
use crate::progress::announce;
use md5::{Digest, Md5};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The archives that the program knows.
const KNOWN: &str = include_str!("archives.toml");

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The data set's name.
    pub name: String,
    /// Name of the file.
    pub file: String,
    /// Where it is: the publisher's address first, then mirrors.
    pub urls: Vec<String>,
    /// Its length.
    pub bytes: u64,
    /// The checksum that its publisher gives.
    pub md5: String,
    /// The one folder in it.
    pub holds: String,
    /// Bytes of its files, at most.
    pub unpacked: u64,
    /// Under which terms it may be used.
    pub license: String,
}

/// What `rlnet data fetch` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The folder was there.
    Present(PathBuf),
    /// The archive was in the data folder, and was unpacked.
    Unpacked(PathBuf),
    /// The archive was downloaded and unpacked.
    Downloaded(PathBuf),
}

/// The archives of a list: the program's own, or those of a TOML file like it.
///
/// # Errors
/// When the file cannot be read or is no such list.
pub fn archives(file: Option<&Path>) -> Result<Vec<Archive>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        archive: Vec<Archive>,
    }
    let text = match file {
        Some(file) => fs::read_to_string(file).map_err(|error| Error::reading(file, error))?,
        None => KNOWN.to_owned(),
    };
    let list: List = toml::from_str(&text).map_err(|error| match file {
        Some(file) => Error::reading(file, format!("not a list of archives: {error}")),
        None => Error::internal(error),
    })?;
    Ok(list.archive)
}

/// An archive of a data set that lies in a folder, if there is one.
pub fn lying(name: &str, folder: &Path) -> Option<PathBuf> {
    let known = archives(None).ok()?;
    let files = known.iter().filter(|archive| archive.name == name);
    files
        .map(|archive| folder.join(&archive.file))
        .find(|file| file.is_file())
}

/// Makes a data set's official folder in `folder`: from an archive that lies there, else from its publisher. A server
/// that sends nothing for `patience` is given up, and the next one is tried.
///
/// # Errors
/// When the name is unknown, no server gives the archive, or it is not the official one.
pub fn fetch(all: &[Archive], name: &str, folder: &Path, patience: Duration) -> Result<Fetched> {
    let own: Vec<&Archive> = all.iter().filter(|archive| archive.name == name).collect();
    let Some(first) = own.first() else {
        let mut names: Vec<&str> = all.iter().map(|archive| archive.name.as_str()).collect();
        names.dedup();
        let hint = rlnet_suites::error::suggest(name, names.iter().copied());
        return Err(Error::Usage(format!(
            "{name}: no archive of this name is known; {hint}"
        )));
    };
    if let Some(there) = own
        .iter()
        .map(|archive| folder.join(&archive.holds))
        .find(|folder| folder.is_dir())
    {
        return Ok(Fetched::Present(there));
    }
    fs::create_dir_all(folder).map_err(|error| Error::unusable(folder, &error))?;
    let lying = own.iter().find(|archive| folder.join(&archive.file).is_file());
    let archive = lying.unwrap_or(first);
    let file = folder.join(&archive.file);
    announce(&format!("{}: {}", archive.file, archive.license));
    if lying.is_some() {
        check(archive, &file)?;
        return Ok(Fetched::Unpacked(unpack::unpack(archive, &file, folder)?));
    }
    download(archive, &file, patience)?;
    Ok(Fetched::Downloaded(unpack::unpack(archive, &file, folder)?))
}

#[cfg(feature = "fetch")]
fn download(archive: &Archive, file: &Path, patience: Duration) -> Result<()> {
    download::download(archive, file, patience)
}

#[cfg(not(feature = "fetch"))]
fn download(archive: &Archive, file: &Path, _: Duration) -> Result<()> {
    Err(Error::Usage(format!(
        "this program was built without the feature `fetch`; fetch {} and put it at {}",
        archive.urls.join(" or "),
        file.display()
    )))
}

/// Whether a file is the archive, byte for byte.
fn check(archive: &Archive, file: &Path) -> Result<()> {
    let read = |error| Error::reading(file, error);
    let length = fs::metadata(file).map_err(read)?.len();
    let refused = |why: String| {
        Error::reading(
            file,
            format!(
                "{why}; remove it and run `rlnet data fetch {}` again",
                archive.name
            ),
        )
    };
    if length != archive.bytes {
        return Err(refused(format!(
            "{length} bytes, the official archive has {}",
            archive.bytes
        )));
    }
    let (mut source, mut md5) = (File::open(file).map_err(read)?, Md5::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer).map_err(read)? {
            0 => break,
            n => md5.update(&buffer[..n]),
        }
    }
    let found = format!("{:x}", md5.finalize());
    match found == archive.md5 {
        true => Ok(()),
        false => Err(refused(format!(
            "its MD5 is {found}, the official one {}",
            archive.md5
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_archives_are_described_in_full() {
        let all = archives(None).expect("the list");
        for archive in &all {
            assert!(archive.md5.len() == 32 && archive.bytes > 1 << 20 && archive.unpacked >= archive.bytes);
            assert!(
                archive.urls.iter().all(|url| url.ends_with(&archive.file)),
                "{archive:?}"
            );
            assert!(!archive.holds.contains('/') && !archive.license.is_empty());
        }
        for name in ["cifar10", "cifar100", "tiny-imagenet", "cifar10-c"] {
            assert!(all.iter().any(|archive| archive.name == name), "{name}");
        }
    }
}
