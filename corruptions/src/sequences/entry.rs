//! A row of the registry of sequences, and where its random numbers come from.

use std::ops::Range;

use super::SIDE;
use crate::job::{Job, Scratch};
use crate::{KeyedRng, RandomSource, Result};

/// Makes the frames of a range, one after the other, into a buffer of as many images.
pub(crate) type Run = fn(&Job<'_>, Range<usize>, &mut Draws<'_>, &mut Scratch, &mut [u8]) -> Result<()>;

/// One sequence: its name, its length and its algorithm.
pub(crate) struct Entry {
    pub name: &'static str,
    pub frames: usize,
    /// True if the sequence draws no random number.
    pub deterministic: bool,
    /// Which of several strengths of one algorithm, from 1.
    pub strength: u8,
    pub run: Run,
}

impl Entry {
    /// A sequence that draws random numbers.
    pub const fn random(name: &'static str, frames: usize, run: Run) -> Self {
        Self {
            name,
            frames,
            deterministic: false,
            strength: 1,
            run,
        }
    }

    /// A sequence without random numbers.
    pub const fn deterministic(name: &'static str, frames: usize, run: Run) -> Self {
        Self {
            deterministic: true,
            ..Self::random(name, frames, run)
        }
    }

    /// The same at another strength.
    pub const fn at_strength(self, strength: u8) -> Self {
        Self { strength, ..self }
    }
}

/// Where the draws of one image's sequence come from.
pub(crate) enum Draws<'a> {
    /// A stream, drawn in the order of the frames, from the first to the last.
    Stream(&'a mut dyn RandomSource),
    /// A generator for every frame, and one for what all frames share.
    Keyed {
        seed: u64,
        purpose: &'a str,
        index: u64,
        rng: KeyedRng,
    },
}

impl<'a> Draws<'a> {
    /// Draws keyed by what they are for.
    pub fn keyed(seed: u64, purpose: &'a str, index: u64) -> Self {
        let rng = KeyedRng::new(seed, purpose, &[index]);
        Self::Keyed {
            seed,
            purpose,
            index,
            rng,
        }
    }

    /// For what all frames share.
    pub fn once(&mut self) -> &mut dyn RandomSource {
        match self {
            Self::Stream(rng) => *rng,
            Self::Keyed { rng, .. } => rng,
        }
    }

    /// For one frame.
    pub fn of(&mut self, frame: usize) -> &mut dyn RandomSource {
        match self {
            Self::Stream(rng) => *rng,
            Self::Keyed {
                seed,
                purpose,
                index,
                rng,
            } => {
                *rng = KeyedRng::new(*seed, purpose, &[*index, frame as u64]);
                rng
            }
        }
    }
}

/// The frames of a range, each with its part of `out`.
pub(crate) fn each(range: Range<usize>, out: &mut [u8]) -> impl Iterator<Item = (usize, &mut [u8])> {
    range.zip(out.chunks_exact_mut(3 * SIDE * SIDE))
}

/// How far a frame is from the one in the middle: `frame - middle`.
pub(crate) fn from_middle(frame: usize, middle: usize) -> f64 {
    frame as f64 - middle as f64
}
