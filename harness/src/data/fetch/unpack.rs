//! Archives to folders, safely: no path outside, no links, no more than was announced.

use super::Archive;
use crate::error::{Error, Problem, Result};
use crate::progress::announce;
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use tar::EntryType;
use zip::ZipArchive;

/// Files of one archive, at most.
const FILES: usize = 2_000_000;

/// Unpacks an archive beside itself and gives its folder. A folder that is there is whole.
///
/// # Errors
/// When the archive is damaged, or holds what it should not.
pub(super) fn unpack(archive: &Archive, file: &Path, folder: &Path) -> Result<PathBuf> {
    announce(&format!("unpacking {}", file.display()));
    let work = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(folder);
    let work = work.map_err(|error| Error::unusable(folder, &error))?;
    let mut target = Target {
        root: work.path(),
        holds: &archive.holds,
        left: archive.unpacked,
        files: 0,
    };
    let open = File::open(file).map_err(|error| Error::reading(file, error))?;
    let done = match &archive.file {
        name if name.ends_with(".zip") => target.zip(open),
        name if name.ends_with(".tar") => target.tar(BufReader::new(open)),
        _ => target.tar(GzDecoder::new(BufReader::new(open))),
    };
    done.map_err(|why| Error::reading(file, why))?;
    let place = folder.join(&archive.holds);
    fs::rename(work.path().join(&archive.holds), &place).map_err(|error| Error::writing(&place, &error))?;
    Ok(place)
}

/// A folder that an archive is unpacked into.
struct Target<'a> {
    root: &'a Path,
    /// The one folder that the archive may fill.
    holds: &'a str,
    /// Bytes that may still come.
    left: u64,
    files: usize,
}

impl Target<'_> {
    fn tar(&mut self, source: impl Read) -> std::result::Result<(), Problem> {
        for entry in tar::Archive::new(source).entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let path = entry.path().map_err(damaged)?.into_owned();
            match entry.header().entry_type() {
                EntryType::Directory => self.folder(&path)?,
                EntryType::Regular | EntryType::Continuous => self.file(&path, &mut entry)?,
                EntryType::XGlobalHeader => {}
                kind => return Err(format!("{}: a {kind:?} has no place in it", path.display()).into()),
            }
        }
        Ok(())
    }

    fn zip(&mut self, source: File) -> std::result::Result<(), Problem> {
        let mut archive = ZipArchive::new(BufReader::new(source)).map_err(damaged)?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(damaged)?;
            let path = PathBuf::from(entry.name());
            let link = entry
                .unix_mode()
                .is_some_and(|mode| mode & 0o170_000 == 0o120_000);
            match (entry.is_dir(), link) {
                (true, _) => self.folder(&path)?,
                (false, false) => self.file(&path, &mut entry)?,
                (false, true) => return Err(format!("{}: a link has no place in it", path.display()).into()),
            }
        }
        Ok(())
    }

    /// The place of a path of the archive.
    fn place(&self, path: &Path) -> std::result::Result<PathBuf, Problem> {
        let parts: Vec<Component<'_>> = path
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect();
        let inside = parts.iter().all(|part| matches!(part, Component::Normal(_)));
        if inside && parts.first().is_none_or(|first| first.as_os_str() == self.holds) {
            return Ok(self.root.join(parts.iter().collect::<PathBuf>()));
        }
        Err(format!("{}: it leads out of the folder {}", path.display(), self.holds).into())
    }

    fn folder(&mut self, path: &Path) -> std::result::Result<(), Problem> {
        fs::create_dir_all(self.place(path)?).map_err(damaged)
    }

    fn file(&mut self, path: &Path, source: &mut impl Read) -> std::result::Result<(), Problem> {
        let place = self.place(path)?;
        self.files += 1;
        if self.files > FILES {
            return Err(format!("more than {FILES} files").into());
        }
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(damaged)?;
        }
        let mut out = File::create(&place).map_err(damaged)?;
        // One byte more than allowed tells that there is more.
        let written = io::copy(&mut source.take(self.left + 1), &mut out).map_err(damaged)?;
        match self.left.checked_sub(written) {
            Some(left) => self.left = left,
            None => return Err("it unpacks to more bytes than its data set has".into()),
        }
        Ok(())
    }
}

fn damaged(error: impl std::fmt::Display) -> Problem {
    format!("not readable as an archive ({error}): remove it and fetch it again").into()
}
