//! pixelate: Pillow's box filter down to a smaller image and up again.
//!
//! Going down, an output is the mean of the source pixels whose centres fall into its box
//! (at the published CIFAR and Tiny-ImageNet factors one or two of them, not an area
//! average), first along rows, then along columns, with an 8-bit image in between. Going
//! up is nearest neighbour: box and nearest agree when enlarging.

use crate::corruption::Group;
use crate::corruptions::{Entry, Job, Scratch};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry {
    name: "pixelate",
    group: Group::Digital,
    deterministic: true,
    run,
    channel: None,
};

/// The smaller image's size over the image's.
const FACTOR: [[f64; 5]; 3] = [
    [0.95, 0.9, 0.85, 0.75, 0.65],
    [0.9, 0.8, 0.7, 0.6, 0.5],
    [0.6, 0.5, 0.4, 0.3, 0.25],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let factor = job.pick(&FACTOR);
    let small = |n: usize| (n as f64 * factor) as usize;
    let (columns, rows) = (small(job.width), small(job.height));
    if columns == 0 || rows == 0 {
        return Err(job.refuse(format!("nothing is left of it at factor {factor}")));
    }
    let (across, down) = (boxes(job.width, columns), boxes(job.height, rows));
    let [narrow, reduced] = scratch.bytes.take([3 * columns * job.height, 3 * columns * rows]);
    let lines = narrow.chunks_exact_mut(3 * columns);
    for (line, source) in lines.zip(job.pixels.chunks_exact(3 * job.width)) {
        for (pixel, taps) in line.chunks_exact_mut(3).zip(&across) {
            for (c, out) in pixel.iter_mut().enumerate() {
                *out = taps.mean(|x| source[3 * x + c]);
            }
        }
    }
    for (line, taps) in reduced.chunks_exact_mut(3 * columns).zip(&down) {
        for (i, out) in line.iter_mut().enumerate() {
            *out = taps.mean(|y| narrow[3 * columns * y + i]);
        }
    }
    let nearest =
        |i: usize, n: usize, k: usize| (((i as f64 + 0.5) * (k as f64 / n as f64)) as usize).min(k - 1);
    for (y, line) in out.chunks_exact_mut(3 * job.width).enumerate() {
        let source = &reduced[3 * columns * nearest(y, job.height, rows)..][..3 * columns];
        for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&source[3 * nearest(x, job.width, columns)..][..3]);
        }
    }
    Ok(())
}

/// Source pixels `first..first + count` and the fixed-point weight of each.
struct Taps {
    first: usize,
    count: usize,
    weight: u32,
}

/// Fraction bits of Pillow's 8-bit resampling.
const PRECISION: u32 = 32 - 8 - 2;

impl Taps {
    fn mean(&self, value: impl Fn(usize) -> u8) -> u8 {
        let sum: u32 = (self.first..self.first + self.count)
            .map(|i| u32::from(value(i)) * self.weight)
            .sum();
        ((sum + (1 << (PRECISION - 1))) >> PRECISION).min(255) as u8
    }
}

fn boxes(n: usize, k: usize) -> Vec<Taps> {
    let scale = n as f64 / k as f64;
    let half = 0.5 * scale;
    (0..k)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - half + 0.5).max(0.0) as usize;
            let end = ((centre + half + 0.5) as usize).min(n);
            let count = end.saturating_sub(first).max(1);
            Taps {
                first: first.min(n - 1),
                count: count.min(n - first.min(n - 1)),
                weight: (f64::from(1 << PRECISION) / count as f64 + 0.5) as u32,
            }
        })
        .collect()
}
