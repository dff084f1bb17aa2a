//! CIFAR-10 and CIFAR-100 from the official files, in either official layout.
//!
//! The binary version holds records of one label byte (CIFAR-100: coarse, then fine) and three
//! 32x32 planes, red, green, blue (Krizhevsky, *Learning Multiple Layers of Features from Tiny
//! Images*, 2009). The python version holds the same rows in the same order in a pickle, so it is
//! rewritten as records ([`pickle`]) and both are checked against one SHA-1, that of the official
//! binary file.

mod official;
mod pickle;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha1::{Digest, Sha1};

use super::{DataError, Dataset, LoadOptions, Split};
pub use official::{CIFAR10, CIFAR100};
use official::{Official, OfficialFile};

/// Side of a CIFAR image in pixels.
const SIDE: usize = 32;
/// Bytes of one colour plane.
const PLANE: usize = SIDE * SIDE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Binary,
    Pickle,
}

/// One official file as records, with the SHA-1 of those records.
struct Records {
    file: PathBuf,
    bytes: Vec<u8>,
    sha1: String,
}

/// Loads CIFAR-10 or CIFAR-100 from `data_dir` (the official folder or its parent; the binary
/// version is preferred where both are there).
///
/// CIFAR-100's `train.bin` may also lie there as consecutive parts `train.bin.part1`, ... of
/// 10,000 records each; fewer than five are accepted, and the provenance says so.
///
/// # Errors
/// Missing, damaged or (unless `options` allows them) modified files: see [`DataError`].
pub fn load(official: &Official, data_dir: &Path, options: LoadOptions) -> Result<Dataset, DataError> {
    let (folder, layout) = locate(official, data_dir)?;
    let parts = match layout {
        Layout::Binary => parts_in(official, &folder),
        Layout::Pickle => 0,
    };
    let mut files: Vec<&OfficialFile> = official.train.iter().collect();
    files.push(&official.test);
    let mut read = files
        .par_iter()
        .map(|file| {
            if parts > 0 && !std::ptr::eq(*file, &raw const official.test) {
                read_parts(official, &folder, file, parts, options)
            } else {
                read_whole(official, &folder, layout, file, options)
            }
        })
        // The first damaged file in their order is named, whichever is found first.
        .collect::<Vec<_>>()
        .into_iter()
        .collect::<Result<Vec<Records>, DataError>>()?;

    let identity: String = read.iter().map(|r| format!("{}\n", r.sha1)).collect();
    let modified = files.iter().zip(&read).any(|(f, r)| f.sha1 != r.sha1);
    let mut provenance = format!(
        "{} ({} version) from {}",
        official.title,
        if layout == Layout::Binary {
            "binary"
        } else {
            "python"
        },
        folder.display()
    );
    if parts > 0 {
        let total = official.train[0].records / official::PART_RECORDS;
        provenance += &format!("; training images from parts 1 to {parts} of {total}");
        if (2..total).contains(&parts) {
            provenance += ", of which only part 1 could be checked";
        }
    } else if modified {
        provenance += "; NOT the official bytes";
    }
    let test = split(official, &read.split_off(official.train.len()))?;
    let train = split(official, &read)?;
    Ok(Dataset {
        name: official.name.to_owned(),
        classes: official.classes.iter().map(|&c| c.to_owned()).collect(),
        size: SIDE,
        train_len: train.len(),
        train,
        test,
        mean: official.mean,
        std: official.std,
        checksum: hex_sha1(identity.as_bytes()),
        provenance,
        tree: None,
    })
}

/// The folder to read and its layout, with every file that is needed in it.
fn locate(official: &Official, data_dir: &Path) -> Result<(PathBuf, Layout), DataError> {
    let mut looked_for = Vec::new();
    for layout in [Layout::Binary, Layout::Pickle] {
        let name = match layout {
            Layout::Binary => official.binary_folder,
            Layout::Pickle => official.python_folder,
        };
        // data_dir itself counts as the folder when it is named so, or holds the test file.
        let itself = data_dir.ends_with(name) || data_dir.join(file_name(&official.test, layout)).is_file();
        for (folder, is_it) in [
            (data_dir.join(name), data_dir.join(name).is_dir()),
            (data_dir.to_path_buf(), itself && data_dir.is_dir()),
        ] {
            if !is_it {
                continue;
            }
            let split_train = layout == Layout::Binary && parts_in(official, &folder) > 0;
            let train = official.train.iter().filter(|_| !split_train);
            let missing: Vec<String> = train
                .chain([&official.test])
                .map(|file| file_name(file, layout))
                .filter(|name| !folder.join(name).is_file())
                .map(str::to_owned)
                .collect();
            if missing.is_empty() {
                return Ok((folder, layout));
            }
            return Err(DataError::MissingFile {
                dataset: official.name.to_owned(),
                folder,
                missing,
            });
        }
        looked_for.push(data_dir.join(name));
    }
    looked_for.push(data_dir.join(official.test.binary));
    Err(DataError::MissingFolder {
        dataset: official.name.to_owned(),
        looked_for,
    })
}

