//! cocentric_sine_waves: grey rings around a point, each from dark to bright, bent by a sine wave.
//!
//! (The spelling is the benchmark's.)

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("cocentric_sine_waves", run);

const LEVELS: Levels = Levels::imagenet([3.0, 5.0, 8.0, 9.0, 10.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let intensity = level(job, LEVELS)? * 128.0 / 10.0;
    let n = job.width as f64;
    let [x0, y0] = [(); 2].map(|()| rng.uniform_in(0.0, n));
    let frequency = rng.uniform_in(0.0, 10.0);
    let [amplitude, width] = [(); 2].map(|()| rng.uniform_in(0.0, n / 10.0));
    for (i, (out, pixel)) in job.onto(out).enumerate() {
        let (dy, dx) = ((i / job.width) as f64 - y0, (i % job.width) as f64 - x0);
        // The scripts take the difference of columns first.
        let bent = (dx * dx + dy * dy).sqrt() + (dx.atan2(dy) * frequency).sin() * amplitude;
        let ring = intensity * (bent.rem_euclid(width) / width - 0.5);
        *out = pixel.map(|value| (f64::from(value) + ring) as u8);
    }
    Ok(())
}
