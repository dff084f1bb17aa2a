//! elastic_transform: a random affine map, then small smooth local shifts.
//!
//! The affine warp is OpenCV 4's, which quantises coordinates to 1/32 pixel (OpenCV 5
//! samples exactly; 7 to 19 per cent of bytes differ, by at most 3). The shifts sample
//! with SciPy's `map_coordinates`; the two stacks differ in what lies up to one pixel
//! beyond the border.

use crate::corruption::Group;
use crate::corruptions::{Entry, Job, Scratch};
use crate::kernels::gaussian::{Border, Gaussian, Storage};
use crate::kernels::unit::{byte_f32, unit_f32};
use crate::kernels::{affine, symmetric};
use crate::{RandomSource, Result, Stack};

pub(crate) const ENTRY: Entry = Entry {
    name: "elastic_transform",
    group: Group::Digital,
    deterministic: false,
    run,
    channel: None,
};

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

    let [image, warped] = scratch.singles.take([out.len(), out.len()]);
    for (value, &x) in image.iter_mut().zip(job.pixels) {
        *value = unit_f32(x);
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
    affine::warp(image, (width, height), &affine::through(from, to), warped);

    let [dx, dy] = scratch.doubles.take([job.area(), job.area()]);
    let smooth = Gaussian::new(sigma, 3.0, Border::Symmetric, job.stack);
    for shift in [&mut *dx, &mut *dy] {
        rng.fill_uniform(-1.0, 1.0, shift);
        if alpha == 0.0 {
            continue;
        }
        smooth.apply(shift, (width, height), 1, Storage::Double, &mut scratch.kernel);
    }
    // The scripts multiply by an amplitude of 0 too: no shift, the warped image as it is.
    if alpha == 0.0 {
        for (out, &value) in out.iter_mut().zip(&*warped) {
            *out = byte_f32(value);
        }
        return Ok(());
    }
    let pixels = out.chunks_exact_mut(3).zip(dx.iter().zip(&*dy));
    for (i, (pixel, (dx, dy))) in pixels.enumerate() {
        let shift = |shift: f64| f64::from((shift * alpha) as f32);
        let y = Taps::new((i / width) as f64 + shift(*dy), height, job.stack);
        let x = Taps::new((i % width) as f64 + shift(*dx), width, job.stack);
        for (c, out) in pixel.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (row, weight) in y.at.into_iter().zip(y.weight) {
                for (column, across) in x.at.into_iter().zip(x.weight) {
                    let value = f64::from(warped[3 * (row * width + column) + c]);
                    sum += value * weight * across;
                }
            }
            *out = byte_f32(sum as f32);
        }
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
