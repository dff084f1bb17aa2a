//! The layout of CIFAR-10-P: a `.npy` file a sequence, (N, frames, 32, 32, 3), without labels. Frames are
//! read when they are needed.

use super::{Files, Wanted, damaged};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::progress::Progress;
use rlnet_corruptions::Sequence;
use rlnet_corruptions::archive::{NpyReader, md5_of};
use rlnet_suites::CorruptedFiles;
use rlnet_suites::corruption::sequence;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder of sequences of the test images in use.
pub struct FrameArchive {
    folder: PathBuf,
    /// The file read last, still open.
    open: RefCell<Option<(Sequence, NpyReader)>>,
}

impl FrameArchive {
    /// Opens the folder, or `CIFAR-10-P` in it, and checks every wanted file: its shape, and that the
    /// frames that are the images themselves are these images.
    ///
    /// # Errors
    /// See [`CorruptedImages::open`](super::CorruptedImages::open).
    pub fn open(folder: &Path, wanted: &Wanted<'_>) -> Result<(Self, Files)> {
        let sequences: Vec<Sequence> = wanted
            .corruptions
            .iter()
            .filter_map(|name| sequence(name))
            .collect();
        let inside = match wanted.dataset {
            "cifar100" => "CIFAR-100-P",
            _ => "CIFAR-10-P",
        };
        let places = [folder.to_path_buf(), folder.join(inside)];
        let holds = |place: &&PathBuf| {
            sequences
                .iter()
                .any(|sequence| place.join(format!("{sequence}.npy")).is_file())
        };
        let folder = places.iter().find(holds).ok_or_else(|| {
            Error::Corrupted(format!(
                "--corrupted-dir: no sequences in {} or {}: there is no {}.npy; unpack CIFAR-10-P there, or make \
                 it: rlnet corrupt {} --family p --out DIR",
                places[0].display(),
                places[1].display(),
                sequences.first().map_or("NAME", |sequence| sequence.name()),
                wanted.dataset,
            ))
        })?;
        let archive = Self {
            folder: folder.clone(),
            open: RefCell::new(None),
        };
        let mut files = Files::new();
        let progress = Progress::new("checksums", "files", sequences.len() as u64, 0);
        for (&sequence, name) in sequences.iter().zip(wanted.corruptions) {
            archive.check(sequence, wanted)?;
            let file = format!("{sequence}.npy");
            let md5 = md5_of(&folder.join(&file)).map_err(damaged)?;
            let checksums = BTreeMap::from([(file, md5)]);
            // No checksum is published.
            let official = false;
            files.insert(name.clone(), CorruptedFiles { official, checksums });
            progress.advance(1, || name);
        }
        progress.finish();
        Ok((archive, files))
    }

    fn check(&self, sequence: Sequence, wanted: &Wanted<'_>) -> Result<()> {
        let (test, size) = (wanted.test, wanted.test.size);
        let mut reader = self.reader(sequence, size)?;
        let most = test.indices.iter().max().map_or(0, |&index| index as usize + 1);
        let there = reader.shape()[0];
        if most > there {
            return Err(Error::Corrupted(format!(
                "--corrupted-dir: {sequence}.npy holds the sequences of {there} images, but {most} test images of {} \
                 are to be measured; use --limit {there} (in a suite: data.test), or another archive",
                wanted.dataset
            )));
        }
        let Some(clean) = sequence.clean_frame() else {
            return Ok(());
        };
        let mut frame = vec![0; test.image_bytes()];
        for (at, &index) in test.indices.iter().enumerate() {
            reader
                .read_within(index as usize, clean * frame.len(), &mut frame)
                .map_err(damaged)?;
            if frame != *test.image(at)? {
                return Err(Error::Corrupted(format!(
                    "--corrupted-dir: {sequence}.npy: frame {clean} of image {index} should be the image itself, and is \
                     not test image {index} of {}; is this the archive of another data set?",
                    wanted.dataset
                )));
            }
        }
        Ok(())
    }

    fn reader(&self, sequence: Sequence, size: usize) -> Result<NpyReader> {
        let path = self.folder.join(format!("{sequence}.npy"));
        let reader = NpyReader::open(&path).map_err(damaged)?;
        let [_, frames, height, width, 3] = *reader.shape() else {
            return Err(damaged(format!(
                "{}: its shape is {:?}",
                path.display(),
                reader.shape()
            )));
        };
        if (frames, height, width) != (sequence.frames(), size, size) {
            return Err(damaged(format!(
                "{}: its shape is {:?}, not (N, {}, {size}, {size}, 3)",
                path.display(),
                reader.shape(),
                sequence.frames()
            )));
        }
        Ok(reader)
    }

    /// See [`CorruptedImages::frames`](super::CorruptedImages::frames).
    pub(super) fn batch(
        &self,
        test: &Split,
        sequence: Sequence,
        frame: u8,
        from: usize,
        n: usize,
    ) -> Result<Split> {
        let mut open = self.open.borrow_mut();
        let reader = match open.take() {
            Some((known, reader)) if known == sequence => reader,
            _ => self.reader(sequence, test.size)?,
        };
        let reader = &mut open.insert((sequence, reader)).1;
        let mut split = test.slice(from, n)?;
        let stride = split.image_bytes();
        let rows = split.indices.iter().zip(split.images.chunks_exact_mut(stride));
        for (&index, out) in rows {
            reader
                .read_within(index as usize, usize::from(frame) * stride, out)
                .map_err(damaged)?;
        }
        Ok(split)
    }
}
