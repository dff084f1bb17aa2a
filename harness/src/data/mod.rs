//! A named data set becomes batches.
//!
//! [`load`] reads a data set (or draws the embedded one) and checks it against the official
//! checksums; [`epoch`] turns a split into shuffled, augmented batches, prepared one ahead in
//! the background; [`images_to_tensor`] puts stored images on a device unchanged. All
//! randomness is keyed by (seed, purpose, epoch, image), never streamed, so a view of an image
//! does not depend on batch size or thread count. Pixels leave this module as `f32` in `[0, 1]`,
//! channels first and not normalised: the attack's budget lives in that space, and the network
//! normalises.
//!
//! Only `tensor` knows libtorch.

pub mod augment;
pub mod augmix;
pub mod batches;
pub mod cifar;
pub mod dataset;
pub mod error;
pub mod fetch;
pub mod fractal;
mod given;
pub mod imagefolder;
pub mod installed;
pub mod named;
pub mod pictures;
pub mod pixmix;
pub mod shapes;
pub mod tensor;
pub mod tiny;

pub use batches::{Batch, ViewSpec, epoch};
pub use dataset::{Dataset, Facts, LoadOptions, Split, holdout};
pub use error::DataError;
pub use named::{Glance, NAMES, facts, glance, image_size, load, load_with};
pub use pictures::Tree;
pub use tensor::{images_to_tensor, upload};
