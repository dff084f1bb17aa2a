//! PNG and JPEG files, to and from RGB images. JPEG needs the feature `jpeg`.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader};

use crate::{Error, Image, Result};

/// Decodes a PNG or JPEG file to RGB.
pub(crate) fn decode(bytes: &[u8]) -> Result<Image> {
    if bytes.starts_with(b"\x89PNG") {
        decode_png(bytes)
    } else if bytes.starts_with(b"\xff\xd8") {
        jpeg::decode(bytes)
    } else {
        Err(Error::Decode("neither a PNG nor a JPEG file".to_owned()))
    }
}

fn decode_png(bytes: &[u8]) -> Result<Image> {
    let picture = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png)
        .decode()
        .map_err(|error| Error::Decode(error.to_string()))?
        .to_rgba8();
    let rgb = picture.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Image::from_raw(width, height, rgb.collect())
}

/// The bytes of a PNG file; an error is a text.
pub(crate) fn encode_png(image: &Image) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(
            image.data(),
            image.width() as u32,
            image.height() as u32,
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

pub(crate) use jpeg::encode as encode_jpeg;

#[cfg(feature = "jpeg")]
mod jpeg {
    use std::panic::catch_unwind;

    use crate::{Error, Image, Result};

    pub(super) fn decode(bytes: &[u8]) -> Result<Image> {
        // The C library fills a truncated file with grey and continues. Entropy-coded data never
        // holds a marker, so a whole file has an end marker after its last start of scan.
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

    /// The bytes of a JPEG file as libjpeg-turbo writes it: the standard's tables at `quality`,
    /// chroma halved both ways, optimised Huffman tables.
    pub(crate) fn encode(image: &Image, quality: u8) -> Result<Vec<u8>> {
        let encode = || {
            let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
            // Plain libjpeg-turbo: no trellis, no progression.
            encoder.set_fastest_defaults();
            encoder.set_size(image.width(), image.height());
            encoder.set_quality(f32::from(quality));
            encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
            encoder.set_optimize_coding(true);
            let mut started = encoder.start_compress(Vec::new())?;
            started.write_scanlines(image.data())?;
            started.finish()
        };
        let refused = |why: String| Error::Encode(why);
        catch_unwind(encode)
            .map_err(|_| refused("the image cannot be stored as JPEG".to_owned()))?
            .map_err(|error: std::io::Error| refused(error.to_string()))
    }
}

#[cfg(not(feature = "jpeg"))]
mod jpeg {
    use crate::{Error, Image, Result};

    pub(super) fn decode(_: &[u8]) -> Result<Image> {
        Err(Error::JpegFeature("reading a JPEG file"))
    }

    pub(crate) fn encode(_: &Image, _: u8) -> Result<Vec<u8>> {
        Err(Error::JpegFeature("writing a JPEG file"))
    }
}
