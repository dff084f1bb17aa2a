//! brownish_noise: a field of low-frequency noise added to each channel.

use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::phase_noise::PhaseNoise;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("brownish_noise", run);

const LEVELS: Levels = Levels::both([2.5, 4.0, 5.5, 6.5, 7.0], [1.0, 2.0, 3.0, 4.0, 5.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let amplitude = level(job, LEVELS)? * 64.0 / 10.0;
    let noise = scratch.plan(job, || {
        PhaseNoise::new(job.width, |squared| 1.0 / (squared + 1.0))
    });
    let [field] = scratch.doubles.take([job.area()]);
    let seed = inner_seed(rng);
    rng.seeded(seed, &mut |rng| {
        for channel in 0..3 {
            noise.fill(rng, &mut scratch.kernel, field);
            let values = out.iter_mut().zip(job.pixels).skip(channel).step_by(3);
            for ((out, &x), value) in values.zip(&*field) {
                *out = (f64::from(x) + amplitude * *value) as u8;
            }
        }
    });
    Ok(())
}