fn file_name(file: &OfficialFile, layout: Layout) -> &'static str {
    match layout {
        Layout::Binary => file.binary,
        Layout::Pickle => file.python,
    }
}

fn part_path(folder: &Path, file: &OfficialFile, part: usize) -> PathBuf {
    folder.join(format!("{}.part{part}", file.binary))
}

/// Number of consecutive parts, from 1, that stand in for a training file that is not there.
fn parts_in(official: &Official, folder: &Path) -> usize {
    match official.train {
        [file] if official.part1_sha1.is_some() && !folder.join(file.binary).is_file() => (1..=file.records
            / official::PART_RECORDS)
            .take_while(|&part| part_path(folder, file, part).is_file())
            .count(),
        _ => 0,
    }
}

fn read_whole(
    official: &Official,
    folder: &Path,
    layout: Layout,
    file: &OfficialFile,
    options: LoadOptions,
) -> Result<Records, DataError> {
    let path = folder.join(file_name(file, layout));
    let bytes = match layout {
        Layout::Binary => read_bytes(official, &path, file.records, options)?,
        Layout::Pickle => pickle::read_as_records(&path, official.coarse_classes > 0)?,
    };
    check_sha1(path, bytes, Some(file.sha1), options)
}

fn read_parts(
    official: &Official,
    folder: &Path,
    file: &OfficialFile,
    parts: usize,
    options: LoadOptions,
) -> Result<Records, DataError> {
    let mut all = Vec::new();
    for part in 1..=parts {
        let path = part_path(folder, file, part);
        let bytes = read_bytes(official, &path, official::PART_RECORDS, options)?;
        let pinned = official.part1_sha1.filter(|_| part == 1);
        all.extend(check_sha1(path, bytes, pinned, options)?.bytes);
    }
    // All parts together are the official file; fewer have no official checksum.
    let whole = parts * official::PART_RECORDS == file.records;
    let pinned = whole.then_some(file.sha1);
    check_sha1(part_path(folder, file, 1), all, pinned, options)
}

fn read_bytes(
    official: &Official,
    path: &Path,
    records: usize,
    options: LoadOptions,
) -> Result<Vec<u8>, DataError> {
    let io = |source| DataError::Io {
        file: path.to_path_buf(),
        source,
    };
    let record = official.record_bytes() as u64;
    let found = fs::metadata(path).map_err(io)?.len();
    // A modified file may have another number of records, but never a part of one.
    let expected = match options.allow_modified {
        true => found.div_ceil(record).max(1) * record,
        false => records as u64 * record,
    };
    if found != expected {
        return Err(DataError::Size {
            file: path.to_path_buf(),
            found,
            expected,
        });
    }
    fs::read(path).map_err(io)
}

fn check_sha1(
    file: PathBuf,
    bytes: Vec<u8>,
    expected: Option<&str>,
    options: LoadOptions,
) -> Result<Records, DataError> {
    let sha1 = hex_sha1(&bytes);
    match expected {
        Some(expected) if expected != sha1 && !options.allow_modified => Err(DataError::Checksum {
            file,
            expected: expected.to_owned(),
            found: sha1,
        }),
        _ => Ok(Records { file, bytes, sha1 }),
    }
}

fn hex_sha1(bytes: &[u8]) -> String {
    format!("{:x}", Sha1::digest(bytes))
}

/// Records to images: labels checked, planes interleaved to H x W x 3.
fn split(official: &Official, files: &[Records]) -> Result<Split, DataError> {
    let record_bytes = official.record_bytes();
    let mut labels = Vec::new();
    for Records { file, bytes, .. } in files {
        for (record, row) in bytes.chunks_exact(record_bytes).enumerate() {
            let refuse = |kind, label: u8, classes| DataError::Label {
                file: file.clone(),
                record,
                kind,
                label: i64::from(label),
                classes,
            };
            let fine = row[official.label_bytes() - 1];
            if official.coarse_classes > 0 && usize::from(row[0]) >= official.coarse_classes {
                return Err(refuse("coarse", row[0], official.coarse_classes));
            }
            if usize::from(fine) >= official.classes.len() {
                return Err(refuse("class", fine, official.classes.len()));
            }
            labels.push(u16::from(fine));
        }
    }
    let rows: Vec<&[u8]> = files
        .iter()
        .flat_map(|r| r.bytes.chunks_exact(record_bytes))
        .collect();
    let mut images = vec![0; rows.len() * 3 * PLANE];
    images
        .par_chunks_exact_mut(3 * PLANE)
        .zip(&rows)
        .for_each(|(image, row)| {
            let planes = &row[official.label_bytes()..];
            for (i, pixel) in image.chunks_exact_mut(3).enumerate() {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    *value = planes[channel * PLANE + i];
                }
            }
        });
    Ok(Split {
        size: SIDE,
        files: None,
        images,
        indices: (0..labels.len() as u32).collect(),
        labels,
    })
}

#[cfg(test)]
mod tests;
