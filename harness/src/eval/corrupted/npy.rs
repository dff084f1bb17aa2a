//! The layout of CIFAR-10-C: `labels.npy` and a `.npy` file a corruption, the test images at
//! severity 1, then 2, and so on. Rows are read when they are needed.

use super::{Files, Wanted, damaged};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::progress::Progress;
use rlnet_corruptions::Corruption;
use rlnet_corruptions::archive::{NpyReader, Published, md5_of, read_labels};
use rlnet_suites::CorruptedFiles;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder of `.npy` files whose labels are those of the test images in use.
pub struct NpyArchive {
    folder: PathBuf,
    /// Images a severity.
    block: usize,
    /// The file read last, still open.
    open: RefCell<Option<(Corruption, NpyReader)>>,
}

impl NpyArchive {
    /// Opens the folder and checks every wanted file.
    ///
    /// # Errors
    /// See [`CorruptedImages::open`](super::CorruptedImages::open).
    pub fn open(folder: &Path, wanted: &Wanted<'_>) -> Result<(Self, Files)> {
        let missing: Vec<String> = wanted
            .corruptions
            .iter()
            .map(String::as_str)
            .chain(["labels"])
            .map(|name| format!("{name}.npy"))
            .filter(|name| !folder.join(name).is_file())
            .collect();
        if !missing.is_empty() {
            return Err(damaged(format!(
                "{} has no {}",
                folder.display(),
                missing.join(", ")
            )));
        }
        let block = check_labels(&folder.join("labels.npy"), wanted)?;
        let archive = Self {
            folder: folder.to_path_buf(),
            block,
            open: RefCell::new(None),
        };
        let labels = md5_of(&folder.join("labels.npy")).map_err(damaged)?;
        let mut files = Files::new();
        let progress = Progress::new("checksums", "files", wanted.corruptions.len() as u64, 0);
        for name in wanted.corruptions {
            let corruption: Corruption = name.parse().map_err(damaged)?;
            archive.reader(corruption, wanted.test.size)?;
            let file = format!("{name}.npy");
            let md5 = md5_of(&folder.join(&file)).map_err(damaged)?;
            let official = [Published::Cifar10C, Published::Cifar100C]
                .iter()
                .any(|published| {
                    published.md5(name) == Some(&md5) && published.md5("labels") == Some(&labels)
                });
            let checksums = BTreeMap::from([(file, md5), ("labels.npy".to_owned(), labels.clone())]);
            files.insert(name.clone(), CorruptedFiles { official, checksums });
            progress.advance(1, || name);
        }
        progress.finish();
        Ok((archive, files))
    }

    fn reader(&self, corruption: Corruption, size: usize) -> Result<NpyReader> {
        NpyReader::open(self.folder.join(format!("{corruption}.npy")))
            .and_then(|reader| reader.expect(&[5 * self.block, size, size, 3]))
            .map_err(damaged)
    }

    /// See [`CorruptedImages::batch`](super::CorruptedImages::batch).
    pub(super) fn batch(
        &self,
        test: &Split,
        corruption: Corruption,
        severity: u8,
        from: usize,
        n: usize,
    ) -> Result<Split> {
        let mut open = self.open.borrow_mut();
        let reader = match open.take() {
            Some((known, reader)) if known == corruption => reader,
            _ => self.reader(corruption, test.size)?,
        };
        let reader = &mut open.insert((corruption, reader)).1;
        let mut split = test.slice(from, n)?;
        let first = usize::from(severity - 1) * self.block;
        let stride = split.image_bytes();
        // Positions in the test set are rows of the block; neighbours are read at once.
        let mut at = 0;
        while at < n {
            let start = split.indices[at] as usize;
            let run = (at..n)
                .take_while(|&i| split.indices[i] as usize == start + i - at)
                .count();
            let out = &mut split.images[at * stride..(at + run) * stride];
            reader.read_rows(first + start, out).map_err(damaged)?;
            at += run;
        }
        Ok(split)
    }
}

/// Checks the labels at every severity against those of the test images; gives the number of
/// images a severity.
fn check_labels(path: &Path, wanted: &Wanted<'_>) -> Result<usize> {
    let labels = read_labels(path).map_err(damaged)?;
    if labels.is_empty() || !labels.len().is_multiple_of(5) {
        return Err(damaged(format!(
            "{}: its shape is [{}], not (5 N,): the N labels at each of 5 severities",
            path.display(),
            labels.len()
        )));
    }
    let block = labels.len() / 5;
    let most = wanted
        .test
        .indices
        .iter()
        .max()
        .map_or(0, |&index| index as usize + 1);
    if most > block {
        return Err(Error::Corrupted(format!(
            "--corrupted-dir: {}: the archive holds {block} images a severity, but {most} test \
             images of {} are to be measured; use --limit {block} (in a suite: data.test), or \
             another archive",
            path.display(),
            wanted.dataset
        )));
    }
    for severity in 1..=5 {
        for (&index, &label) in wanted.test.indices.iter().zip(&wanted.test.labels) {
            let row = (severity - 1) * block + index as usize;
            if labels[row] != u64::from(label) {
                return Err(Error::Corrupted(format!(
                    "--corrupted-dir: {}: row {row} (severity {severity}) has label {}, but test \
                     image {index} of {} has label {label}; is this the archive of another data set?",
                    path.display(),
                    labels[row],
                    wanted.dataset
                )));
            }
        }
    }
    Ok(block)
}
