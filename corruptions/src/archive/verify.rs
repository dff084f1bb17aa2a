//! Compares a folder with the published archive, or with a regeneration.

use std::path::Path;

use super::digest::md5_of;
use super::generate::{Draws, each_part, each_sequence};
use super::{Dataset, NpyReader, Published, Source, read_labels};
use crate::{Corruption, Error, Generator, Result, Sequence, Severity};

/// The result of [`verify_dir`] for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// Name without `.npy`.
    pub name: &'static str,
    /// The published MD5, if there is one.
    pub expected: Option<&'static str>,
    /// The verdict.
    pub status: Status,
}

/// The verdict on one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The published file.
    Equal,
    /// A well-formed file with other content: corrupted by somebody else's program, or by
    /// this one with its own draws.
    Differs {
        /// Its MD5.
        md5: String,
    },
    /// A well-formed file of which no checksum is published.
    Unpublished {
        /// Its MD5.
        md5: String,
    },
    /// No such file.
    Missing,
    /// There, but not an array of the published type and shape.
    Malformed {
        /// Why.
        why: String,
    },
}

/// Compares the files of `folder` with the published checksums. `progress` is called
/// with each name before its file is read.
///
/// # Errors
/// When `folder` is no folder or a file in it cannot be read.
///
/// ```
/// use rlnet_corruptions::archive::{NpyWriter, Published, Status, verify_dir};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let mut fog = NpyWriter::create(folder.join("fog.npy"), &[2])?;
/// fog.write(&[1, 2])?;
/// fog.finish()?;
/// let files = verify_dir(folder, Published::Cifar10C, &mut |_| {})?;
/// assert_eq!(files.len(), 20);
/// for file in files {
///     match file.name {
///         "fog" => assert!(matches!(file.status, Status::Malformed { .. })),
///         _ => assert_eq!(file.status, Status::Missing),
///     }
/// }
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn verify_dir(
    folder: impl AsRef<Path>,
    published: Published,
    progress: &mut dyn FnMut(&'static str),
) -> Result<Vec<FileStatus>> {
    let folder = folder.as_ref();
    if !folder.is_dir() {
        return Err(Error::archive(folder, "not a folder"));
    }
    published
        .names()
        .into_iter()
        .map(|name| {
            progress(name);
            let expected = published.md5(name);
            let path = folder.join(format!("{name}.npy"));
            let status = verify_file(&path, &published.shape(name), expected)?;
            Ok(FileStatus {
                name,
                expected,
                status,
            })
        })
        .collect()
}

impl Published {
    /// The archive whose labels `folder` has, if any; CIFAR-10-P if it has none, but sequences that no other
    /// archive has.
    pub fn of_folder(folder: impl AsRef<Path>) -> Option<Self> {
        let has = |name: &str| folder.as_ref().join(format!("{name}.npy")).is_file();
        if !has("labels")
            && ["rotate", "tilt", "scale", "translate", "shear"]
                .into_iter()
                .any(has)
        {
            return Some(Self::Cifar10P);
        }
        let labels = md5_of(&folder.as_ref().join("labels.npy")).ok()?;
        Self::ALL
            .into_iter()
            .find(|published| published.md5("labels") == Some(labels.as_str()))
    }
}

fn verify_file(path: &Path, shape: &[usize], expected: Option<&str>) -> Result<Status> {
    if !path.exists() {
        return Ok(Status::Missing);
    }
    let md5 = md5_of(path)?;
    if expected == Some(md5.as_str()) {
        return Ok(Status::Equal);
    }
    let form = match *shape {
        [count] => read_labels(path).and_then(|labels| match labels.len() {
            found if found == count => Ok(()),
            other => Err(Error::archive(
                path,
                format!("it has {other} labels, not {count}"),
            )),
        }),
        _ => NpyReader::open(path)
            .and_then(|reader| reader.expect(shape))
            .map(drop),
    };
    match form {
        Ok(()) if expected.is_none() => Ok(Status::Unpublished { md5 }),
        Ok(()) => Ok(Status::Differs { md5 }),
        Err(Error::Archive { why, .. }) => Ok(Status::Malformed { why }),
        Err(other) => Err(other),
    }
}

/// How far two arrays of bytes are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Difference {
    /// Bytes that differ.
    pub differing: u64,
    /// Bytes compared.
    pub total: u64,
    /// The largest difference.
    pub largest: u8,
}

impl Difference {
    /// Share of bytes that differ.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.differing as f64 / self.total as f64
        }
    }

    fn add(&mut self, a: &[u8], b: &[u8]) {
        for (a, b) in a.iter().zip(b) {
            self.differing += u64::from(a != b);
            self.largest = self.largest.max(a.abs_diff(*b));
        }
        self.total += a.len() as u64;
    }
}

