//! defocus_blur: a disk, smoothed a little, laid over every pixel.
//!
//! The kernel is single precision as OpenCV builds it; the correlation is double precision
//! with the border mirrored. That the rounded weights of the small disks (1/5, 1/9) lie
//! above their exact values matters: means that are whole grey levels are not truncated
//! one level down.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::unit::{byte, unit};
use crate::kernels::{correlate, reflect101};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("defocus_blur", run);

/// Disk radius and the sigma that smooths its edge, in pixels.
const PARAMETERS: [[(f64, f64); 5]; 3] = [
    [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
    [(0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)],
    [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (radius, alias) = job.pick(&PARAMETERS);
    let plan = scratch.plan(job, || Plan::new(&disk(radius, alias), job.width));
    let (reach, padded_stride) = (plan.reach, plan.padded_stride);
    let stride = 3 * job.width;
    let [padded, sums] = scratch
        .doubles
        .take([padded_stride * (job.height + 2 * reach), stride]);
    for (y, row) in padded.chunks_exact_mut(padded_stride).enumerate() {
        let y = reflect101(y as isize - reach as isize, job.height);
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let x = reflect101(x as isize - reach as isize, job.width);
            for (value, &byte) in pixel.iter_mut().zip(&job.pixels[y * stride + 3 * x..]) {
                *value = unit(byte);
            }
        }
    }
    for (y, out) in out.chunks_exact_mut(stride).enumerate() {
        correlate::lines(padded, (reach + y) * padded_stride + 3 * reach, &plan.taps, sums);
        for (out, sum) in out.iter_mut().zip(&*sums) {
            *out = byte(*sum);
        }
    }
    Ok(())
}

/// The kernel for images of one width.
struct Plan {
    /// Pixels it reaches beyond the border.
    reach: usize,
    padded_stride: usize,
    taps: Vec<correlate::Tap>,
}

impl Plan {
    fn new(disk: &[Tap], width: usize) -> Self {
        let far = disk
            .iter()
            .map(|tap| tap.x.unsigned_abs().max(tap.y.unsigned_abs()));
        let reach = far.max().unwrap_or(0);
        let padded_stride = 3 * (width + 2 * reach);
        let offset = |tap: &Tap| tap.y * padded_stride as isize + 3 * tap.x;
        Self {
            reach,
            padded_stride,
            taps: disk.iter().map(|tap| (offset(tap), tap.weight)).collect(),
        }
    }
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
