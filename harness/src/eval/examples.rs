//! A strip of the first test images under a condition, for reports.

use crate::error::{Error, Result};
use crate::files::write_atomic;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
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
