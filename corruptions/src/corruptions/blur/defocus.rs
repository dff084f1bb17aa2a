//! defocus_blur: a disk, smoothed a little, laid over every pixel.
//!
//! The kernel is single precision as OpenCV builds it; the correlation is double precision
//! with the border mirrored. That the rounded weights of the small disks (1/5, 1/9) lie
//! above their exact values matters: means that are whole grey levels are not truncated
//! one level down.
//!
//! Most weights of a disk are equal, so bytes are summed first, as differences of running sums along rows, and
//! weighed once for each weight. Only where that sum is so near a whole level that the order of
//! addition could change the byte are the weighed values added one by one.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::reflect101;
use crate::kernels::unit::{byte, unit};
use crate::kernels::wide::wide;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("defocus_blur", run);

/// Disk radius and the sigma that smooths its edge, in pixels.
const PARAMETERS: [[(f64, f64); 5]; 3] = [
    [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
    [(0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)],
    [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
];

/// Farther than this from a whole level, every order of addition gives the same byte: a sum of a few hundred
/// terms in double precision is a million times nearer to the exact one.
const DOUBT: f64 = 1e-7;

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (radius, alias) = job.pick(&PARAMETERS);
    let plan = scratch.plan(job, || Plan::new(disk(radius, alias), job.width));
    let (reach, padded) = (plan.reach, plan.padded);
    let stride = 3 * job.width;
    let [sums] = scratch.doubles.take([stride]);
    let rows = job.height + 2 * reach;
    // Whole vectors: what they hold beyond a row is not looked at.
    let wide_stride = stride.next_multiple_of(LANES);
    let [bytes, running, counts] =
        (scratch.shorts).take([padded * rows + LANES, padded * rows + LANES, wide_stride]);
    let counts = counts.as_chunks_mut().0;
    let planes = bytes
        .chunks_exact_mut(padded)
        .zip(running.chunks_exact_mut(padded));
    for (y, (bytes, running)) in planes.take(rows).enumerate() {
        let source = &job.pixels[reflect101(y as isize - reach as isize, job.height) * stride..][..stride];
        let (before, rest) = bytes.split_at_mut(3 * reach);
        let (inside, after) = rest.split_at_mut(stride);
        wide(
            #[inline(always)]
            || {
                for (out, &byte) in inside.iter_mut().zip(source) {
                    *out = u16::from(byte);
                }
            },
        );
        let pixel = |x: isize| reflect101(x, job.width);
        for (x, out) in before.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *out = inside.as_chunks().0[pixel(x as isize - reach as isize)];
        }
        for (x, out) in after.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *out = inside.as_chunks().0[pixel((job.width + x) as isize)];
        }
        let mut sum = [0_u16; 3];
        let pixels = bytes.as_chunks::<3>().0.iter();
        for (bytes, running) in pixels.zip(running.as_chunks_mut::<3>().0) {
            *running = sum;
            // Sums wrap around: only their differences matter, which are small.
            for (sum, &byte) in sum.iter_mut().zip(bytes) {
                *sum = sum.wrapping_add(byte);
            }
        }
    }
    for (y, out) in out.chunks_exact_mut(stride).enumerate() {
        let doubtful = wide(
            #[inline(always)]
            || {
                plan.weigh(&bytes[y * padded..], &running[y * padded..], counts, sums);
                let mut doubtful = false;
                for (out, &sum) in out.iter_mut().zip(&*sums) {
                    doubtful |= is_doubtful(sum);
                    // Away from whole levels, rounding what is half a level less truncates.
                    *out = ((sum - 0.5).clamp(0.0, 255.0) + WHOLE).to_bits() as u8;
                }
                doubtful
            },
        );
        if !doubtful {
            continue;
        }
        for (i, (out, &sum)) in out.iter_mut().zip(&*sums).enumerate() {
            if is_doubtful(sum) {
                *out = byte(plan.exact(job, y, i / 3, i % 3));
            }
        }
    }
    Ok(())
}

/// 2^52: adding it to a level rounds to a whole number, which is then in the lowest bits.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// Whether the order of addition could matter to a sum in levels.
#[inline(always)]
fn is_doubtful(sum: f64) -> bool {
    (sum - (sum + WHOLE - WHOLE)).abs() < DOUBT && sum != 0.0
}

/// Sums of bytes that are made at once.
const LANES: usize = 32;

/// The kernel for images of one width.
struct Plan {
    /// Pixels it reaches beyond the border.
    reach: usize,
    /// Running sums in a padded row.
    padded: usize,
    weights: Vec<Weight>,
    taps: Vec<Tap>,
}

/// Where the kernel has one weight; places are counted from the upper left corner of the kernel on.
struct Weight {
    weight: f64,
    /// Along rows, as far as a sum of bytes stays below 2^16: where the running sums before the first and at the
    /// last pixel are.
    runs: Vec<[usize; 2]>,
    /// Pixels without a neighbour of the same weight.
    single: Vec<usize>,
}

impl Plan {
    fn new(taps: Vec<Tap>, width: usize) -> Self {
        let far = taps
            .iter()
            .map(|tap| tap.x.unsigned_abs().max(tap.y.unsigned_abs()));
        let reach = far.max().unwrap_or(0);
        let padded = 3 * (width + 2 * reach + 1);
        let mut weights: Vec<Weight> = Vec::new();
        // Bytes that the last weight of this value sums so far.
        let mut used: Vec<usize> = Vec::new();
        for row in taps.chunk_by(|a, b| a.y == b.y && a.x + 1 == b.x && a.weight == b.weight) {
            let [x, y] = [row[0].x, row[0].y].map(|at| (at + reach as isize) as usize);
            let start = y * padded + 3 * x;
            let most = usize::from(u16::MAX) / 255;
            let known = weights
                .iter()
                .zip(&used)
                .position(|(known, used)| known.weight == row[0].weight && used + row.len() <= most);
            let at = known.unwrap_or(weights.len());
            if known.is_none() {
                weights.push(Weight {
                    weight: row[0].weight,
                    runs: Vec::new(),
                    single: Vec::new(),
                });
                used.push(0);
            }
            used[at] += row.len();
            match row.len() {
                1 => weights[at].single.push(start),
                more => weights[at].runs.push([start, start + 3 * more]),
            }
        }
        Self {
            reach,
            padded,
            weights,
            taps,
        }
    }

