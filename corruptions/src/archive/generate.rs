//! Writing a whole archive in the layout of CIFAR-10-C.

use std::fs;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use super::NpyWriter;
use super::npy::Element;
use super::provenance::{Provenance, Setup};
use super::source::Source;
use crate::image::bytes;
use crate::{Corruption, Error, Family, Generator, Image, NumpyRng, Result, Sequence, Severity};

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

/// How far [`generate_archive`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being made.
    pub corruption: Corruption,
    /// At which severity.
    pub severity: Severity,
    /// Images done, over everything asked for.
    pub done: u64,
    /// Those among them whose files were found finished.
    pub kept: u64,
    /// Images to do.
    pub total: u64,
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Name without `.npy`.
    pub name: &'static str,
    /// Where.
    pub path: PathBuf,
    /// MD5 of the file.
    pub md5: String,
    /// False for a file that an earlier call had finished.
    pub made: bool,
}

/// Writes `<corruption>.npy` for every one of `corruptions`, `labels.npy` and
/// `provenance.json` into `folder`, which is created if it is absent. Labels are int64 if all
/// `corruptions` are of C-bar, as its script writes them, and uint8 otherwise. Each file appears
/// whole or not at all. `progress` is called after every few hundred images.
///
/// Files that an earlier call finished in the same way are kept (a NumPy stream's only when all
/// of them are there, since each depends on those before it). A folder made in another way is
/// refused, and so is overwriting files that no `provenance.json` accounts for.
///
/// # Errors
/// When the buffers of `dataset` do not agree, the folder holds other content, a file cannot be
/// written, and as [`Generator::corrupt`].
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
    let streamed = matches!(source, Source::Numpy { .. });
    // Each benchmark's own: its readers expect them.
    let bar = |corruption: &Corruption| corruption.family() == Family::CBar;
    let labels_as = if !corruptions.is_empty() && corruptions.iter().all(bar) {
        Element::Long
    } else {
        Element::Byte
    };
    let setup = Setup {
        stream: streamed.then(|| corruptions.to_vec()),
        label_type: (labels_as == Element::Long).then(|| "int64".to_owned()),
        ..setup(generator, dataset, source)
    };
    let names: Vec<&'static str> = corruptions.iter().map(|corruption| corruption.name()).collect();
    let mut arrays = Arrays::open(folder, setup, &names, &["labels"])?;
    if streamed && arrays.found.contains(&None) {
        arrays.found.fill(None);
    }
    let each = 5 * count as u64;
    let kept = each * arrays.found.iter().flatten().count() as u64;
    let (mut done, total) = (kept, each * corruptions.len() as u64);

    let mut draws = Draws::from(source);
    let mut files = Vec::new();
    for (at, &corruption) in corruptions.iter().enumerate() {
        files.push(
            arrays.file(at, names[at], &[5 * count, height, width, 3], &mut |writer| {
                for severity in Severity::ALL {
                    let mut visit = |part: &[u8], images: usize| {
                        done += images as u64;
                        progress(Progress {
                            corruption,
                            severity,
                            done,
                            kept,
                            total,
                        });
                        writer.write(part)
                    };
                    each_part(generator, dataset, corruption, severity, &mut draws, &mut visit)?;
                }
                Ok(())
            })?,
        );
    }
    files.push(labels(dataset, folder, labels_as, &mut arrays.provenance)?);
    Ok(files)
}

/// Writes `<sequence>.npy` for every one of `sequences`, of shape (N, frames, 32, 32, 3), and
/// `provenance.json` into `folder`, as [`generate_archive`] does: whole or not at all, kept where an
/// earlier call finished them. A NumPy stream starts anew with every file, as the published script was
/// run once for each; it has no seed there. There are no labels: the metrics need none. `progress` is
/// called with (sequence, images done, images to do).
///
/// # Errors
/// As [`generate_archive`], and when the images are not 32x32.
///
/// ```
/// use rlnet_corruptions::archive::{Dataset, NpyReader, Source, generate_sequences};
/// use rlnet_corruptions::{Generator, Sequence};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let (images, labels) = (vec![99; 2 * 3072], [3, 8]);
/// let dataset = Dataset { images: &images, labels: &labels, size: (32, 32) };
/// let source = Source::Keyed { seed: 0 };
/// generate_sequences(&Generator::default(), &dataset, folder, &[Sequence::Translate], source, &mut |_, _, _| {})?;
/// assert_eq!(NpyReader::open(folder.join("translate.npy"))?.shape(), [2, 16, 32, 32, 3]);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn generate_sequences(
    generator: &Generator,
    dataset: &Dataset<'_>,
    folder: impl AsRef<Path>,
    sequences: &[Sequence],
    source: Source,
    progress: &mut dyn FnMut(Sequence, u64, u64),
) -> Result<Vec<Written>> {
    let count = dataset.count()?;
    let (width, height) = dataset.size;
    let names: Vec<&'static str> = sequences.iter().map(|sequence| sequence.name()).collect();
    let setup = setup(generator, dataset, source);
    let mut arrays = Arrays::open(folder.as_ref(), setup, &names, &[])?;
    let kept = count * arrays.found.iter().flatten().count();
    let (mut done, total) = (kept as u64, (count * sequences.len()) as u64);
    let mut files = Vec::new();
    for (at, &sequence) in sequences.iter().enumerate() {
        let shape = [count, sequence.frames(), height, width, 3];
        files.push(arrays.file(at, names[at], &shape, &mut |writer| {
            each_sequence(generator, dataset, sequence, source, &mut |part, images| {
                done += images as u64;
                progress(sequence, done, total);
                writer.write(part)
            })
        })?);
    }
    Ok(files)
}

