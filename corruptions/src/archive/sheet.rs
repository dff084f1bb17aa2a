//! A picture of all corruptions of a family at all severities; picture files.

use std::fs;
use std::path::Path;

use crate::codec::{encode_jpeg, encode_png};
use crate::{Corruption, Error, Generator, Image, Result, Severity};

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
    let (wide, tall) = (image.width() + GAP, image.height() + GAP);
    let (width, height) = (corruptions.len() * wide + GAP, 5 * tall + GAP);
    let mut sheet = vec![255; crate::image::bytes(width, height)?];
    for (column, &corruption) in corruptions.iter().enumerate() {
        for (row, severity) in Severity::ALL.into_iter().enumerate() {
            let tile = generator.corrupt_keyed(image, corruption, severity, seed, 0)?;
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