    /// The weighed sums of a row in levels, from bytes and running sums that begin at the row's upper neighbours.
    #[inline(always)]
    fn weigh(&self, bytes: &[u16], running: &[u16], counts: &mut [[u16; LANES]], sums: &mut [f64]) {
        sums.fill(0.0);
        for Weight { weight, runs, single } in &self.weights {
            counts.fill([0; LANES]);
            for &[before, last] in runs {
                let (before, last) = (line(running, before), line(running, last));
                for ((counts, before), last) in counts.iter_mut().zip(before).zip(last) {
                    let mut sum = *counts;
                    for k in 0..LANES {
                        sum[k] = sum[k].wrapping_add(last[k].wrapping_sub(before[k]));
                    }
                    *counts = sum;
                }
            }
            let (fours, rest) = single.as_chunks::<4>();
            for &[a, b, c, d] in fours {
                let lines = line(bytes, a)
                    .zip(line(bytes, b))
                    .zip(line(bytes, c))
                    .zip(line(bytes, d));
                for (counts, (((a, b), c), d)) in counts.iter_mut().zip(lines) {
                    let mut sum = *counts;
                    for k in 0..LANES {
                        sum[k] += (a[k] + b[k]) + (c[k] + d[k]);
                    }
                    *counts = sum;
                }
            }
            for &start in rest {
                for (counts, bytes) in counts.iter_mut().zip(line(bytes, start)) {
                    let mut sum = *counts;
                    for k in 0..LANES {
                        sum[k] += bytes[k];
                    }
                    *counts = sum;
                }
            }
            for (sum, &count) in sums.iter_mut().zip(counts.as_flattened()) {
                *sum += weight * f64::from(count);
            }
        }
    }

    /// The sum for one value in `[0, 1]`, in the order of OpenCV.
    fn exact(&self, job: &Job<'_>, y: usize, x: usize, channel: usize) -> f64 {
        self.taps.iter().fold(0.0, |sum, tap| {
            let y = reflect101(y as isize + tap.y, job.height);
            let x = reflect101(x as isize + tap.x, job.width);
            sum + tap.weight * unit(job.pixels[3 * (y * job.width + x) + channel])
        })
    }
}

#[inline(always)]
fn line(values: &[u16], start: usize) -> std::slice::Iter<'_, [u16; LANES]> {
    values[start..].as_chunks().0.iter()
}

struct Tap {
    x: isize,
    y: isize,
    weight: f64,
}

/// The kernel's taps, row by row.
fn disk(radius: f64, alias: f64) -> Vec<Tap> {
    // The scripts: 17x17 smoothed by 3x3 up to radius 8, (2r+1)^2 smoothed by 5x5 above.
    let (half, reach) = if radius <= 8.0 {
        (8, 1)
    } else {
        (radius as isize, 2)
    };
    let side = 2 * half as usize + 1;
    let inside = |x: isize, y: isize| (x * x + y * y) as f64 <= radius * radius;
    let count = (-half..=half)
        .flat_map(|y| (-half..=half).map(move |x| (x, y)))
        .filter(|&(x, y)| inside(x, y))
        .count();
    let flat = 1.0 / count as f32;
    let mut kernel: Vec<f32> = (-half..=half)
        .flat_map(|y| (-half..=half).map(move |x| (x, y)))
        .map(|(x, y)| if inside(x, y) { flat } else { 0.0 })
        .collect();
    smooth(&mut kernel, side, &smoothing(reach, alias));
    // Weights this far below the largest cannot change a double-precision sum.
    let least = kernel.iter().copied().fold(0.0, f32::max) * 1e-17;
    kernel
        .iter()
        .enumerate()
        .filter(|&(_, &weight)| weight > least)
        .map(|(i, &weight)| Tap {
            x: (i % side) as isize - half,
            y: (i / side) as isize - half,
            weight: f64::from(weight),
        })
        .collect()
}

/// OpenCV's Gaussian kernel, centre first: double precision, then rounded to single.
fn smoothing(reach: usize, sigma: f64) -> Vec<f32> {
    let weight = |i: usize| (-0.5 / (sigma * sigma) * (i * i) as f64).exp();
    let total = weight(0) + 2.0 * (1..=reach).rev().map(weight).sum::<f64>();
    (0..=reach).map(|i| (weight(i) / total) as f32).collect()
}

/// Rows, then columns, in single precision, border mirrored.
fn smooth(kernel: &mut [f32], side: usize, half: &[f32]) {
    let pass = |source: &[f32], step: usize, across: usize| -> Vec<f32> {
        (0..source.len())
            .map(|i| {
                let (position, line) = ((i / step) % side, i - (i / step) % side * step);
                let at = |offset: isize| source[line + reflect101(position as isize + offset, side) * step];
                debug_assert!(across == side);
                (1..half.len()).fold(at(0) * half[0], |sum, j| {
                    sum + (at(-(j as isize)) + at(j as isize)) * half[j]
                })
            })
            .collect()
    };
    let rows = pass(kernel, 1, side);
    kernel.copy_from_slice(&pass(&rows, side, side));
}
