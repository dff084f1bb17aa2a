//! sparkles: five white sparks, each a bundle of rays.

use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::rays;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("sparkles", run);

const LEVELS: Levels = Levels::both([0.7, 3.5, 5.6, 6.3, 7.0], [1.0, 2.0, 3.0, 5.0, 6.0]);
const SPARKS: usize = 5;
/// The fewest rays of a spark, and more than the most.
pub(super) const RAYS: (i64, i64) = (50, 200);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let n = job.width as f64;
    let radius = level(job, LEVELS)? * 0.1 / 10.0 * n;
    let [image, lengths] = scratch.doubles.take([out.len(), RAYS.1 as usize]);
    let mut centres = [0.0; 2 * SPARKS];
    rng.fill_uniform(0.0, n, &mut centres);
    let seed = inner_seed(rng);
    let counts: [usize; SPARKS] = std::array::from_fn(|_| rng.randint(RAYS.0, RAYS.1) as usize);
    for (value, &x) in image.iter_mut().zip(job.pixels) {
        *value = f64::from(x);
    }
    rng.seeded(seed, &mut |rng| {
        for (centre, count) in centres.as_chunks::<2>().0.iter().zip(counts) {
            let lengths = &mut lengths[..count];
            rng.fill_normal(lengths);
            for length in lengths.iter_mut() {
                *length = (radius + 0.25 * radius * *length).max(1.0);
            }
            for (i, pixel) in image.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let (dy, dx) = (
                    (i / job.width) as f64 - centre[0],
                    (i % job.width) as f64 - centre[1],
                );
                let weight = rays::weight(dy, dx, lengths, 1.0);
                // The scripts store single precision between the sparks.
                *pixel = pixel.map(|value| {
                    let value = f64::from(value as f32);
                    value + weight * (255.0 - value)
                });
            }
        }
    });
    for (out, value) in out.iter_mut().zip(image) {
        *out = *value as u8;
    }
    Ok(())
}
