//! What can go wrong, with what the caller needs to put it right.

use std::path::{Path, PathBuf};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was refused. No function of this crate panics on bad input, and none
/// crops, pads or converts an image to make it fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that no corruption has.
    #[error("unknown corruption {name:?}; did you mean {suggestion:?}?")]
    UnknownCorruption {
        /// The unknown name.
        name: String,
        /// The nearest known name.
        suggestion: &'static str,
    },
    /// An unknown word where a short list is known.
    #[error("unknown {what} {name:?}; known: {known}")]
    UnknownName {
        /// The kind of thing it should name.
        what: &'static str,
        /// The unknown word.
        name: String,
        /// The known words.
        known: &'static str,
    },
    /// A severity outside 1 to 5.
    #[error("severity {0} is not one of 1, 2, 3, 4, 5")]
    Severity(u8),
    /// Pixel bytes that do not fill the stated rectangle.
    #[error(
        "a {width}x{height} RGB image has {expected} bytes, not {actual} \
         (three channels, row by row, no alpha, no grey)"
    )]
    ImageSize {
        /// Stated width.
        width: usize,
        /// Stated height.
        height: usize,
        /// width * height * 3.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// An image without pixels, or of more than 2^31 bytes.
    #[error("an image of {width}x{height} is empty or too large")]
    Degenerate {
        /// Stated width.
        width: usize,
        /// Stated height.
        height: usize,
    },
    /// No published parameter set belongs to this size and none was chosen.
    #[error(
        "no published parameter set belongs to {width}x{height} images (32x32: cifar, 64x64: \
         tiny-imagenet, 224x224: imagenet); choose one explicitly"
    )]
    NoParameterSet {
        /// Image width.
        width: usize,
        /// Image height.
        height: usize,
    },
    /// This corruption is not defined on images of this size.
    #[error("{corruption} cannot take a {width}x{height} image: {why}")]
    Unsupported {
        /// The corruption.
        corruption: &'static str,
        /// Image width.
        width: usize,
        /// Image height.
        height: usize,
        /// The condition that fails.
        why: String,
    },
    /// A picture smaller than what is to be cut out of it.
    #[error("it has {width} x {height} pixels, too few for a crop of {side} x {side}; resize it first")]
    Crop {
        /// Width after resizing, if it is resized.
        width: usize,
        /// Height.
        height: usize,
        /// Side of the crop.
        side: usize,
    },
    /// Buffers of a batch that do not agree.
    #[error("the buffers of the batch do not agree: {0}")]
    Batch(String),
    /// The work needs JPEG files, and the crate was built without them.
    #[error(
        "{0} needs the feature `jpeg` of rlnet-corruptions (mozjpeg, C code), and this program was built \
         without it"
    )]
    JpegFeature(&'static str),
    /// A picture file that could not be decoded.
    #[error("cannot decode the picture: {0}")]
    Decode(String),
    /// An image that the JPEG encoder refused.
    #[error("cannot encode the image: {0}")]
    Encode(String),
    /// A frost texture that is absent, altered or unreadable.
    #[error("frost texture {}: {why}", path.display())]
    Texture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An array file that is not what a corruption archive holds.
    #[error("{}: {why}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system reported an error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn archive(path: &Path, why: impl Into<String>) -> Self {
        Self::Archive {
            path: path.to_path_buf(),
            why: why.into(),
        }
    }

    pub(crate) fn texture(path: &Path, why: impl Into<String>) -> Self {
        Self::Texture {
            path: path.to_path_buf(),
            why: why.into(),
        }
    }
}
