//! Where corrupted test images come from, and how they are generated.
//!
//! The published archives hold draws that nobody can make again, so a number measured on them
//! and one measured on generated images are two numbers. The origin is therefore written in the
//! suite and is part of every corrupted cell's identity.

use crate::words::words;
pub use rlnet_corruptions::Stack;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// `evaluation.corrupted`: where corrupted images come from.
    #[derive(Default)]
    pub enum Origin, "corrupted" {
        /// This program generates them from the test images.
        #[default]
        Generated = "generated",
        /// They are read from a folder in the official layout, named when the suite is run.
        Official = "official",
    }
}

/// The words of `evaluation.stack`: which generation of libraries generated images imitate.
pub(crate) const STACKS: &[&str] = &[Stack::Release.name(), Stack::Modern.name()];

words! {
    /// `evaluation.rng`: where the random draws of generated images come from.
    #[derive(Default)]
    pub enum Draws, "rng" {
        /// A generator for every image, made on the fly.
        #[default]
        Keyed = "keyed",
        /// One NumPy stream over all corruptions, severities and images, as the reference script
        /// draws; the images are written to the run directory first.
        Numpy = "numpy",
    }
}

words! {
    /// `evaluation.frost`: which textures frost may lay over an image.
    #[derive(Default)]
    pub enum Frost, "frost" {
        /// The ones given at run time, else procedural ones.
        #[default]
        Any = "any",
        /// The reference's photographs only, checked by their MD5.
        Original = "original",
    }
}

/// All settings of corrupted images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Corrupted {
    /// Where they come from.
    pub origin: Origin,
    /// Which libraries generated ones imitate.
    pub stack: Stack,
    /// Where the draws of generated ones come from.
    pub draws: Draws,
    /// Which frost textures generated ones may have.
    pub frost: Frost,
}

/// The files that a corrupted cell reads, instead of making its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorruptedFiles {
    /// Whether every one of them has its published checksum.
    pub official: bool,
    /// Name of each file (or `corruption/` for a folder of image files) and checksum of its bytes.
    pub checksums: BTreeMap<String, String>,
}
