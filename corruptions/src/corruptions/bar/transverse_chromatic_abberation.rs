//! transverse_chromatic_abberation: the channels enlarged by three factors.
//!
//! (The spelling is the benchmark's.) Bytes are weighed as if they were spline coefficients, so even
//! the channel with factor 1 is blurred; and this corruption alone rounds half up.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::spline::{Taps, sample};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("transverse_chromatic_abberation", run);

const LEVELS: Levels = Levels::cifar([1.0, 2.0, 5.0, 9.0, 10.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let strength = level(job, LEVELS)? * 0.5 / 10.0;
    let n = job.width;
    let axes = scratch.plan(job, || {
        [1.0, 1.0 + strength / 2.0, 1.0 + strength].map(|scale| axis(n, scale))
    });
    let [plane] = scratch.doubles.take([job.area()]);
    let plane = plane.as_chunks_mut::<1>().0;
    // NumPy's permutation of the three factors.
    let mut order = [0, 1, 2];
    for last in [2, 1] {
        order.swap(last, rng.below(last as u64 + 1) as usize);
    }
    for (channel, factor) in order.into_iter().enumerate() {
        for (value, pixel) in plane.iter_mut().zip(job.pixels.as_chunks::<3>().0) {
            *value = [f64::from(pixel[channel])];
        }
        let axis = &axes[factor];
        for (i, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let [value] = sample(plane, n, &axis[i / n], &axis[i % n]);
            pixel[channel] = (value + 0.5) as u8;
        }
    }
    Ok(())
}

/// The middle `n` samples of an axis enlarged by `scale`.
fn axis(n: usize, scale: f64) -> Vec<Taps> {
    let enlarged = (n as f64 * scale).round_ties_even() as usize;
    let first = (enlarged - n) / 2;
    let step = (n - 1) as f64 / (enlarged - 1) as f64;
    (first..first + n)
        .map(|i| Taps::new(i as f64 * step, n))
        .collect()
}
