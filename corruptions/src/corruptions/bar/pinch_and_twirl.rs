//! pinch_and_twirl: nine disks, each pulled to its middle and turned left or right.
//!
//! Weights are computed in double precision and used in single precision. A disk is read from the
//! image in which the disks before it are replaced already.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::bilinear::{Taps, pixel};
use crate::{RandomSource, Result};
use std::f64::consts::FRAC_PI_2;

pub(crate) const ENTRY: Entry = Entry::random("pinch_and_twirl", run);

const LEVELS: Levels = Levels::cifar([5.5, 6.0, 6.5, 8.5, 10.0]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let level = level(job, LEVELS)?;
    let n = job.width;
    let radius = n / 6;
    let plan = scratch.plan(job, || Plan::new(level, radius));
    let [image, cell] = scratch.singles.take([4 * job.area(), 16 * radius * radius]);
    let (image, cell) = (image.as_chunks_mut::<4>().0, cell.as_chunks_mut::<4>().0);
    for (value, &[r, g, b]) in image.iter_mut().zip(job.pixels.as_chunks::<3>().0) {
        *value = [r, g, b, 0].map(f32::from);
    }
    for disk in 0..9 {
        let turn = rng.below(2) as usize;
        let (left, top) = (2 * radius * (disk / 3), 2 * radius * (disk % 3));
        let places = &plan.disks[turn][disk];
        for (i, (out, place)) in cell.iter_mut().zip(places).enumerate() {
            let (y, x) = (top + i / (2 * radius), left + i % (2 * radius));
            *out = match place {
                None => image[y * n + x],
                Some((row, column)) => {
                    let [upper, lower] = [row.first, row.first + 1].map(|y| {
                        let pair = [column.first, column.first + 1].map(|x| pixel(image, n, y, x));
                        mix(pair, column.weight)
                    });
                    mix([upper, lower], row.weight)
                }
            };
        }
        for (y, row) in cell.chunks_exact(2 * radius).enumerate() {
            image[(top + y) * n + left..][..2 * radius].copy_from_slice(row);
        }
    }
    for (out, value) in out.as_chunks_mut::<3>().0.iter_mut().zip(image) {
        *out = [value[0], value[1], value[2]].map(|value| value as u8);
    }
    Ok(())
}

fn mix([a, b]: [[f32; 4]; 2], weight: [f64; 2]) -> [f32; 4] {
    let [v, w] = weight.map(|weight| weight as f32);
    std::array::from_fn(|c| a[c] * v + b[c] * w)
}

/// Where a pixel of a disk is read, by row and column; itself if nowhere else.
type Place = Option<(Taps, Taps)>;

/// The places of nine disks, column by column, turned one way and the other.
struct Plan {
    disks: [[Vec<Place>; 9]; 2],
}

impl Plan {
    fn new(level: f64, radius: usize) -> Self {
        let angle = level * FRAC_PI_2 / 10.0;
        let amount = level * 0.4 / 10.0 + 0.1;
        let disk = |sign: f64, disk: usize| {
            let centre = |cell: usize| (2 * radius * cell + radius) as f64;
            let (cy, cx) = (centre(disk % 3), centre(disk / 3));
            let place = |i: usize| {
                let from = |i: usize| i as f64 - radius as f64;
                let (dy, dx) = (from(i / (2 * radius)), from(i % (2 * radius)));
                let distance = (dx * dx + dy * dy).sqrt();
                if distance > radius as f64 || distance == 0.0 {
                    return None;
                }
                let d = distance / radius as f64;
                let pinch = (FRAC_PI_2 * d).sin().powf(-amount);
                let (dy, dx) = (dy * pinch, dx * pinch);
                let left = 1.0 - d;
                let (sin, cos) = (sign * angle * left * left).sin_cos();
                Some((
                    Taps::new(cy + (dy * cos - dx * sin)),
                    Taps::new(cx + (dy * sin + dx * cos)),
                ))
            };
            (0..4 * radius * radius).map(place).collect()
        };
        Self {
            disks: [1.0, -1.0].map(|sign| std::array::from_fn(|i| disk(sign, i))),
        }
    }
}
