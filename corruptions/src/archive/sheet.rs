//! A picture of all nineteen corruptions at all five severities.

use std::fs;
use std::path::Path;

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
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let temporary = path.with_file_name(name);
    let (width, height) = (image.width() as u32, image.height() as u32);
    let saved = image::save_buffer_with_format(
        &temporary,
        image.data(),
        width,
        height,
        image::ColorType::Rgb8,
        image::ImageFormat::Png,
    );
    if let Err(error) = saved {
        let _ = fs::remove_file(&temporary);
        return Err(Error::archive(path, error.to_string()));
    }
    fs::rename(&temporary, path).map_err(Error::io(path))
}
