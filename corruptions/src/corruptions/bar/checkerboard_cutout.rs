//! checkerboard_cutout: squares of a turned checkerboard become grey, each with some probability.

use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};
use std::f64::consts::TAU;

pub(crate) const ENTRY: Entry = Entry::random("checkerboard_cutout", run);

const LEVELS: Levels = Levels::both([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 5.0, 6.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let fraction = level(job, LEVELS)? / 10.0;
    let n = job.width as f64;
    let (sin, cos) = rng.uniform_in(0.0, TAU).sin_cos();
    let side = (n * rng.uniform_in(0.1, 0.25)).max(1.0);
    let cells = (4.0 * n / side) as usize;
    let [grid] = scratch.doubles.take([cells * cells]);
    let seed = inner_seed(rng);
    rng.seeded(seed, &mut |rng| rng.fill_uniform(0.0, 1.0, grid));
    // Truncation makes (-1, 1) one cell, and cells below 0 count from the end of the grid.
    let cell = |at: f64| (at as isize).rem_euclid(cells as isize) as usize;
    let parity = |at: f64| at.rem_euclid(2.0) as usize;
    for (i, (out, pixel)) in job.onto(out).enumerate() {
        let (y, x) = ((i / job.width) as f64, (i % job.width) as f64);
        let (across, along) = ((cos * y + sin * x) / side, (-sin * y + cos * x) / side);
        let cut = parity(across) == parity(along) && grid[cell(across) * cells + cell(along)] < fraction;
        *out = if cut { [128; 3] } else { *pixel };
    }
    Ok(())
}
