//! pixelate: Pillow's box filter down to a smaller image and up again.
//!
//! Going down, an output is the mean of the source pixels whose centres fall into its box
//! (at the published CIFAR and Tiny-ImageNet factors one or two of them, not an area
//! average), first along rows, then along columns, with an 8-bit image in between. Going
//! up is nearest neighbour: box and nearest agree when enlarging.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::wide::wide;
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
    let plan = scratch.plan(job, || {
        [Axis::new(job.width, columns), Axis::new(job.height, rows)]
    });
    let [across, down] = &*plan;
    let (stride, narrow_stride) = (3 * job.width, 3 * columns);
    let [means, narrow, small] = scratch.bytes.take([
        across.counts.len() * stride,
        narrow_stride * job.height,
        narrow_stride,
    ]);
    for (source, out) in (job.pixels.chunks_exact(stride)).zip(narrow.chunks_exact_mut(narrow_stride)) {
        // The mean of so many pixels from any pixel on; the places that are shown are picked.
        for (&count, means) in across.counts.iter().zip(means.chunks_exact_mut(stride)) {
            let lines = |k: usize| &source[3 * k..];
            mean(count, lines, &mut means[..stride - 3 * (count - 1)]);
        }
        pick(means, &across.boxes, out);
    }
    let mut shown = None;
    for y in 0..job.height {
        let from = down.nearest[y];
        if shown == Some(from) {
            out.copy_within((y - 1) * stride..y * stride, y * stride);
            continue;
        }
        shown = Some(from);
        // The place in a list of means as long as the axis.
        let (kind, first) = (down.boxes[from] / job.height, down.boxes[from] % job.height);
        let lines = |k: usize| &narrow[(first + k) * narrow_stride..];
        mean(down.counts[kind], lines, small);
        pick(small, &across.nearest, &mut out[y * stride..][..stride]);
    }
    Ok(())
}

/// Copies the pixels at these places.
fn pick(pixels: &[u8], places: &[usize], out: &mut [u8]) {
    let pixels = pixels.as_chunks::<3>().0;
    for (out, &place) in out.as_chunks_mut::<3>().0.iter_mut().zip(places) {
        *out = pixels[place];
    }
}

/// Fraction bits of Pillow's 8-bit resampling.
const PRECISION: u32 = 32 - 8 - 2;

/// The mean of the first `count` lines, rounded as Pillow does.
fn mean<'a>(count: usize, line: impl Fn(usize) -> &'a [u8], out: &mut [u8]) {
    let n = out.len();
    wide(
        #[inline(always)]
        || match count {
            1 => out.copy_from_slice(&line(0)[..n]),
            // The weight is exactly a half.
            2 => {
                for ((out, &a), &b) in out.iter_mut().zip(line(0)).zip(line(1)) {
                    *out = ((u16::from(a) + u16::from(b) + 1) >> 1) as u8;
                }
            }
            3 => weighted(count, [line(0), line(1), line(2)], out),
            4 => weighted(count, [line(0), line(1), line(2), line(3)], out),
            _ => {
                for (i, out) in out.iter_mut().enumerate() {
                    let sum = (0..count).map(|k| u32::from(line(k)[i])).sum();
                    *out = rounded(sum, count);
                }
            }
        },
    );
}

#[inline(always)]
fn weighted<const K: usize>(count: usize, lines: [&[u8]; K], out: &mut [u8]) {
    // Equal lengths, known here, so that no check is left in the loop.
    let n = out.len();
    let lines = lines.map(|line| &line[..n]);
    for (i, out) in out.iter_mut().enumerate() {
        let mut sum = 0;
        for line in lines {
            sum += u32::from(line[i]);
        }
        *out = rounded(sum, count);
    }
}

/// A sum over `count` in fixed point.
#[inline(always)]
fn rounded(sum: u32, count: usize) -> u8 {
    let weight = (f64::from(1 << PRECISION) / count as f64 + 0.5) as u32;
    ((sum * weight + (1 << (PRECISION - 1))) >> PRECISION).min(255) as u8
}

/// An axis of an image reduced and enlarged again.
struct Axis {
    /// The numbers of source pixels that a pixel of the reduced image has.
    counts: Vec<usize>,
    /// The place of each pixel of the reduced image among the means of the first number of pixels, from each of the
    /// `n` positions on, then those of the next number.
    boxes: Vec<usize>,
    /// The pixel of the reduced image that each output position shows.
    nearest: Vec<usize>,
}

impl Axis {
    /// The axis of `n` positions, by way of `k` pixels.
    fn new(n: usize, k: usize) -> Self {
        let scale = n as f64 / k as f64;
        let half = 0.5 * scale;
        let mut counts = Vec::new();
        let boxes = (0..k).map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let first = ((centre - half + 0.5).max(0.0) as usize).min(n - 1);
            let end = ((centre + half + 0.5) as usize).min(n);
            let count = end.saturating_sub(first).max(1);
            let kind = counts.iter().position(|&known| known == count);
            if kind.is_none() {
                counts.push(count);
            }
            kind.unwrap_or(counts.len() - 1) * n + first
        });
        let boxes = boxes.collect();
        let nearest = |i: usize| (((i as f64 + 0.5) * (k as f64 / n as f64)) as usize).min(k - 1);
        Self {
            counts,
            boxes,
            nearest: (0..n).map(nearest).collect(),
        }
    }
}
