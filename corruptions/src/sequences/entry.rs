//! A row of the registry of sequences, and where its random numbers come from.

use std::ops::Range;

use crate::job::{Job, Scratch};
use crate::{KeyedRng, RandomSource};

/// Makes one frame of an image's sequence: which one, with which draws, and where to. Frames are asked for in
/// ascending order, not always all of them.
pub(crate) type Frame<'a> = Box<dyn FnMut(usize, &mut Draws<'_>, &mut [u8]) + 'a>;

/// Makes what the frames of an image share.
pub(crate) type Begin = for<'a> fn(Job<'a>, &mut Draws<'_>, &'a mut Scratch) -> Frame<'a>;

/// One sequence: its name, its length and its algorithm.
pub(crate) struct Entry {
    pub name: &'static str,
    pub frames: usize,
    /// True if the sequence draws no random number.
    pub deterministic: bool,
    /// Which of several strengths of one algorithm, from 1.
    pub strength: u8,
    pub begin: Begin,
}

impl Entry {
    /// A sequence that draws random numbers.
    pub const fn random(name: &'static str, frames: usize, begin: Begin) -> Self {
        Self {
            name,
            frames,
            deterministic: false,
            strength: 1,
            begin,
        }
    }

    /// A sequence without random numbers.
    pub const fn deterministic(name: &'static str, frames: usize, begin: Begin) -> Self {
        Self {
            deterministic: true,
            ..Self::random(name, frames, begin)
        }
    }

    /// The same at another strength.
    pub const fn at_strength(self, strength: u8) -> Self {
        Self { strength, ..self }
    }

    /// Makes the frames of a range, one after the other, into a buffer of as many images.
    pub fn run(
        &self,
        job: Job<'_>,
        frames: Range<usize>,
        draws: &mut Draws<'_>,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) {
        let mut make = (self.begin)(job, draws, scratch);
        for (frame, out) in frames.zip(out.chunks_exact_mut(job.pixels.len())) {
            make(frame, draws, out);
        }
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

/// How far a frame is from the one in the middle: `frame - middle`.
pub(crate) fn from_middle(frame: usize, middle: usize) -> f64 {
    frame as f64 - middle as f64
}
