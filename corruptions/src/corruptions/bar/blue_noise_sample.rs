//! blue_noise_sample: pixels where blue noise is high; the others become black.

use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::phase_noise::PhaseNoise;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("blue_noise_sample", run);

const LEVELS: Levels = Levels::both([0.7, 1.4, 2.1, 3.5, 4.2], [0.8, 1.6, 2.4, 4.0, 5.6]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let threshold = level(job, LEVELS)? * 3.0 / 10.0 - 2.5;
    let noise = scratch.plan(job, || PhaseNoise::new(job.width, f64::sqrt));
    let [field] = scratch.doubles.take([job.area()]);
    let seed = inner_seed(rng);
    rng.seeded(seed, &mut |rng| noise.fill(rng, &mut scratch.kernel, field));
    let pixels = out
        .as_chunks_mut::<3>()
        .0
        .iter_mut()
        .zip(job.pixels.as_chunks::<3>().0);
    for ((out, pixel), value) in pixels.zip(field) {
        *out = if *value > threshold { *pixel } else { [0; 3] };
    }
    Ok(())
}
