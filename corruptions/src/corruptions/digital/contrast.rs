//! contrast: every channel drawn towards its mean over the image.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::unit::{byte, unit};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("contrast", run);

/// What is left of the distance to the mean.
const FACTOR: [[f64; 5]; 3] = [
    [0.75, 0.5, 0.4, 0.3, 0.15],
    [0.4, 0.3, 0.2, 0.1, 0.05],
    [0.4, 0.3, 0.2, 0.1, 0.05],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let factor = job.pick(&FACTOR);
    // NumPy adds pixel after pixel when it reduces the two outer axes.
    let mut mean = [0.0; 3];
    for pixel in job.pixels.chunks_exact(3) {
        for (sum, &x) in mean.iter_mut().zip(pixel) {
            *sum += unit(x);
        }
    }
    let mean = mean.map(|sum| sum / job.area() as f64);
    for (out, pixel) in out.chunks_exact_mut(3).zip(job.pixels.chunks_exact(3)) {
        for ((out, &x), mean) in out.iter_mut().zip(pixel).zip(mean) {
            *out = byte((unit(x) - mean) * factor + mean);
        }
    }
    Ok(())
}
