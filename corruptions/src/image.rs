//! An RGB image: eight bits, three channels, row by row.

use crate::{Error, Result};

/// An RGB image: `data[(y * width + x) * 3 + channel]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Image {
    /// An image of `width` x `height` from its `width * height * 3` bytes.
    ///
    /// # Errors
    /// When the size is empty or too large, or the number of bytes is another one.
    ///
    /// ```
    /// use rlnet_corruptions::Image;
    /// let black = Image::from_raw(32, 32, vec![0; 32 * 32 * 3])?;
    /// assert_eq!((black.width(), black.height()), (32, 32));
    /// // A grey or RGBA image is refused, not converted.
    /// assert!(Image::from_raw(32, 32, vec![0; 32 * 32]).is_err());
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn from_raw(width: usize, height: usize, data: Vec<u8>) -> Result<Self> {
        let expected = bytes(width, height)?;
        if data.len() != expected {
            return Err(Error::ImageSize {
                width,
                height,
                expected,
                actual: data.len(),
            });
        }
        Ok(Self { width, height, data })
    }

    /// An image from the bytes of a PNG or JPEG file. Grey becomes RGB, an alpha channel is
    /// dropped, not composited. JPEG is decoded as libjpeg-turbo does (accurate integer
    /// transform, fancy upsampling), which is what Pillow and OpenCV give; it needs the feature
    /// `jpeg`.
    ///
    /// # Errors
    /// When the file is neither PNG nor JPEG, is damaged, or is JPEG and the crate was built
    /// without `jpeg`.
    ///
    /// ```
    /// use rlnet_corruptions::{Image, archive::write_png};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("ramp.png");
    /// let ramp = Image::from_raw(32, 32, (0..3072).map(|i| i as u8).collect())?;
    /// write_png(&ramp, &path)?;
    /// let file = std::fs::read(&path).unwrap();
    /// assert_eq!(Image::decode(&file)?, ramp);
    /// // Half a file is no image.
    /// assert!(Image::decode(&file[..file.len() / 2]).is_err());
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn decode(file: &[u8]) -> Result<Self> {
        crate::codec::decode(file)
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The bytes, without a copy.
    pub fn into_raw(self) -> Vec<u8> {
        self.data
    }
}

/// Bytes of a `width` x `height` image. 2^31 is the limit so that index arithmetic in
/// `i32` coordinates cannot overflow anywhere below.
pub(crate) fn bytes(width: usize, height: usize) -> Result<usize> {
    width
        .checked_mul(height)
        .and_then(|pixels| pixels.checked_mul(3))
        .filter(|&bytes| bytes > 0 && bytes < 1 << 31)
        .ok_or(Error::Degenerate { width, height })
}
