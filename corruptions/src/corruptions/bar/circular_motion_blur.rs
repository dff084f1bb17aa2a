//! circular_motion_blur: a weighted mean of the image turned by 21 angles about its middle.
//!
//! Cubic spline interpolation in double precision; the turned images and their sum are single
//! precision. What is turned in from outside of the image is black.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::spline::{Taps, prefilter, sample};
use crate::kernels::unit::unit_f32;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("circular_motion_blur", run);

const LEVELS: Levels = Levels::cifar([2.8, 3.6, 4.4, 5.2, 6.0]);
const TURNS: usize = 21;

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let farthest = level(job, LEVELS)? * 15.0 / 10.0;
    let n = job.width;
    let last = (n - 1) as f64;
    let [image] = scratch.doubles.take([4 * job.area()]);
    let [total] = scratch.singles.take([4 * job.area()]);
    let (image, total) = (image.as_chunks_mut::<4>().0, total.as_chunks_mut::<4>().0);
    for (value, &[r, g, b]) in image.iter_mut().zip(job.pixels.as_chunks::<3>().0) {
        *value = [unit_f32(r), unit_f32(g), unit_f32(b), 0.0].map(f64::from);
    }
    prefilter(image, n);
    total.fill([0.0; 4]);
    let mut weights = 0.0;
    for turn in 0..TURNS {
        let k = 2.0 * turn as f64 / (TURNS - 1) as f64 - 1.0;
        let weight = (-2.0 * k * k).exp();
        weights += weight;
        let (sin, cos) = (k * farthest).to_radians().sin_cos();
        let middle = last / 2.0;
        let (from_y, from_x) = (
            middle - (middle * cos + middle * sin),
            middle - (-middle * sin + middle * cos),
        );
        for (i, total) in total.iter_mut().enumerate() {
            let (y, x) = ((i / n) as f64, (i % n) as f64);
            let (row, column) = (y * cos + x * sin + from_y, -y * sin + x * cos + from_x);
            let inside = |at: f64| (0.0..=last).contains(&at);
            if inside(row) && inside(column) {
                let pixel = sample(image, n, &Taps::new(row, n), &Taps::new(column, n));
                *total = std::array::from_fn(|c| total[c] + weight as f32 * pixel[c] as f32);
            }
        }
    }
    let weights = weights as f32;
    for (out, total) in out.as_chunks_mut::<3>().0.iter_mut().zip(total) {
        *out = [total[0], total[1], total[2]].map(|sum| (sum / weights * 255.0) as u8);
    }
    Ok(())
}