/// What every archive of these images says of itself.
fn setup(generator: &Generator, dataset: &Dataset<'_>, source: Source) -> Setup {
    Setup {
        generator: generator.describe(),
        source,
        images: dataset.labels.len(),
        width: dataset.size.0,
        height: dataset.size.1,
        images_md5: format!("{:x}", Md5::digest(dataset.images)),
        labels_md5: format!("{:x}", Md5::digest(dataset.labels)),
        stream: None,
        label_type: None,
        format: None,
    }
}

/// A folder of arrays that is being written, and the MD5 of those that are finished.
struct Arrays<'a> {
    folder: &'a Path,
    provenance: Provenance,
    found: Vec<Option<String>>,
}

impl<'a> Arrays<'a> {
    fn open(folder: &'a Path, setup: Setup, names: &[&'static str], others: &[&'static str]) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let provenance = Provenance::open(folder, setup, names.iter().chain(others).copied())?;
        let found = names.iter().map(|name| provenance.finished(name));
        Ok(Self {
            folder,
            found: found.collect::<Result<_>>()?,
            provenance,
        })
    }

    /// The file at this place of the names, made by `make` unless it was found.
    fn file(
        &mut self,
        at: usize,
        name: &'static str,
        shape: &[usize],
        make: &mut dyn FnMut(&mut NpyWriter) -> Result<()>,
    ) -> Result<Written> {
        let path = self.folder.join(format!("{name}.npy"));
        let found = self.found[at].take();
        let made = found.is_none();
        let md5 = match found {
            Some(md5) => md5,
            None => {
                let mut writer = NpyWriter::create(&path, shape)?;
                make(&mut writer)?;
                let md5 = writer.finish()?;
                self.provenance.add(name, &md5)?;
                md5
            }
        };
        Ok(Written {
            name,
            path,
            md5,
            made,
        })
    }
}

/// The labels, once for every severity.
fn labels(
    dataset: &Dataset<'_>,
    folder: &Path,
    element: Element,
    provenance: &mut Provenance,
) -> Result<Written> {
    let name = "labels";
    let path = folder.join("labels.npy");
    let found = provenance.finished(name)?;
    let made = found.is_none();
    let md5 = match found {
        Some(md5) => md5,
        None => {
            let mut writer = NpyWriter::start(&path, &[5 * dataset.labels.len()], element)?;
            let wide: Vec<u8> = match element {
                Element::Byte => dataset.labels.to_vec(),
                Element::Long => {
                    let labels = dataset.labels.iter();
                    labels.flat_map(|&label| i64::from(label).to_le_bytes()).collect()
                }
            };
            for _ in Severity::ALL {
                writer.write(&wide)?;
            }
            let md5 = writer.finish()?;
            provenance.add(name, &md5)?;
            md5
        }
    };
    Ok(Written {
        name,
        path,
        md5,
        made,
    })
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
                let batch = generator.batch(corruption, severity).seed(*seed);
                batch.indices(&indices).run(images, dataset.size, out)?;
            }
        }
        visit(out, count)?;
        first += count as u64;
    }
    Ok(())
}

/// Makes one sequence of all images and hands it over part by part, in order, with the number of images
/// in each part.
pub(super) fn each_sequence(
    generator: &Generator,
    dataset: &Dataset<'_>,
    sequence: Sequence,
    source: Source,
    visit: &mut dyn FnMut(&[u8], usize) -> Result<()>,
) -> Result<()> {
    let (width, height) = dataset.size;
    let stride = bytes(width, height)?;
    let each = stride * sequence.frames();
    let run = (3_145_728 / each).max(1);
    let mut draws = Draws::from(source);
    let mut out = Vec::new();
    for (part, images) in dataset.images.chunks(stride * run).enumerate() {
        let count = images.len() / stride;
        match &mut draws {
            Draws::Stream(rng) => {
                out.clear();
                for image in images.chunks_exact(stride) {
                    let image = Image::from_raw(width, height, image.to_vec())?;
                    out.extend(generator.sequence(&image, sequence, rng.as_mut())?);
                }
            }
            Draws::Keyed(seed) => {
                out.resize(count * each, 0);
                let first = (part * run) as u64;
                let indices: Vec<u64> = (first..first + count as u64).collect();
                let batch = generator.sequences(sequence).seed(*seed);
                batch.indices(&indices).run(images, dataset.size, &mut out)?;
            }
        }
        visit(&out, count)?;
    }
    Ok(())
}
