//! lines: grey anti-aliased lines across the image, in about one direction.
//!
//! The image is truncated to bytes after every line. A pixel that one line lists twice takes its
//! last value, computed from the image before the line.

use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::anti_aliased;
use crate::{RandomSource, Result};
use std::f64::consts::TAU;

pub(crate) const ENTRY: Entry = Entry::random("lines", run);

const LEVELS: Levels = Levels::cifar([0.5, 1.0, 1.5, 2.0, 2.5]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let n = job.width as f64;
    let count = (level(job, LEVELS)? * n / 10.0) as usize;
    let angle = rng.uniform_in(0.0, TAU);
    let variation = rng.uniform_in(0.1, 1.0);
    let seed = inner_seed(rng);
    let [before] = scratch.bytes.take([out.len()]);
    out.copy_from_slice(job.pixels);
    rng.seeded(seed, &mut |rng| {
        for _ in 0..count {
            let (x, y) = (n * rng.uniform(), n * rng.uniform());
            let (sin, cos) = (angle + TAU * variation * (rng.uniform() - 0.5)).sin_cos();
            let (s, c) = (n * sin, n * cos);
            before.copy_from_slice(out);
            let (start, end) = ([x - c, y - s], [x + c, y + s]);
            anti_aliased::line(
                start.map(|v| v as i64),
                end.map(|v| v as i64),
                |row, column, v| {
                    let inside = |i: i64| (0..job.width as i64).contains(&i);
                    if inside(row) && inside(column) {
                        let at = 3 * (row as usize * job.width + column as usize);
                        for (out, &x) in out[at..at + 3].iter_mut().zip(&before[at..]) {
                            *out = ((1.0 - v) * f64::from(x) + v * 128.0) as u8;
                        }
                    }
                },
            );
        }
    });
    Ok(())
}
