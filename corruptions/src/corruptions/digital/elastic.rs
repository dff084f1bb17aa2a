//! elastic_transform: a random affine map, then small smooth local shifts.
//!
//! The affine warp is OpenCV 4's, which quantises coordinates to 1/32 pixel (OpenCV 5
//! samples exactly; 7 to 19 per cent of bytes differ, by at most 3). The shifts sample
//! with SciPy's `map_coordinates`; the two stacks differ in what lies up to one pixel
//! beyond the border.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::gaussian::{Border, Gaussian, Storage};
use crate::kernels::unit::{byte_f32, unit_f32};
use crate::kernels::wide::wide;
use crate::kernels::{affine, symmetric};
use crate::{RandomSource, Result, Stack};

pub(crate) const ENTRY: Entry = Entry::random("elastic_transform", run);

/// The side that the multiples below refer to. (244 is the reference's slip for 224.)
const SIDE: [f64; 3] = [32.0, 64.0, 244.0];

/// Amplitude of the shifts, sigma that smooths them, jitter of the affine map's points.
const PARAMETERS: [[(f64, f64, f64); 5]; 3] = [
    [
        (0.0, 0.0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ],
    [
        (0.0, 0.0, 0.08),
        (0.05, 0.3, 0.06),
        (0.1, 0.08, 0.06),
        (0.1, 0.03, 0.03),
        (0.16, 0.03, 0.02),
    ],
    [
        (2.0, 0.7, 0.1),
        (2.0, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    ],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let side = SIDE[job.set.index()];
    let (alpha, sigma, jitter) = job.pick(&PARAMETERS);
    let (alpha, sigma, jitter) = (side * alpha, side * sigma, side * jitter);
    let (width, height) = (job.width, job.height);
    let reach = (width.min(height) / 3) as f32;
    if reach < 1.0 {
        return Err(job.refuse("the affine map needs at least 3 pixels each way"));
    }

    let smooth = scratch.plan(job, || Gaussian::new(sigma, 3.0, Border::Symmetric, job.stack));
    // Pixels of four values, the last of them idle: they fill vector registers.
    let [image, warped] = scratch.singles.take([4 * job.area(); 2]);
    let (image, warped) = (image.as_chunks_mut::<4>().0, warped.as_chunks_mut::<4>().0);
    let made = out.as_chunks_mut::<3>().0;
    for (value, &[r, g, b]) in image.iter_mut().zip(job.pixels.as_chunks::<3>().0) {
        *value = [unit_f32(r), unit_f32(g), unit_f32(b), 0.0];
    }
    // The reference takes (rows, columns) for (x, y) here; that matters for other than
    // square images only.
    let (cx, cy) = ((height / 2) as f32, (width / 2) as f32);
    let from = [
        [cx + reach, cy + reach],
        [cx + reach, cy - reach],
        [cx - reach, cy - reach],
    ];
    let to = from.map(|point| point.map(|c| c + rng.uniform_in(-jitter, jitter) as f32));
    let [columns] = scratch.words.take([2 * width]);
    let columns = columns.as_chunks_mut().0;
    affine::warp(
        image,
        (width, height),
        &affine::through(from, to),
        columns,
        warped,
    );

    let [dx, dy] = scratch.doubles.take([job.area(), job.area()]);
    for shift in [&mut *dx, &mut *dy] {
        rng.fill_uniform(-1.0, 1.0, shift);
        if alpha == 0.0 {
            continue;
        }
        smooth.apply(shift, (width, height), 1, Storage::Double, &mut scratch.kernel);
    }
    // The scripts multiply by an amplitude of 0 too: no shift, the warped image as it is.
    if alpha == 0.0 {
        for (out, &[r, g, b, _]) in made.iter_mut().zip(&*warped) {
            *out = [r, g, b].map(byte_f32);
        }
        return Ok(());
    }
    let shifts = dx.chunks_exact(width).zip(dy.chunks_exact(width));
    for ((y, line), (dx, dy)) in made.chunks_exact_mut(width).enumerate().zip(shifts) {
        wide(
            #[inline(always)]
            || {
                for ((x, out), (dx, dy)) in line.iter_mut().enumerate().zip(dx.iter().zip(dy)) {
                    let shift = |shift: f64| f64::from((shift * alpha) as f32);
                    let rows = Taps::new(y as f64 + shift(*dy), height, job.stack);
                    let columns = Taps::new(x as f64 + shift(*dx), width, job.stack);
                    let mut sum = [0.0; 4];
                    for (row, down) in rows.at.into_iter().zip(rows.weight) {
                        for (column, across) in columns.at.into_iter().zip(columns.weight) {
                            let pixel = warped[row * width + column];
                            sum = std::array::from_fn(|c| sum[c] + f64::from(pixel[c]) * down * across);
                        }
                    }
                    *out = [sum[0], sum[1], sum[2]].map(|value| byte_f32(value as f32));
                }
            },
        );
    }
    Ok(())
}

/// Two samples of an axis and their weights.
struct Taps {
    at: [usize; 2],
    weight: [f64; 2],
}

impl Taps {
    /// Linear interpolation at coordinate `c` of `n` samples, mirrored with the edge
    /// repeated.
    #[inline(always)]
    fn new(c: f64, n: usize, stack: Stack) -> Self {
        let end = n as f64;
        let mut c = c;
        if c < -end || c >= 2.0 * end {
            c = c.rem_euclid(2.0 * end);
        }
        if c < 0.0 {
            c = match stack {
                // SciPy 1.2 loses a sign between the edge and its mirror image.
                Stack::Release if c > -1.0 => 1.0 + c,
                _ => -c - 1.0,
            };
        } else if c > end - 1.0 {
            c = match stack {
                Stack::Release if c < end => 2.0 * (end - 1.0) - c,
                Stack::Modern if c < end => c,
                _ => 2.0 * end - 1.0 - c,
            };
        }
        // A floor without a library call; below 0 there is only (-1, 0).
        let below = c as isize - isize::from(c < 0.0);
        let upper = 1.0 - (c - below as f64);
        Self {
            at: [symmetric(below, n), symmetric(below + 1, n)],
            weight: [upper, 1.0 - upper],
        }
    }
}
