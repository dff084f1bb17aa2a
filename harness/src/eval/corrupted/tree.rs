//! The layout of Tiny-ImageNet-C: `<corruption>/<severity>/<class>/<name>.JPEG` (or `.png`).
//!
//! A tree made from the test images holds a file for each of them and is matched by class and
//! name. The published Tiny-ImageNet-C was cut from other pictures, under other names: its
//! images are taken as they are, in the order of their names' numbers, with the label of their
//! folder.

use super::{Files, Wanted, damaged};
use crate::data::Split;
use crate::data::pictures::{natural, picture_stem};
use crate::error::{Error, Result};
use crate::progress::{Progress, announce};
use rayon::prelude::*;
use rlnet_corruptions::Image;
use rlnet_corruptions::archive::{folder_md5, image_files};
use rlnet_suites::CorruptedFiles;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A picture of a tree, for a test image.
struct Entry {
    file: PathBuf,
    label: u16,
    index: u32,
}

/// A tree whose pictures belong to the classes of the data set in use.
pub struct TreeArchive {
    levels: BTreeMap<(String, u8), Vec<Entry>>,
}

impl TreeArchive {
    /// Lists the tree, checks that every image in use is there (or that all classes are known,
    /// for a tree of other pictures) and takes checksums of the files.
    ///
    /// # Errors
    /// See [`CorruptedImages::open`](super::CorruptedImages::open).
    pub fn open(folder: &Path, wanted: &Wanted<'_>) -> Result<(Self, Files)> {
        let mut levels = BTreeMap::new();
        let mut files = Files::new();
        let total = wanted.corruptions.len() * wanted.severities.len();
        let progress = Progress::new("checksums", "folders", total as u64, 0);
        let mut own = BTreeSet::new();
        for name in wanted.corruptions {
            let mut checksums = BTreeMap::new();
            for &severity in wanted.severities {
                let level = format!("{name}/{severity}");
                let place = folder.join(&level);
                if !place.is_dir() {
                    return Err(damaged(format!("{} has no folder {level}", folder.display())));
                }
                let (entries, matched) = list(&place, wanted)?;
                own.insert(!matched);
                checksums.insert(format!("{level}/"), folder_md5(&place).map_err(damaged)?);
                levels.insert((name.clone(), severity), entries);
                progress.advance(1, || &level);
            }
            // Nobody publishes checksums of this archive's files.
            let official = false;
            files.insert(name.clone(), CorruptedFiles { official, checksums });
        }
        progress.finish();
        if own.len() > 1 {
            return Err(damaged(format!(
                "{}: some of its folders hold the test images of {}, others hold other pictures",
                folder.display(),
                wanted.dataset
            )));
        }
        if own.contains(&true) {
            announce(&format!(
                "{}: its pictures are not the test images of {} (those of the published \
                 Tiny-ImageNet-C are not); they are used with the labels of their folders",
                folder.display(),
                wanted.dataset
            ));
        }
        Ok((Self { levels }, files))
    }

    /// Number of pictures of a level.
    pub(super) fn count(&self, name: &str, severity: u8) -> usize {
        self.levels.get(&(name.to_owned(), severity)).map_or(0, Vec::len)
    }

    /// See [`CorruptedImages::batch`](super::CorruptedImages::batch).
    pub(super) fn batch(
        &self,
        size: usize,
        name: &str,
        severity: u8,
        from: usize,
        n: usize,
    ) -> Result<Split> {
        let level = self.levels.get(&(name.to_owned(), severity));
        let entries = level
            .and_then(|entries| entries.get(from..from + n))
            .unwrap_or_default();
        let stride = 3 * size * size;
        let mut images = vec![0; entries.len() * stride];
        let one = |out: &mut [u8], entry: &Entry| -> Result<()> {
            let bytes = std::fs::read(&entry.file).map_err(|error| Error::reading(&entry.file, error))?;
            let image = Image::decode(&bytes).map_err(|why| Error::reading(&entry.file, why))?;
            if (image.width(), image.height()) != (size, size) {
                let (width, height) = (image.width(), image.height());
                let why = format!("{width} x {height} pixels, not {size} x {size}");
                return Err(Error::reading(&entry.file, why));
            }
            out.copy_from_slice(image.data());
            Ok(())
        };
        // The first in order, whichever thread meets one first.
        let places = images.par_chunks_exact_mut(stride).zip(entries);
        if let Some(why) = places.find_map_first(|(out, entry)| one(out, entry).err()) {
            return Err(why);
        }
        Ok(Split {
            size,
            files: None,
            images,
            labels: entries.iter().map(|entry| entry.label).collect(),
            indices: entries.iter().map(|entry| entry.index).collect(),
        })
    }
}

/// The pictures of a level for the test images in use, in their order; and whether they were
/// matched by name.
fn list(place: &Path, wanted: &Wanted<'_>) -> Result<(Vec<Entry>, bool)> {
    let Some(tree) = wanted.tree else {
        return Err(Error::Corrupted(format!(
            "--corrupted-dir: {} holds image files, but the images of {} have no names to match; \
             use an archive of .npy files",
            place.display(),
            wanted.dataset
        )));
    };
    let files = image_files(place).map_err(damaged)?;
    let mut by_name: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (class, file) in &files {
        let stem = picture_stem(file).unwrap_or(file);
        if let Some(other) = by_name.insert((class, stem), file) {
            return Err(damaged(format!(
                "{}: {other} and {file} have the same name but for the extension",
                place.join(class).display()
            )));
        }
    }
    let test = wanted.test;
    let key = |place: usize| {
        let class = &tree.folders[usize::from(test.labels[place])];
        (class.as_str(), tree.names[test.indices[place] as usize].as_str())
    };
    if (0..test.len()).any(|place| by_name.contains_key(&key(place))) {
        let entries = (0..test.len()).map(|at| {
            let (class, name) = key(at);
            let file = by_name.get(&(class, name)).ok_or_else(|| {
                damaged(format!(
                    "{} has no {class}/{name}.png or .JPEG, though it has other test images of {}; \
                     use --limit for an archive of the first images only",
                    place.display(),
                    wanted.dataset
                ))
            })?;
            Ok(Entry {
                file: place.join(class).join(file),
                label: test.labels[at],
                index: test.indices[at],
            })
        });
        return Ok((entries.collect::<Result<_>>()?, true));
    }
    let mut pictures = Vec::new();
    for (class, file) in &files {
        let label = tree.folders.binary_search(class).map_err(|_| {
            damaged(format!(
                "{}: {} has no class {class}",
                place.display(),
                wanted.dataset
            ))
        })?;
        pictures.push((natural(file), place.join(class).join(file), label as u16));
    }
    if pictures.is_empty() {
        return Err(damaged(format!("{} holds no pictures", place.display())));
    }
    pictures.sort();
    pictures.truncate(test.len());
    let entries = pictures.into_iter().enumerate();
    let entries = entries.map(|(index, (_, file, label))| Entry {
        file,
        label,
        index: index as u32,
    });
    Ok((entries.collect(), false))
}
