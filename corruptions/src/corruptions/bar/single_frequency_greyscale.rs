//! single_frequency_greyscale: one grey plane wave.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};
use std::f64::consts::{PI, TAU};

pub(crate) const ENTRY: Entry = Entry::random("single_frequency_greyscale", run);

const LEVELS: Levels = Levels::imagenet([1.0, 1.5, 2.0, 4.5, 5.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let intensity = level(job, LEVELS)? * 196.0 / 10.0;
    let first = rng.uniform_in(-PI, PI);
    let second = rng.uniform_in(-first.abs(), first.abs());
    // NumPy's permutation of the two.
    let (across, down) = if rng.below(2) == 0 {
        (second, first)
    } else {
        (first, second)
    };
    let phase = rng.uniform_in(0.0, TAU);
    for (i, (out, pixel)) in job.onto(out).enumerate() {
        let (y, x) = ((i / job.width) as f64, (i % job.width) as f64);
        let wave = intensity * (x * across + y * down + phase).sin();
        *out = pixel.map(|value| (f64::from(value) + wave) as u8);
    }
    Ok(())
}
