//! Corrupted test images: made on the fly, or read from a folder in an official layout.

mod frames;
mod npy;
mod tree;

use crate::data::{Split, Tree};
use crate::error::{Error, Result};
use rlnet_corruptions::{Corruption, Generator, Sequence, Severity};
use rlnet_suites::CorruptedFiles;
use rlnet_suites::corruption::{C_BAR, sequence};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use frames::FrameArchive;
pub use npy::NpyArchive;
pub use tree::TreeArchive;

/// Where corrupted test images come from.
pub enum CorruptedImages {
    /// Made from the test images, each with draws of its own.
    Generated {
        /// Makes them.
        generator: Box<Generator>,
        /// Seed of the draws.
        seed: u64,
    },
    /// Rows of `.npy` files, as CIFAR-10-C has them.
    Npy(NpyArchive),
    /// Frames in `.npy` files, as CIFAR-10-P has them.
    Frames(FrameArchive),
    /// Image files by corruption, severity and class, as Tiny-ImageNet-C has them.
    Tree(TreeArchive),
}

/// What of an archive is needed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The clean test images in use.
    pub test: &'a Split,
    /// Name of their data set, for messages.
    pub dataset: &'a str,
    /// Names of their files, where they are files.
    pub tree: Option<&'a Tree>,
    /// The corruptions.
    pub corruptions: &'a [String],
    /// The severities.
    pub severities: &'a [u8],
}

/// What identifies the files of each corruption.
pub type Files = BTreeMap<String, CorruptedFiles>;

impl CorruptedImages {
    /// Opens a folder of corrupted images and checks that it holds what is wanted: every file,
    /// its type and shape, and the labels of these test images.
    ///
    /// # Errors
    /// When it does not, with the file, what is wrong, and what to do.
    pub fn open(folder: &Path, wanted: &Wanted<'_>) -> Result<(Self, Files)> {
        let sequences = wanted.corruptions.iter().filter(|name| sequence(name).is_some());
        match sequences.count() {
            0 => {}
            all if all == wanted.corruptions.len() => {
                let (archive, files) = FrameArchive::open(folder, wanted)?;
                return Ok((Self::Frames(archive), files));
            }
            _ => {
                return Err(Error::Usage(
                    "--corrupted-dir: a folder holds either corruptions or sequences (p/...); measure one kind \
                     after the other"
                        .into(),
                ));
            }
        }
        let folder = locate(folder, wanted)?;
        if folder.join("labels.npy").is_file() || wanted.tree.is_none() {
            let (archive, files) = NpyArchive::open(&folder, wanted)?;
            return Ok((Self::Npy(archive), files));
        }
        let (archive, files) = TreeArchive::open(&folder, wanted)?;
        Ok((Self::Tree(archive), files))
    }

    /// Number of test images under a corruption, at most those in use; a tree of pictures of
    /// its own may have fewer.
    pub fn count(&self, test: &Split, name: &str, severity: u8) -> usize {
        match self {
            Self::Tree(archive) => archive.count(name, severity).min(test.len()),
            _ => test.len(),
        }
    }

    /// Images `from..from + n` of those in use, corrupted, with their labels and positions.
    ///
    /// # Errors
    /// When a corruption cannot take these images, or a file cannot be read.
    pub fn batch(&self, test: &Split, name: &str, severity: u8, from: usize, n: usize) -> Result<Split> {
        let failed = |why: &dyn std::fmt::Display| Error::Corrupted(format!("{name}/{severity}: {why}"));
        let corruption: Corruption = name.parse().map_err(|why| failed(&why))?;
        let level = Severity::new(severity).map_err(|why| failed(&why))?;
        match self {
            Self::Generated { generator, seed } => {
                let mut split = test.slice(from, n)?;
                let source = split.images.clone();
                let keys: Vec<u64> = split.indices.iter().map(|&index| u64::from(index)).collect();
                generator
                    .batch(corruption, level)
                    .seed(*seed)
                    .indices(&keys)
                    .run(&source, (test.size, test.size), &mut split.images)
                    .map_err(|why| failed(&why))?;
                Ok(split)
            }
            Self::Npy(archive) => archive.batch(test, corruption, severity, from, n),
            Self::Tree(archive) => archive.batch(test.size, name, severity, from, n),
            Self::Frames(_) => Err(failed(&"the folder holds sequences, not corruptions")),
        }
    }

    /// A frame of the sequences of images `from..from + n` of those in use, with labels and positions.
    ///
    /// # Errors
    /// When images of this size have no sequences, or a file cannot be read.
    pub fn frames(
        &self,
        test: &Split,
        sequence: Sequence,
        frame: u8,
        from: usize,
        n: usize,
    ) -> Result<Split> {
        let failed = |why: &dyn std::fmt::Display| Error::Corrupted(format!("p/{sequence}: {why}"));
        match self {
            Self::Generated { generator, seed } => {
                let mut split = test.slice(from, n)?;
                let source = split.images.clone();
                let keys: Vec<u64> = split.indices.iter().map(|&index| u64::from(index)).collect();
                let frame = usize::from(frame);
                generator
                    .sequences(sequence)
                    .seed(*seed)
                    .indices(&keys)
                    .frames(frame..frame + 1)
                    .run(&source, (test.size, test.size), &mut split.images)
                    .map_err(|why| failed(&why))?;
                Ok(split)
            }
            Self::Frames(archive) => archive.batch(test, sequence, frame, from, n),
            Self::Npy(_) | Self::Tree(_) => Err(failed(&"the folder holds corruptions, not sequences")),
        }
    }
}

/// The folder itself, or the published archive's folder in it.
fn locate(folder: &Path, wanted: &Wanted<'_>) -> Result<PathBuf> {
    let holds = |folder: &Path| {
        let first = wanted.corruptions.first().map_or("", String::as_str);
        folder.join("labels.npy").is_file()
            || folder.join(format!("{first}.npy")).is_file()
            || (!first.is_empty() && folder.join(first).is_dir())
    };
    let first = wanted.corruptions.first().map_or("", String::as_str);
    let inside = match wanted.dataset {
        "cifar10" if C_BAR.contains(&first) => Some("CIFAR-10-C-Bar"),
        "cifar10" => Some("CIFAR-10-C"),
        "cifar100" => Some("CIFAR-100-C"),
        _ => wanted.tree.map(|_| "Tiny-ImageNet-C"),
    };
    let inside = inside.map(|name| folder.join(name));
    let places = [Some(folder.to_path_buf()), inside];
    let found = places.iter().flatten().find(|place| holds(place));
    found.cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().flatten().map(|p| p.display().to_string()).collect();
        Error::Corrupted(format!(
            "--corrupted-dir: no corrupted images of {} in {}: there is neither labels.npy with \
             {} nor, for image files, a folder of each corruption; unpack the published archive \
             there, or make one: rlnet corrupt {} --out DIR",
            wanted.dataset,
            looked.join(" or "),
            wanted
                .corruptions
                .first()
                .map_or_else(|| "NAME.npy".into(), |name| format!("{name}.npy")),
            wanted.dataset
        ))
    })
}

/// An error about a file of an archive, with what to do.
fn damaged(why: impl std::fmt::Display) -> Error {
    Error::Corrupted(format!(
        "--corrupted-dir: {why}; fetch or unpack the archive again, or make it again with rlnet corrupt"
    ))
}
