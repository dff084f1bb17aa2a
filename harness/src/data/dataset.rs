//! The two nouns of the room: a [`Split`] of images and the [`Dataset`] it belongs to.

use std::borrow::Cow;

use rayon::prelude::*;
use rlnet_corruptions::random::KeyedRng;

use super::pictures::PictureFiles;
use super::{DataError, Tree};

/// Images of one split: `u8` RGB, N x H x W x 3 contiguous, with labels and positions in the
/// official order. Pictures that are too many for the memory stay files, and are read when they are
/// needed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// Side of the square images, in pixels.
    pub size: usize,
    /// Pixels, N x size x size x 3; none while the images are `files`.
    pub images: Vec<u8>,
    /// The images as files, in the same order.
    pub files: Option<PictureFiles>,
    /// Class of each image, below the data set's number of classes.
    pub labels: Vec<u16>,
    /// Position of each image in the official order of its split. It keys the image's
    /// randomness and names it in result rows, so it survives selection and reordering.
    pub indices: Vec<u32>,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image, `size * size * 3`.
    pub fn image_bytes(&self) -> usize {
        self.size * self.size * 3
    }

    /// Image at place `i` (not official position `i`), H x W x 3.
    ///
    /// # Errors
    /// When it is a file that cannot be read.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn image(&self, i: usize) -> Result<Cow<'_, [u8]>, DataError> {
        match &self.files {
            Some(files) => Ok(files.square(i, self.size)?.into_raw().into()),
            None => Ok(self.images[i * self.image_bytes()..(i + 1) * self.image_bytes()].into()),
        }
    }

    /// The first `n` images, or all of them when there are fewer.
    #[must_use]
    pub fn take(&self, n: usize) -> Self {
        self.select(&(0..n.min(self.len())).collect::<Vec<_>>())
    }

    /// The `n` images from place `from` on, in memory.
    ///
    /// # Errors
    /// When one of them is a file that cannot be read.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn slice(&self, from: usize, n: usize) -> Result<Self, DataError> {
        let bytes = self.image_bytes();
        let images = match &self.files {
            None => self.images[from * bytes..(from + n) * bytes].to_vec(),
            Some(files) => {
                let mut images = vec![0; n * bytes];
                let places = images.par_chunks_exact_mut(bytes.max(1)).enumerate();
                // The first in order, whichever thread meets one first.
                let damaged = places.find_map_first(|(i, out)| match files.square(from + i, self.size) {
                    Ok(image) => {
                        out.copy_from_slice(image.data());
                        None
                    }
                    Err(why) => Some(why),
                });
                if let Some(why) = damaged {
                    return Err(why);
                }
                images
            }
        };
        Ok(Self {
            size: self.size,
            images,
            files: None,
            labels: self.labels[from..from + n].to_vec(),
            indices: self.indices[from..from + n].to_vec(),
        })
    }

    /// All images, in memory.
    ///
    /// # Errors
    /// As [`Self::slice`].
    pub fn loaded(self) -> Result<Self, DataError> {
        match self.files {
            None => Ok(self),
            Some(_) => self.slice(0, self.len()),
        }
    }

    /// The images at the given places, in the order given; files stay files.
    ///
    /// # Panics
    /// If a place is not below [`len`](Self::len).
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        let bytes = self.image_bytes();
        let mut images = Vec::new();
        if self.files.is_none() {
            images.reserve_exact(places.len() * bytes);
            for &i in places {
                images.extend_from_slice(&self.images[i * bytes..(i + 1) * bytes]);
            }
        }
        Self {
            size: self.size,
            images,
            files: self.files.as_ref().map(|files| files.select(places)),
            labels: places.iter().map(|&i| self.labels[i]).collect(),
            indices: places.iter().map(|&i| self.indices[i]).collect(),
        }
    }
}

