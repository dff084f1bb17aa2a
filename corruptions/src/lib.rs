//! Common corruptions of images, byte for byte.
//!
//! The fifteen corruptions of CIFAR-10-C, CIFAR-100-C, Tiny-ImageNet-C and ImageNet-C
//! (Hendrycks and Dietterich, ICLR 2019), their four extras, and those of CIFAR-10-C-bar and ImageNet-C-bar
//! (Mintun, Kirillov and Xie, NeurIPS 2021), at five severities each, and the sequences of
//! CIFAR-10-P, with the published
//! parameters for 32x32, 64x64 and 224x224 images. The 32 and 64 sets reproduce the reference
//! scripts exactly, including what their libraries (SciPy, OpenCV, ImageMagick, libjpeg, Pillow)
//! compute, in plain arithmetic, and so do those of ImageNet-C-bar; the rest of the 224 set is checked by
//! properties only.
//!
//! ```
//! use rlnet_corruptions::{Corruption, Image, KeyedRng, Severity, corrupt};
//!
//! let image = Image::from_raw(32, 32, vec![128; 32 * 32 * 3])?;
//! let mut rng = KeyedRng::new(0, "example", &[]);
//! let foggy = corrupt(&image, Corruption::Fog, Severity::new(3)?, &mut rng)?;
//! assert_ne!(foggy, image);
//! # Ok::<(), rlnet_corruptions::Error>(())
//! ```
//!
//! A [`Generator`] holds the choices that change bytes (which [`Stack`] to imitate, which
//! frost [`Textures`], which [`ParameterSet`]) and corrupts whole batches in parallel, each
//! image with a generator keyed by what it is, so results depend on nothing else.
//! [`archive`] writes, reads and checks the official file layouts.
//!
//! This crate knows nothing of networks, devices, data sets or command lines, and prints
//! nothing.

#![warn(clippy::missing_errors_doc)]

pub mod archive;
mod codec;
mod corruption;
mod corruptions;
mod entry;
mod error;
mod generator;
mod image;
mod job;
mod jpeg;
mod kernels;
mod parameters;
pub mod picture;
pub mod random;
mod sequences;
mod severity;
pub mod textures;

pub use corruptions::{Corruption, Family};
pub use error::{Error, Result};
pub use generator::{Batch, Description, Generator, Options, VERSION, corrupt};
pub use image::Image;
pub use parameters::{ParameterSet, Stack};
pub use random::{KeyedRng, NumpyRng, RandomSource};
pub use sequences::{Sequence, SequenceBatch};
pub use severity::Severity;
pub use textures::Textures;

/// The example of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
