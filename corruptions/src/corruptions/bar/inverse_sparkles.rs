//! inverse_sparkles: the image inside of one large spark, white outside.

use super::sparkles::RAYS;
use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::rays;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("inverse_sparkles", run);

const LEVELS: Levels = Levels::both([1.0, 1.5, 2.5, 4.5, 5.0], [1.0, 2.0, 4.0, 9.0, 10.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let n = job.width as f64;
    let exponent = (100.0 - (100.0 - level(job, LEVELS)? * 65.0 / 10.0)) / 50.0;
    let centre = [(); 2].map(|()| n * rng.uniform_in(0.25, 0.75));
    let seed = inner_seed(rng);
    let count = rng.randint(RAYS.0, RAYS.1) as usize;
    let [lengths] = scratch.doubles.take([count]);
    rng.seeded(seed, &mut |rng| rng.fill_normal(lengths));
    // No minimum: a length may be negative.
    let radius = n / 4.0;
    for length in lengths.iter_mut() {
        *length = radius + 0.25 * radius * *length;
    }
    for (i, (out, pixel)) in job.onto(out).enumerate() {
        let (dy, dx) = (
            (i / job.width) as f64 - centre[0],
            (i % job.width) as f64 - centre[1],
        );
        let weight = rays::weight(dy, dx, lengths, exponent);
        *out = pixel.map(|x| (255.0 + weight * (f64::from(x) - 255.0)) as u8);
    }
    Ok(())
}