/// Compares two `.npy` files of one shape, byte by byte.
///
/// # Errors
/// When one of them cannot be read, or their shapes differ.
///
/// ```
/// use rlnet_corruptions::archive::{NpyWriter, compare_files};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// for (name, bytes) in [("a.npy", [1, 2, 3, 4]), ("b.npy", [1, 2, 3, 9])] {
///     let mut writer = NpyWriter::create(folder.join(name), &[4])?;
///     writer.write(&bytes)?;
///     writer.finish()?;
/// }
/// let difference = compare_files(folder.join("a.npy"), folder.join("b.npy"))?;
/// assert_eq!((difference.differing, difference.total, difference.largest), (1, 4, 5));
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn compare_files(a: impl AsRef<Path>, b: impl AsRef<Path>) -> Result<Difference> {
    let mut a = NpyReader::open(a)?;
    let mut b = NpyReader::open(b)?.expect(a.shape())?;
    let row = a.shape().iter().skip(1).product::<usize>().max(1);
    let rows = a.shape().first().copied().unwrap_or(0);
    let run = ((1 << 20) / row).max(1);
    let (mut left, mut right) = (vec![0; run * row], vec![0; run * row]);
    let mut difference = Difference::default();
    for first in (0..rows).step_by(run) {
        let length = run.min(rows - first) * row;
        a.read_rows(first, &mut left[..length])?;
        b.read_rows(first, &mut right[..length])?;
        difference.add(&left[..length], &right[..length]);
    }
    Ok(difference)
}

/// Compares a corruption's `.npy` file with what `generator` makes of `dataset`, without
/// writing anything. For the eight deterministic corruptions this says whether a file is
/// made from these images, and how far from it.
///
/// # Errors
/// When the file cannot be read or has another shape, and as [`Generator::corrupt`].
///
/// ```
/// use rlnet_corruptions::archive::{Dataset, Source, compare_regenerated, generate_archive};
/// use rlnet_corruptions::{Corruption, Generator};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let (images, labels) = (vec![99; 2 * 3072], [3, 8]);
/// let dataset = Dataset { images: &images, labels: &labels, size: (32, 32) };
/// let (generator, source) = (Generator::default(), Source::Keyed { seed: 0 });
/// generate_archive(&generator, &dataset, folder, &[Corruption::Fog], source, &mut |_| {})?;
/// let path = folder.join("fog.npy");
/// let compare = |source| compare_regenerated(&generator, &dataset, Corruption::Fog, source, &path);
/// assert_eq!(compare(source)?.differing, 0);
/// assert!(compare(Source::Keyed { seed: 1 })?.fraction() > 0.5);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn compare_regenerated(
    generator: &Generator,
    dataset: &Dataset<'_>,
    corruption: Corruption,
    source: Source,
    path: impl AsRef<Path>,
) -> Result<Difference> {
    let count = dataset.count()?;
    let (width, height) = dataset.size;
    let mut compared = Compared::new(path, &[5 * count, height, width, 3])?;
    let mut draws = Draws::from(source);
    for severity in Severity::ALL {
        each_part(
            generator,
            dataset,
            corruption,
            severity,
            &mut draws,
            &mut |part, images| compared.part(part, images),
        )?;
    }
    Ok(compared.difference)
}

/// The same for the file of a sequence.
///
/// # Errors
/// As [`compare_regenerated`].
///
/// ```
/// use rlnet_corruptions::archive::{Dataset, Source, compare_sequence, generate_sequences};
/// use rlnet_corruptions::{Generator, Options, Sequence, Stack};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let (images, labels) = ((0..2 * 3072).map(|i| i as u8).collect::<Vec<u8>>(), [3, 8]);
/// let dataset = Dataset { images: &images, labels: &labels, size: (32, 32) };
/// let source = Source::Keyed { seed: 0 };
/// generate_sequences(&Generator::default(), &dataset, folder, &[Sequence::Rotate], source, &mut |_, _, _| {})?;
/// let path = folder.join("rotate.npy");
/// let under = |stack| {
///     let generator = Generator::new(Options { stack, ..Options::default() });
///     compare_sequence(&generator, &dataset, Sequence::Rotate, source, &path)
/// };
/// assert_eq!(under(Stack::Release)?.differing, 0);
/// assert!(under(Stack::Modern)?.fraction() > 0.3);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn compare_sequence(
    generator: &Generator,
    dataset: &Dataset<'_>,
    sequence: Sequence,
    source: Source,
    path: impl AsRef<Path>,
) -> Result<Difference> {
    let (width, height) = dataset.size;
    let shape = [dataset.count()?, sequence.frames(), height, width, 3];
    let mut compared = Compared::new(path, &shape)?;
    each_sequence(generator, dataset, sequence, source, &mut |part, images| {
        compared.part(part, images)
    })?;
    Ok(compared.difference)
}

/// A file beside what is made anew, part by part.
struct Compared {
    reader: NpyReader,
    rows: usize,
    file: Vec<u8>,
    difference: Difference,
}

impl Compared {
    fn new(path: impl AsRef<Path>, shape: &[usize]) -> Result<Self> {
        Ok(Self {
            reader: NpyReader::open(path)?.expect(shape)?,
            rows: 0,
            file: Vec::new(),
            difference: Difference::default(),
        })
    }

    fn part(&mut self, made: &[u8], rows: usize) -> Result<()> {
        self.file.resize(made.len(), 0);
        self.reader.read_rows(self.rows, &mut self.file)?;
        self.difference.add(made, &self.file);
        self.rows += rows;
        Ok(())
    }
}
