//! PNG and JPEG files, to and from RGB images. JPEG needs the feature `jpeg`.

use std::io::Cursor;

use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, Limits};

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
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    // No file can hold more: deflate makes a byte of 1,032 at most, and of a palette's bit three bytes.
    let most = 1_032 * 8 * 3 * bytes.len() as u64 + (1 << 20);
    let mut limits = Limits::default();
    limits.max_alloc = Some(limits.max_alloc.map_or(most, |usual| usual.min(most)));
    reader.limits(limits);
    let picture = reader
        .decode()
        .map_err(|error| Error::Decode(error.to_string()))?;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    // Of sixteen bits Pillow takes the upper eight.
    let upper = |value: &u16| (value >> 8) as u8;
    let rgb: Vec<u8> = match &picture {
        DynamicImage::ImageLuma16(_) => {
            return Err(Error::Decode(
                "a grey PNG of 16 bits, which Python's usual readers turn into white; store it with 8 bits"
                    .to_owned(),
            ));
        }
        DynamicImage::ImageLumaA16(deep) => deep.pixels().flat_map(|p| [upper(&p.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(deep) => deep
            .pixels()
            .flat_map(|p| p.0.map(|value| upper(&value)))
            .collect(),
        DynamicImage::ImageRgba16(deep) => deep
            .pixels()
            .flat_map(|p| [0, 1, 2].map(|channel| upper(&p.0[channel])))
            .collect(),
        _ => picture
            .to_rgba8()
            .pixels()
            .flat_map(|p| [p.0[0], p.0[1], p.0[2]])
            .collect(),
    };
    Image::from_raw(width, height, rgb)
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

    use mozjpeg::ColorSpace;

    use crate::{Error, Image, Result};

    pub(super) fn decode(bytes: &[u8]) -> Result<Image> {
        // The C library fills a truncated file with grey and continues. Entropy-coded data never
        // holds a marker, so a whole file has an end marker after its last start of scan.
        let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
        if last(0xd9) <= last(0xda) {
            return Err(Error::Decode("the JPEG file is cut short".to_owned()));
        }
        let decode = || {
            let decoder = mozjpeg::Decompress::builder().from_mem(bytes)?;
            let inks = [ColorSpace::JCS_CMYK, ColorSpace::JCS_YCCK].contains(&decoder.color_space());
            // The C library turns YCCK into CMYK, and neither into RGB.
            let space = if inks {
                ColorSpace::JCS_CMYK
            } else {
                ColorSpace::JCS_RGB
            };
            let mut decoder = decoder.to_colorspace(space)?;
            let (width, height) = (decoder.width(), decoder.height());
            // A block of 64 pixels takes a bit at least, and pixels become three bytes.
            if (width as u64) * (height as u64) > 64 * 8 * bytes.len() as u64 + (1 << 16) {
                return Err(std::io::Error::other(
                    "the file is too short for its size in pixels",
                ));
            }
            let values = decoder.read_scanlines::<u8>()?;
            decoder.finish()?;
            let rgb = if inks { rgb_of_inks(&values) } else { values };
            Ok((width, height, rgb))
        };
        // The binding unwinds on a fatal error of the C library, whose text it hands over.
        let (width, height, rgb) = catch_unwind(decode)
            .map_err(|why| {
                let why = why
                    .downcast_ref::<String>()
                    .map_or("no reason given", String::as_str);
                Error::Decode(format!("the JPEG file cannot be decoded ({why})"))
            })?
            .map_err(|error: std::io::Error| Error::Decode(error.to_string()))?;
        Image::from_raw(width, height, rgb)
    }

    /// RGB of the four inks as a file has them, byte for byte as Pillow's `convert("RGB")`: inks are
    /// stored inverted (Adobe's convention, which Pillow takes for granted), 255 is none.
    fn rgb_of_inks(inks: &[u8]) -> Vec<u8> {
        // x * y / 255, rounded as Pillow does.
        let product = |x: u8, y: u8| {
            let wide = u32::from(x) * u32::from(y) + 128;
            (((wide >> 8) + wide) >> 8) as u8
        };
        inks.chunks_exact(4)
            .flat_map(|pixel| {
                let light = pixel[3];
                [0, 1, 2].map(|ink| light - product(255 - pixel[ink], light))
            })
            .collect()
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

    #[cfg(test)]
    mod tests {
        use super::*;

        /// A picture of one colour, stored in these four inks.
        fn of_inks(space: ColorSpace, inks: [u8; 4]) -> Vec<u8> {
            let mut encoder = mozjpeg::Compress::new(ColorSpace::JCS_CMYK);
            encoder.set_color_space(space);
            encoder.set_size(16, 16);
            encoder.set_quality(100.0);
            let mut started = encoder.start_compress(Vec::new()).expect("started");
            started.write_scanlines(&inks.repeat(256)).expect("written");
            started.finish().expect("a file")
        }

        /// light - (255 - ink) * light / 255, by hand.
        #[test]
        fn pictures_of_four_inks_become_rgb_as_in_pillow() {
            for space in [ColorSpace::JCS_CMYK, ColorSpace::JCS_YCCK] {
                for (inks, rgb) in [
                    ([255, 255, 255, 255], [255, 255, 255]),
                    ([200, 100, 50, 128], [100, 50, 25]),
                    ([10, 240, 128, 0], [0, 0, 0]),
                    ([0, 255, 255, 255], [0, 255, 255]),
                ] {
                    let image = decode(&of_inks(space, inks)).expect("a picture");
                    assert_eq!((image.width(), image.height()), (16, 16));
                    let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 2;
                    let all = image
                        .data()
                        .chunks(3)
                        .all(|pixel| pixel.iter().zip(&rgb).all(near));
                    assert!(all, "{space:?} {inks:?}: {:?}", &image.data()[..3]);
                }
            }
            assert_eq!(rgb_of_inks(&[200, 100, 50, 128]), [100, 50, 25]);
        }

        /// The reason is the C library's.
        #[test]
        fn a_file_that_cannot_be_decoded_says_why() {
            let mut bytes =
                encode(&Image::from_raw(8, 8, vec![9; 192]).expect("an image"), 90).expect("a file");
            let frame = bytes
                .windows(2)
                .position(|pair| pair[0] == 0xff && (0xc0..=0xc2).contains(&pair[1]));
            // Twelve bits a sample.
            bytes[frame.expect("a frame") + 4] = 12;
            let error = decode(&bytes).expect_err("not in this library").to_string();
            assert!(
                error.contains("cannot be decoded (") && error.contains("12"),
                "{error}"
            );
        }
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
