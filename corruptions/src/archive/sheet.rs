//! Pictures of all corruptions of a family at all severities, and of sequences; picture files.

use std::fs;
use std::path::Path;

use crate::codec::{encode_jpeg, encode_png};
use crate::{Corruption, Error, Generator, Image, Result, Sequence, Severity};

/// Pixels between tiles.
const GAP: usize = 2;

/// The image under every one of `corruptions` (columns) at the five severities (rows), on white,
/// drawn with the keyed source under `seed` at index 0.
///
/// # Errors
/// As [`Generator::corrupt`].
///
/// ```
/// use rlnet_corruptions::archive::contact_sheet;
/// use rlnet_corruptions::{Family, Generator, Image};
/// let image = Image::from_raw(32, 32, vec![128; 3072])?;
/// let sheet = contact_sheet(&Generator::default(), &image, Family::C.corruptions(), 0)?;
/// assert_eq!((sheet.width(), sheet.height()), (15 * 34 + 2, 5 * 34 + 2));
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn contact_sheet(
    generator: &Generator,
    image: &Image,
    corruptions: &[Corruption],
    seed: u64,
) -> Result<Image> {
    let columns = corruptions.iter().map(|&corruption| {
        let tile = |severity| generator.corrupt_keyed(image, corruption, severity, seed, 0);
        Severity::ALL.into_iter().map(tile).collect()
    });
    tiled(image, 5, &columns.collect::<Result<Vec<Vec<Image>>>>()?)
}

/// Frames of a row of [`sequence_sheet`].
const SHOWN: usize = 11;

/// Eleven frames of every one of `sequences`, from the first to the last (rows), on white, drawn with the
/// keyed source under `seed` at index 0.
///
/// # Errors
/// When the image is not 32x32.
///
/// ```
/// use rlnet_corruptions::archive::sequence_sheet;
/// use rlnet_corruptions::{Generator, Image, Sequence};
/// let image = Image::from_raw(32, 32, vec![128; 3072])?;
/// let sheet = sequence_sheet(&Generator::default(), &image, Sequence::published(), 0)?;
/// assert_eq!((sheet.width(), sheet.height()), (11 * 34 + 2, 14 * 34 + 2));
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn sequence_sheet(
    generator: &Generator,
    image: &Image,
    sequences: &[Sequence],
    seed: u64,
) -> Result<Image> {
    let frame = |sequence: Sequence, column: usize| {
        let at = column * (sequence.frames() - 1) / (SHOWN - 1);
        let mut data = vec![0; image.data().len()];
        let size = (image.width(), image.height());
        let batch = generator.sequences(sequence).seed(seed).frames(at..at + 1);
        batch.run(image.data(), size, &mut data)?;
        Image::from_raw(size.0, size.1, data)
    };
    let columns = (0..SHOWN).map(|column| {
        sequences
            .iter()
            .map(|&sequence| frame(sequence, column))
            .collect()
    });
    tiled(
        image,
        sequences.len(),
        &columns.collect::<Result<Vec<Vec<Image>>>>()?,
    )
}

/// Columns of `rows` tiles, each of the size of `image`.
fn tiled(image: &Image, rows: usize, columns: &[Vec<Image>]) -> Result<Image> {
    let (wide, tall) = (image.width() + GAP, image.height() + GAP);
    let (width, height) = (columns.len() * wide + GAP, rows * tall + GAP);
    let mut sheet = vec![255; crate::image::bytes(width, height)?];
    for (column, tiles) in columns.iter().enumerate() {
        for (row, tile) in tiles.iter().enumerate() {
            for (y, line) in tile.data().chunks_exact(3 * image.width()).enumerate() {
                let at = (GAP + row * tall + y) * width + GAP + column * wide;
                sheet[3 * at..][..line.len()].copy_from_slice(line);
            }
        }
    }
    Image::from_raw(width, height, sheet)
}

/// Writes `image` as a PNG file, under a temporary name until it is whole.
///
/// # Errors
/// When the file cannot be written.
pub fn write_png(image: &Image, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode_png(image).map_err(|why| Error::archive(path, why))?;
    write_whole(path, &bytes)
}

/// Writes `image` as a JPEG file as Pillow's `save(..., quality, optimize=True)` does: the
/// standard quantisation tables at `quality` (1 to 100), accurate integer transform, chroma
/// halved both ways, optimised Huffman tables, one scan. It needs the feature `jpeg`.
///
/// # Errors
/// When the image cannot be stored as JPEG, the file cannot be written, or the crate was built
/// without `jpeg`.
///
/// ```
/// use rlnet_corruptions::{Image, archive::write_jpeg};
/// # if cfg!(not(feature = "jpeg")) { return Ok(()); }
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("grey.jpg");
/// let grey = Image::from_raw(32, 32, vec![128; 3072])?;
/// write_jpeg(&grey, 85, &path)?;
/// let read = Image::decode(&std::fs::read(&path).unwrap())?;
/// assert_eq!(read, grey); // Only because it is flat: JPEG loses.
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn write_jpeg(image: &Image, quality: u8, path: impl AsRef<Path>) -> Result<()> {
    write_whole(path.as_ref(), &encode_jpeg(image, quality)?)
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io(path)(error)
    })
}
