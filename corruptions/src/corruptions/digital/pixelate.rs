//! pixelate: Pillow's box filter down to a smaller image and up again.
//!
//! Going down, an output is the mean of the source pixels whose centres fall into its box
//! (at the published CIFAR and Tiny-ImageNet factors one or two of them, not an area
//! average), first along rows, then along columns, with an 8-bit image in between. Going
//! up is nearest neighbour: box and nearest agree when enlarging.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("pixelate", run);

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
    let plan = scratch.plan(job, || [boxes(job.width, columns), boxes(job.height, rows)]);
    let [across, down] = &*plan;
    // Each axis goes down and up at once: the rounding in between is a pixel's own.
    let stride = 3 * job.width;
    let [narrow] = scratch.bytes.take([out.len()]);
    for (line, source) in narrow
        .chunks_exact_mut(stride)
        .zip(job.pixels.chunks_exact(stride))
    {
        let source = source.as_chunks::<3>().0;
        for (out, taps) in line.as_chunks_mut::<3>().0.iter_mut().zip(across) {
            *out = match source[taps.first..][..taps.count] {
                [pixel] => pixel,
                [a, b] => std::array::from_fn(|c| halfway(a[c], b[c])),
                ref pixels => std::array::from_fn(|c| taps.mean(pixels.iter().map(|pixel| pixel[c]))),
            };
        }
    }
    for (line, taps) in out.chunks_exact_mut(stride).zip(down) {
        let row = |k: usize| &narrow[(taps.first + k) * stride..][..stride];
        match taps.count {
            1 => line.copy_from_slice(row(0)),
            2 => {
                for ((out, &a), &b) in line.iter_mut().zip(row(0)).zip(row(1)) {
                    *out = halfway(a, b);
                }
            }
            count => {
                for (i, out) in line.iter_mut().enumerate() {
                    *out = taps.mean((0..count).map(|k| row(k)[i]));
                }
            }
        }
    }
    Ok(())
}

/// The box that an output position shows: source pixels `first..first + count` and the
/// fixed-point weight of each.
#[derive(Clone, Copy)]
struct Taps {
    first: usize,
    count: usize,
    weight: u32,
}

/// Fraction bits of Pillow's 8-bit resampling.
const PRECISION: u32 = 32 - 8 - 2;

impl Taps {
    fn mean(&self, values: impl Iterator<Item = u8>) -> u8 {
        let sum: u32 = values.map(|value| u32::from(value) * self.weight).sum();
        ((sum + (1 << (PRECISION - 1))) >> PRECISION).min(255) as u8
    }
}

/// [`Taps::mean`] of two: their weight is exactly a half.
fn halfway(a: u8, b: u8) -> u8 {
    ((u16::from(a) + u16::from(b) + 1) >> 1) as u8
}

/// The boxes of `n` output positions, by way of `k` pixels.
fn boxes(n: usize, k: usize) -> Vec<Taps> {
    let scale = n as f64 / k as f64;
    let half = 0.5 * scale;
    let reduced: Vec<Taps> = (0..k)
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
        .collect();
    let nearest = |i: usize| (((i as f64 + 0.5) * (k as f64 / n as f64)) as usize).min(k - 1);
    (0..n).map(|i| reduced[nearest(i)]).collect()
}
