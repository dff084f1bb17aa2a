//! gaussian_blur: a separable Gaussian, border replicated.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::gaussian::{Gaussian, Storage};
use crate::kernels::unit::{byte, unit};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("gaussian_blur", run);

/// Standard deviation in pixels.
const SIGMA: [[f64; 5]; 3] = [
    [0.4, 0.6, 0.7, 0.8, 1.0],
    [0.5, 0.75, 1.0, 1.25, 1.5],
    [1.0, 2.0, 3.0, 4.0, 6.0],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let blur = scratch.plan(job, || Gaussian::replicated(job.pick(&SIGMA), job.stack));
    let [image] = scratch.doubles.take([out.len()]);
    for (value, &x) in image.iter_mut().zip(job.pixels) {
        *value = unit(x);
    }
    let size = (job.width, job.height);
    blur.apply(image, size, 3, Storage::Double, &mut scratch.kernel);
    for (out, value) in out.iter_mut().zip(image) {
        *out = byte(*value);
    }
    Ok(())
}
