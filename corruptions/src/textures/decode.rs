//! The original photographs, read as the reference reads them.
//!
//! The PNG files have an alpha channel, which is dropped, not composited. The JPEG files
//! go through libjpeg-turbo's decoder (accurate integer transform, fancy upsampling):
//! another decoder gives other bytes.

use std::io::Cursor;
use std::path::Path;

use md5::{Digest, Md5};

use super::Texture;
use crate::{Error, Result};

/// Reads and checks one row of the table.
pub(super) fn original(
    folder: &Path,
    &(name, width, height, md5): &(&str, usize, usize, &str),
) -> Result<Texture> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
    let digest = format!("{:x}", Md5::digest(&bytes));
    if digest != md5 {
        return Err(Error::texture(&path, format!("its MD5 is {digest}, not {md5}")));
    }
    let decoded = if name.ends_with(".png") {
        png(&bytes)
    } else {
        jpeg(&bytes)
    };
    let texture = decoded.map_err(|why| Error::texture(&path, why))?;
    if (texture.width, texture.height) == (width, height) {
        Ok(texture)
    } else {
        Err(Error::texture(&path, "it has another size than the original"))
    }
}

fn png(bytes: &[u8]) -> Result<Texture, String> {
    let reader = image::ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    let picture = reader.decode().map_err(|error| error.to_string())?;
    let rgba = picture.to_rgba8();
    let rgb = rgba.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect();
    Ok(Texture {
        width: rgba.width() as usize,
        height: rgba.height() as usize,
        rgb,
    })
}

fn jpeg(bytes: &[u8]) -> Result<Texture, String> {
    let error = |error: std::io::Error| error.to_string();
    let mut decoder = mozjpeg::Decompress::builder()
        .from_mem(bytes)
        .and_then(|decoder| decoder.rgb())
        .map_err(error)?;
    let (width, height) = (decoder.width(), decoder.height());
    let rgb = decoder.read_scanlines::<u8>().map_err(error)?;
    decoder.finish().map_err(error)?;
    Ok(Texture { width, height, rgb })
}
