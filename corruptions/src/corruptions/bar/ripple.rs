//! ripple: every row and every column displaced by a sine wave; the border fades to black.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::bilinear::{Taps, pixel};
use crate::{RandomSource, Result};
use std::f64::consts::TAU;

pub(crate) const ENTRY: Entry = Entry::random("ripple", run);

const LEVELS: Levels = Levels::cifar([5.5, 6.0, 6.5, 7.5, 8.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let n = job.width;
    let amplitude = level(job, LEVELS)? * 0.025 / 10.0 * n as f64;
    let lengths = [(); 2].map(|()| rng.uniform_in(0.1, 0.3) * n as f64);
    let phases = [(); 2].map(|()| rng.uniform_in(0.0, TAU));
    let taps = |axis: usize, i: usize| {
        let wave = TAU * i as f64 / lengths[axis] + phases[axis];
        Taps::new(i as f64 + amplitude * wave.sin())
    };
    let [image, across] = scratch.doubles.take([4 * job.area(), 3 * n]);
    let (image, across) = (image.as_chunks_mut::<4>().0, across.as_chunks_mut::<3>().0);
    for (value, &[r, g, b]) in image.iter_mut().zip(job.pixels.as_chunks::<3>().0) {
        *value = [r, g, b, 0].map(f64::from);
    }
    for (x, column) in across.iter_mut().enumerate() {
        let Taps {
            first,
            weight: [a, b],
        } = taps(1, x);
        *column = [first as f64, a, b];
    }
    for (y, line) in out.as_chunks_mut::<3>().0.chunks_exact_mut(n).enumerate() {
        let row = taps(0, y);
        for (out, &[first, a, b]) in line.iter_mut().zip(&*across) {
            let x = first as isize;
            let [upper, lower] = [row.first, row.first + 1].map(|y| {
                let (left, right) = (pixel(image, n, y, x), pixel(image, n, y, x + 1));
                std::array::from_fn::<f64, 3, _>(|c| left[c] * a + right[c] * b)
            });
            *out = std::array::from_fn(|c| (upper[c] * row.weight[0] + lower[c] * row.weight[1]) as u8);
        }
    }
    Ok(())
}
