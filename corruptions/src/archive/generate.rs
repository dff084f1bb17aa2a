//! Writing a whole archive in the layout of CIFAR-10-C.

use std::fs;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use super::NpyWriter;
use crate::image::bytes;
use crate::{Corruption, Description, Error, Generator, Image, NumpyRng, Result, Severity};

/// Images in memory, with their labels.
#[derive(Debug, Clone, Copy)]
pub struct Dataset<'a> {
    /// N x height x width x 3 bytes.
    pub images: &'a [u8],
    /// N labels.
    pub labels: &'a [u8],
    /// `(width, height)`.
    pub size: (usize, usize),
}

impl Dataset<'_> {
    /// How many images, if the buffers agree.
    pub(super) fn count(&self) -> Result<usize> {
        let stride = bytes(self.size.0, self.size.1)?;
        if self.labels.len().checked_mul(stride) == Some(self.images.len()) {
            return Ok(self.labels.len());
        }
        Err(Error::Batch(format!(
            "{} labels of {}x{} images need {stride} bytes each, not {} in all",
            self.labels.len(),
            self.size.0,
            self.size.1,
            self.images.len(),
        )))
    }
}

/// Where an archive's random draws come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "rng", rename_all = "kebab-case")]
pub enum Source {
    /// One generator an image, keyed by (seed, corruption, severity, position). Parallel,
    /// and any part of the archive can be made alone.
    Keyed {
        /// The seed.
        seed: u64,
    },
    /// One continuing NumPy stream over corruptions, severities and images in order, as the
    /// reference script draws. Serial, and a file depends on all files before it.
    Numpy {
        /// The seed of `np.random.seed`.
        seed: u32,
    },
}

/// How far [`generate_archive`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being made.
    pub corruption: Corruption,
    /// At which severity.
    pub severity: Severity,
    /// Images done, over everything asked for.
    pub done: u64,
    /// Images to do.
    pub total: u64,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Name without `.npy`.
    pub name: &'static str,
    /// Where.
    pub path: PathBuf,
    /// MD5 of the file.
    pub md5: String,
}

#[derive(serde::Serialize)]
struct Provenance<'a> {
    generator: Description,
    source: Source,
    images: usize,
    width: usize,
    height: usize,
    images_md5: String,
    files: &'a [Written],
}

/// Writes `<corruption>.npy` for every one of `corruptions`, then `labels.npy` and
/// `provenance.json`, into `folder`, which is made if need be. Each file appears whole or
/// not at all. `progress` is called after every few hundred images.
///
/// ```
/// use rlnet_corruptions::archive::{Dataset, Source, generate_archive};
/// use rlnet_corruptions::{Corruption, Generator};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let (images, labels) = (vec![99; 2 * 3072], [3, 8]);
/// let dataset = Dataset { images: &images, labels: &labels, size: (32, 32) };
/// let written = generate_archive(
///     &Generator::default(), &dataset, folder, &[Corruption::Fog],
///     Source::Keyed { seed: 0 }, &mut |_| {},
/// )?;
/// assert_eq!(written.len(), 2);
/// assert!(folder.join("fog.npy").exists());
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn generate_archive(
    generator: &Generator,
    dataset: &Dataset<'_>,
    folder: impl AsRef<Path>,
    corruptions: &[Corruption],
    source: Source,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Written>> {
    let folder = folder.as_ref();
    let count = dataset.count()?;
    let (width, height) = dataset.size;
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut draws = Draws::from(source);
    let mut files = Vec::new();
    let (mut done, total) = (0, 5 * (count * corruptions.len()) as u64);
    for &corruption in corruptions {
        let path = folder.join(format!("{corruption}.npy"));
        let mut writer = NpyWriter::create(&path, &[5 * count, height, width, 3])?;
        for severity in Severity::ALL {
            let mut visit = |part: &[u8], images: usize| {
                done += images as u64;
                progress(Progress {
                    corruption,
                    severity,
                    done,
                    total,
                });
                writer.write(part)
            };
            each_part(generator, dataset, corruption, severity, &mut draws, &mut visit)?;
        }
        let md5 = writer.finish()?;
        files.push(Written {
            name: corruption.name(),
            path,
            md5,
        });
    }
    let path = folder.join("labels.npy");
    let mut writer = NpyWriter::create(&path, &[5 * count])?;
    for _ in Severity::ALL {
        writer.write(dataset.labels)?;
    }
    let md5 = writer.finish()?;
    files.push(Written {
        name: "labels",
        path,
        md5,
    });
    let provenance = Provenance {
        generator: generator.describe(),
        source,
        images: count,
        width,
        height,
        images_md5: format!("{:x}", Md5::digest(dataset.images)),
        files: &files,
    };
    let path = folder.join("provenance.json");
    let text = serde_json::to_string_pretty(&provenance)
        .map_err(|error| Error::archive(&path, error.to_string()))?;
    let temporary = folder.join(format!("provenance.json.{}.part", std::process::id()));
    fs::write(&temporary, text + "\n").map_err(Error::io(&temporary))?;
    fs::rename(&temporary, &path).map_err(Error::io(&path))?;
    Ok(files)
}

/// A [`Source`] in use.
pub(super) enum Draws {
    Keyed(u64),
    Stream(Box<NumpyRng>),
}

impl From<Source> for Draws {
    fn from(source: Source) -> Self {
        match source {
            Source::Keyed { seed } => Self::Keyed(seed),
            Source::Numpy { seed } => Self::Stream(Box::new(NumpyRng::new(seed))),
        }
    }
}

/// Makes one severity of one corruption and hands it over part by part, in order, with the
/// number of images in each part.
pub(super) fn each_part(
    generator: &Generator,
    dataset: &Dataset<'_>,
    corruption: Corruption,
    severity: Severity,
    draws: &mut Draws,
    visit: &mut dyn FnMut(&[u8], usize) -> Result<()>,
) -> Result<()> {
    let stride = bytes(dataset.size.0, dataset.size.1)?;
    // About three megabytes: enough work for every thread, little memory.
    let run = (3_145_728 / stride).max(1);
    let mut out = vec![0; stride * run.min(dataset.labels.len())];
    let mut first = 0_u64;
    for images in dataset.images.chunks(stride * run) {
        let count = images.len() / stride;
        let out = &mut out[..images.len()];
        match draws {
            Draws::Stream(rng) => {
                let (width, height) = dataset.size;
                for (image, out) in images.chunks_exact(stride).zip(out.chunks_exact_mut(stride)) {
                    let image = Image::from_raw(width, height, image.to_vec())?;
                    let made = generator.corrupt(&image, corruption, severity, rng.as_mut())?;
                    out.copy_from_slice(made.data());
                }
            }
            Draws::Keyed(seed) => {
                let indices: Vec<u64> = (first..first + count as u64).collect();
                generator.corrupt_batch(images, dataset.size, &indices, corruption, severity, *seed, out)?;
            }
        }
        visit(out, count)?;
        first += count as u64;
    }
    Ok(())
}
