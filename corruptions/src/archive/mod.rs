//! The official file layouts: writing, reading, checking.
//!
//! CIFAR-10-C and CIFAR-100-C are `.npy` files, one a corruption, uint8 of shape
//! (5 N, 32, 32, 3): the N test images at severity 1, then 2, and so on; `labels.npy` is
//! the N labels five times. CIFAR-10-C-bar has the same layout, but labels of int64.
//! CIFAR-10-P is one `.npy` file a sequence, of shape (N, frames, 32, 32, 3), without labels.
//! Tiny-ImageNet-C is a tree of image files.

mod digest;
mod folders;
mod generate;
mod npy;
mod provenance;
mod published;
mod sheet;
mod source;
mod verify;

pub use digest::{folder_md5, image_files, md5_of};
pub use folders::{FolderImage, Level, TreeContent, TreeFormat, generate_folders};
pub use generate::{Dataset, Progress, Written, generate_archive, generate_sequences};
pub use npy::{NpyReader, NpyWriter, read_labels};
pub use provenance::{made_by, verify_own};
pub use published::{PUBLISHED_TARS, Published};
pub use sheet::{contact_sheet, sequence_sheet, write_jpeg, write_png};
pub use source::Source;
pub use verify::{
    Difference, FileStatus, Status, compare_files, compare_regenerated, compare_sequence, verify_dir,
};
