//! A strip of the first test images under a condition, for reports; and of a bundle's originals.

use crate::error::{Error, Result};
use crate::files::{read, write_atomic};
use image::codecs::png::{PngDecoder, PngEncoder};
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageEncoder};
use std::io::Cursor;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Images in a strip.
pub const COUNT: usize = 8;

/// RGB bytes `[N, H, W, 3]` of images `[N, 3, H, W]` in `[0, 1]`, rounded to nearest.
pub fn to_bytes(images: &Tensor) -> Vec<u8> {
    let bytes = (images.detach().to_device(Device::Cpu) * 255.0)
        .round()
        .clamp(0.0, 255.0)
        .to_kind(Kind::Uint8)
        .permute([0, 2, 3, 1])
        .contiguous();
    let mut out = vec![0; bytes.numel()];
    bytes.copy_data(&mut out, bytes.numel());
    out
}

/// Writes images (`[N, size, size, 3]` bytes) side by side as a PNG.
///
/// # Errors
/// When the file cannot be written.
pub fn write_strip(path: &Path, images: &[u8], size: usize) -> Result<()> {
    let per_image = size * size * 3;
    let count = images.len() / per_image;
    let mut strip = vec![0; images.len()];
    for (index, image) in images.chunks_exact(per_image).enumerate() {
        for (row, pixels) in image.chunks_exact(size * 3).enumerate() {
            let at = (row * count + index) * size * 3;
            strip[at..at + size * 3].copy_from_slice(pixels);
        }
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(
            &strip,
            (count * size) as u32,
            size as u32,
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| Error::Internal(format!("encoding {}: {error}", path.display())))?;
    write_atomic(path, &png)
}

/// Reads a strip of `count` images of this side that [`write_strip`] wrote: `[count, size, size, 3]` bytes.
///
/// # Errors
/// When the file cannot be read or holds other images.
pub fn read_strip(path: &Path, count: usize, size: usize) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    let damaged = |error: image::ImageError| Error::reading(path, error);
    let decoder = PngDecoder::new(Cursor::new(&bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    // Before anything is decoded: a file may claim any size.
    let fits = (width as usize, height as usize) == (count * size, size) && count * size > 0;
    if !fits || decoder.color_type() != ColorType::Rgb8 {
        return Err(Error::reading(
            path,
            format!(
                "{width} x {height} pixels, where a strip of {count} images of {size} x {size} in colour was expected"
            ),
        ));
    }
    let mut strip = vec![0; count * size * size * 3];
    decoder.read_image(&mut strip).map_err(damaged)?;
    let mut images = vec![0; strip.len()];
    for (index, image) in images.chunks_exact_mut(size * size * 3).enumerate() {
        for (row, pixels) in image.chunks_exact_mut(size * 3).enumerate() {
            let at = (row * count + index) * size * 3;
            pixels.copy_from_slice(&strip[at..at + size * 3]);
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_comes_back_as_it_was_and_another_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("strip.png");
        let images: Vec<u8> = (0..3 * 4 * 4 * 3).map(|i| (i * 7) as u8).collect();
        write_strip(&path, &images, 4).expect("written");
        assert_eq!(read_strip(&path, 3, 4).expect("read"), images);
        for (count, size) in [(4, 3), (2, 4), (0, 4), (3, 0)] {
            assert!(read_strip(&path, count, size).is_err(), "{count} of {size}");
        }
    }
}
