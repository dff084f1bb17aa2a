//! plasma_noise: coloured swirls, laid over the image.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};
use std::f64::consts::PI;

pub(crate) const ENTRY: Entry = Entry::random("plasma_noise", run);

const LEVELS: Levels = Levels::imagenet([4.75, 7.0, 8.5, 9.25, 10.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let intensity = level(job, LEVELS)? * 64.0 / 10.0;
    let time = rng.uniform_in(0.0, 6.0 * PI);
    let iterations = rng.randint(4, 7);
    let sharpness = rng.uniform_in(0.5, 1.0);
    let scale = rng.uniform_in(0.075, 0.2) * job.width as f64;
    let keep = 1.0 - intensity / 255.0;
    for (i, (out, pixel)) in job.onto(out).enumerate() {
        let (mut y, mut x) = ((i / job.width) as f64 / scale, (i % job.width) as f64 / scale);
        let (mut zoom, mut delay, mut damping) = (1.0, 1.0, 1.0);
        for _ in 0..iterations {
            let a = (y * zoom + time / delay).cos() / damping;
            let b = (x * zoom + time / delay).sin() / damping;
            x += a - b * 0.3;
            y += b + a * 0.3;
            zoom *= 1.93;
            delay *= 1.15;
            damping *= 2.25 - sharpness;
        }
        let colour = [
            (x - time).sin(),
            ((x + y + time.sin()) * 0.5).sin(),
            (y + time).sin(),
        ];
        *out = std::array::from_fn(|c| (keep * f64::from(pixel[c]) + intensity * colour[c]) as u8);
    }
    Ok(())
}
