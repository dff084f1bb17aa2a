//! glass_blur: blur, copy pixels about, blur again.
//!
//! The reference looks like a swap of two pixels, but both sides are views of one array,
//! so it copies one way; and the drawn offset never reaches +delta, so content only ever
//! comes from the upper left. Both are part of the benchmark and kept. (At the weakest
//! CIFAR severity the blur has radius 0: the copying alone does the damage.)

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::gaussian::{Gaussian, Storage};
use crate::kernels::unit::{byte, unit};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("glass_blur", run);

/// Blur sigma, largest offset delta, iterations.
const PARAMETERS: [[(f64, usize, u32); 5]; 3] = [
    [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    [(0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)],
    [(0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (sigma, reach, iterations) = job.pick(&PARAMETERS);
    let blur = scratch.plan(job, || Gaussian::replicated(sigma, job.stack));
    let [image] = scratch.doubles.take([out.len()]);
    out.copy_from_slice(job.pixels);
    let mut pass = |bytes: &mut [u8]| {
        // Bytes to the unit interval and back are the same bytes.
        if blur.is_identity() {
            return;
        }
        for (value, &x) in image.iter_mut().zip(&*bytes) {
            *value = unit(x);
        }
        let size = (job.width, job.height);
        blur.apply(image, size, 3, Storage::Double, &mut scratch.kernel);
        for (out, value) in bytes.iter_mut().zip(&*image) {
            *out = byte(*value);
        }
    };
    pass(out);
    // Rows and columns visited, none if the image is too small.
    let visited = |n: usize| (n + 1).saturating_sub(2 * reach + 1);
    let (rows, columns) = (visited(job.height), visited(job.width));
    let [shifts] = scratch.counts.take([2 * columns]);
    for _ in 0..iterations {
        for y in (reach + 1..reach + 1 + rows).rev() {
            // From -delta to delta - 1, dx before dy.
            rng.fill_below(2 * reach as u32, shifts);
            let row = (reach + 1..reach + 1 + columns).rev();
            for (x, shift) in row.zip(shifts.chunks_exact(2)) {
                let [dx, dy] = [shift[0], shift[1]].map(|shift| shift as usize);
                let from = 3 * ((y + dy - reach) * job.width + x + dx - reach);
                let to = 3 * (y * job.width + x);
                let pixel = [out[from], out[from + 1], out[from + 2]];
                out[to..to + 3].copy_from_slice(&pixel);
            }
        }
    }
    pass(out);
    Ok(())
}