/// A named data set: both splits, the class names and what the network normalises with.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// One of [`NAMES`](super::NAMES), or `imagefolder:PATH`.
    pub name: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Side of the square images, in pixels.
    pub size: usize,
    /// Training images; none when only the test images were asked for.
    pub train: Split,
    /// Number of training images, loaded or not.
    pub train_len: usize,
    /// Test images; never used to choose anything (see [`holdout`]).
    pub test: Split,
    /// Channel means in `[0, 1]` space, for normalisation.
    pub mean: [f64; 3],
    /// Channel standard deviations in `[0, 1]` space, for normalisation.
    pub std: [f64; 3],
    /// Identity of the images and labels of both splits, SHA-1 in hex. The binary and the python
    /// version of CIFAR have the same one.
    pub checksum: String,
    /// One line for a person: where the images came from, and what is unusual about them.
    pub provenance: String,
    /// Folders and file names, where the images are files.
    pub tree: Option<Tree>,
}

/// What [`load_with`](super::load_with) tolerates, and leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Accept files whose checksum is not the official one. The data set's `checksum` and
    /// `provenance` then say so.
    pub allow_modified: bool,
    /// Leave the training images out where that saves work; the checksum stays that of the whole.
    pub test_only: bool,
    /// Training images that are needed, from the front: the others are left out where that saves
    /// work. All when none.
    pub train: Option<usize>,
    /// Test images, likewise.
    pub test: Option<usize>,
}

/// What a network knows of the data it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Side of the square images, in pixels.
    pub size: usize,
    /// Channel means in `[0, 1]` space.
    pub mean: [f64; 3],
    /// Channel standard deviations in `[0, 1]` space.
    pub std: [f64; 3],
}

/// Parts a training split into `(train, validation)`: every choice (checkpoint, mask, budget) is
/// made on the second, so that the test images choose nothing. The published code chooses on the
/// test set.
///
/// The validation part has `fraction` of the images, rounded, drawn by a permutation keyed by
/// `seed`; both parts keep the official order. `fraction` is clamped to `[0, 1]`.
pub fn holdout(train: &Split, fraction: f64, seed: u64) -> (Split, Split) {
    let n = train.len();
    let held = (n as f64 * fraction.clamp(0.0, 1.0)).round() as usize;
    let order = KeyedRng::new(seed, "holdout", &[]).permutation(n);
    let (validation, rest) = order.split_at(held.min(n));
    let in_order = |places: &[usize]| {
        let mut places = places.to_vec();
        places.sort_unstable();
        train.select(&places)
    };
    (in_order(rest), in_order(validation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(n: usize) -> Split {
        Split {
            size: 1,
            images: (0..n).flat_map(|i| [i as u8, 1, 2]).collect(),
            files: None,
            labels: (0..n).map(|i| (i % 3) as u16).collect(),
            indices: (0..n as u32).collect(),
        }
    }

    #[test]
    fn holdout_parts_are_disjoint_cover_everything_and_keep_the_order() {
        let (train, validation) = holdout(&numbered(100), 0.1, 3);
        assert_eq!((train.len(), validation.len()), (90, 10));
        assert!(train.indices.is_sorted() && validation.indices.is_sorted());
        let mut all: Vec<u32> = [train.indices.clone(), validation.indices.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, numbered(100).indices);
        // Pixels and labels went along.
        for (place, &index) in validation.indices.iter().enumerate() {
            assert_eq!(*validation.image(place).expect("in memory"), [index as u8, 1, 2]);
            assert_eq!(u32::from(validation.labels[place]), index % 3);
        }
        assert_eq!(holdout(&numbered(100), 0.1, 3).1, validation);
        assert_ne!(holdout(&numbered(100), 0.1, 4).1, validation);
    }

    #[test]
    fn holdout_of_nothing_and_of_everything() {
        assert!(holdout(&numbered(5), 0.0, 0).1.is_empty());
        assert!(holdout(&numbered(5), 1.0, 0).0.is_empty());
    }

    #[test]
    fn take_is_a_prefix_and_never_more_than_there_is() {
        assert_eq!(numbered(9).take(4), numbered(4));
        assert_eq!(numbered(9).take(40), numbered(9));
    }
}
