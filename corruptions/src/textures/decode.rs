//! PNG and JPEG files, read as the reference reads its frost photographs.
//!
//! The PNG files have an alpha channel, which is dropped, not composited. The JPEG files
//! go through libjpeg-turbo's decoder (accurate integer transform, fancy upsampling):
//! another decoder gives other bytes.

use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::Path;

use md5::{Digest, Md5};

use super::Texture;
use crate::{Error, Image, Result};

/// Reads and checks one row of the table of originals.
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
    let image = image(&bytes).map_err(|error| Error::texture(&path, error.to_string()))?;
    if (image.width(), image.height()) != (width, height) {
        return Err(Error::texture(&path, "it has another size than the original"));
    }
    Ok(Texture {
        width,
        height,
        rgb: image.into_raw(),
    })
}

/// Decodes a PNG or JPEG file to RGB.
pub(crate) fn image(bytes: &[u8]) -> Result<Image> {
    if bytes.starts_with(b"\x89PNG") {
        png(bytes)
    } else if bytes.starts_with(b"\xff\xd8") {
        jpeg(bytes)
    } else {
        Err(Error::Decode("neither a PNG nor a JPEG file".to_owned()))
    }
}

fn png(bytes: &[u8]) -> Result<Image> {
    let reader = image::ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    let picture = reader
        .decode()
        .map_err(|error| Error::Decode(error.to_string()))?
        .to_rgba8();
    let rgb = picture.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Image::from_raw(width, height, rgb.collect())
}

fn jpeg(bytes: &[u8]) -> Result<Image> {
    // The C library fills a file that was cut short with grey and goes on. Entropy-coded data
    // never holds a marker, so a whole file has an end marker after its last start of scan.
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    if last(0xd9) <= last(0xda) {
        return Err(Error::Decode("the JPEG file is cut short".to_owned()));
    }
    let decode = || {
        let mut decoder = mozjpeg::Decompress::builder().from_mem(bytes)?.rgb()?;
        let (width, height) = (decoder.width(), decoder.height());
        let rgb = decoder.read_scanlines::<u8>()?;
        decoder.finish()?;
        Ok((width, height, rgb))
    };
    // The binding unwinds on a fatal error of the C library.
    let (width, height, rgb) = catch_unwind(decode)
        .map_err(|_| Error::Decode("not a whole JPEG file".to_owned()))?
        .map_err(|error: std::io::Error| Error::Decode(error.to_string()))?;
    Image::from_raw(width, height, rgb)
}
