//! A picture of all nineteen corruptions at all five severities; picture files.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use image::ImageEncoder;

use crate::{Corruption, Error, Generator, Image, Result, Severity};

/// Pixels between tiles.
const GAP: usize = 2;

/// A sheet of 19 rows (the order of [`Corruption::ALL`]) and 5 columns (severities), on
/// white, drawn with the keyed source under `seed` at index 0.
///
/// ```
/// use rlnet_corruptions::archive::contact_sheet;
/// use rlnet_corruptions::{Generator, Image};
/// let image = Image::from_raw(32, 32, vec![128; 3072])?;
/// let sheet = contact_sheet(&Generator::default(), &image, 0)?;
/// assert_eq!((sheet.width(), sheet.height()), (5 * 34 + 2, 19 * 34 + 2));
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn contact_sheet(generator: &Generator, image: &Image, seed: u64) -> Result<Image> {
    let (wide, tall) = (image.width() + GAP, image.height() + GAP);
    let (width, height) = (5 * wide + GAP, Corruption::ALL.len() * tall + GAP);
    let mut sheet = vec![255; crate::image::bytes(width, height)?];
    for (row, corruption) in Corruption::ALL.into_iter().enumerate() {
        for (column, severity) in Severity::ALL.into_iter().enumerate() {
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
pub fn write_png(image: &Image, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let (width, height) = (image.width() as u32, image.height() as u32);
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(image.data(), width, height, image::ExtendedColorType::Rgb8)
        .map_err(|error| Error::archive(path, error.to_string()))?;
    write_whole(path, &bytes)
}

/// Writes `image` as a JPEG file as Pillow's `save(..., quality, optimize=True)` does: the
/// standard quantisation tables at `quality` (1 to 100), accurate integer transform, chroma
/// halved both ways, optimised Huffman tables, one scan.
/// ```
/// use rlnet_corruptions::{Image, archive::write_jpeg};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("grey.jpg");
/// let grey = Image::from_raw(32, 32, vec![128; 3072])?;
/// write_jpeg(&grey, 85, &path)?;
/// let read = Image::decode(&std::fs::read(&path).unwrap())?;
/// assert_eq!(read, grey); // Only because it is flat: JPEG loses.
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn write_jpeg(image: &Image, quality: u8, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let encode = || {
        let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
        // Plain libjpeg-turbo: no trellis, no progression, the standard's tables.
        encoder.set_fastest_defaults();
        encoder.set_size(image.width(), image.height());
        encoder.set_quality(f32::from(quality));
        encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
        encoder.set_optimize_coding(true);
        let mut started = encoder.start_compress(Vec::new())?;
        started.write_scanlines(image.data())?;
        started.finish()
    };
    // The binding unwinds on a fatal error of the C library.
    let bytes = catch_unwind(encode)
        .map_err(|_| Error::archive(path, "this image cannot be stored as JPEG"))?
        .map_err(Error::io(path))?;
    write_whole(path, &bytes)
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
