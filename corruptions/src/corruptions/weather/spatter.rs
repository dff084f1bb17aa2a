//! spatter: drops of water (severities 1 to 3) or mud (4 and 5) on the lens.
//!
//! Smoothed noise is thresholded into a liquid layer. Mud covers; water brightens, more so
//! along the lit side of its edges, for which the reference finds edges, measures the
//! distance to them, equalises it and embosses the result.

use crate::corruption::Group;
use crate::corruptions::{Entry, Job, Scratch};
use crate::kernels::edges::{canny, chamfer};
use crate::kernels::gaussian::{Gaussian, Storage};
use crate::kernels::reflect101;
use crate::kernels::unit::{byte_f32, unit_f32};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry {
    name: "spatter",
    group: Group::Extra,
    deterministic: false,
    run,
    channel: None,
};

#[derive(Clone, Copy)]
struct Parameters {
    /// Mean and standard deviation of the noise.
    noise: (f64, f64),
    /// Sigma that smooths it.
    sigma: f64,
    /// Below this there is no liquid.
    threshold: f64,
    liquid: Liquid,
}

#[derive(Clone, Copy)]
enum Liquid {
    /// With this strength.
    Water(f64),
    /// With edges softened by this sigma.
    Mud(f64),
}
use Liquid::{Mud, Water};

const fn p(mean: f64, sd: f64, sigma: f64, threshold: f64, liquid: Liquid) -> Parameters {
    Parameters {
        noise: (mean, sd),
        sigma,
        threshold,
        liquid,
    }
}

const PARAMETERS: [[Parameters; 5]; 3] = [
    [
        p(0.62, 0.1, 0.7, 0.7, Water(0.5)),
        p(0.65, 0.1, 0.8, 0.7, Water(0.5)),
        p(0.65, 0.3, 1.0, 0.69, Water(0.5)),
        p(0.65, 0.1, 0.7, 0.69, Mud(0.6)),
        p(0.65, 0.1, 0.5, 0.68, Mud(0.6)),
    ],
    [
        p(0.62, 0.1, 0.7, 0.7, Water(0.6)),
        p(0.65, 0.1, 0.8, 0.7, Water(0.6)),
        p(0.65, 0.3, 1.0, 0.69, Water(0.6)),
        p(0.65, 0.1, 0.7, 0.68, Mud(0.6)),
        p(0.65, 0.1, 0.5, 0.67, Mud(0.6)),
    ],
    [
        p(0.65, 0.3, 4.0, 0.69, Water(0.6)),
        p(0.65, 0.3, 3.0, 0.68, Water(0.6)),
        p(0.65, 0.3, 2.0, 0.68, Water(0.5)),
        p(0.65, 0.3, 1.0, 0.65, Mud(1.5)),
        p(0.67, 0.4, 1.0, 0.65, Mud(1.5)),
    ],
];

/// Pale turquoise, and brown.
const WATER: [f32; 3] = [175.0, 238.0, 238.0];
const MUD: [f32; 3] = [63.0, 42.0, 20.0];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let parameters = job.pick(&PARAMETERS);
    let (mean, sd) = parameters.noise;
    let size = (job.width, job.height);
    let [layer] = scratch.doubles.take([job.area()]);
    rng.fill_normal(layer);
    for value in layer.iter_mut() {
        *value = mean + sd * *value;
    }
    let smooth = Gaussian::replicated(parameters.sigma, job.stack);
    smooth.apply(layer, size, 1, Storage::Double, &mut scratch.kernel);
    let threshold = parameters.threshold;
    match parameters.liquid {
        Water(strength) => {
            let [liquid, relief, spare] = scratch.bytes.take([job.area(); 3]);
            for (out, &value) in liquid.iter_mut().zip(&*layer) {
                // A cast as in C: levels above 255 wrap around.
                let level = if value < threshold { 0.0 } else { value };
                *out = (level * 255.0) as i64 as u8;
            }
            let [distance] = scratch.singles.take([job.area()]);
            let [edge] = scratch.flags.take([job.area()]);
            let padded = (job.width + 4) * (job.height + 4);
            let [gradient, magnitude, stack, padded] =
                scratch
                    .words
                    .take([2 * job.area(), job.area(), job.area(), padded]);
            canny(liquid, size, (50, 150), [gradient, magnitude, stack], edge);
            chamfer(edge, size, padded, distance);
            shade(distance, size, relief, spare);
            water(job, liquid, relief, strength as f32, out);
        }
        Mud(sigma) => {
            for value in layer.iter_mut() {
                *value = f64::from(u8::from(*value > threshold));
            }
            let soften = Gaussian::replicated(sigma, job.stack);
            soften.apply(layer, size, 1, Storage::Single, &mut scratch.kernel);
            let colour = MUD.map(|c| (f64::from(c) / 255.0) as f32);
            let pixels = out.chunks_exact_mut(3).zip(job.pixels.chunks_exact(3));
            for ((out, pixel), &cover) in pixels.zip(&*layer) {
                let cover = if cover < 0.8 { 0.0 } else { cover as f32 };
                for ((out, &x), colour) in out.iter_mut().zip(pixel).zip(colour) {
                    *out = byte_f32(unit_f32(x) * (1.0 - cover) + colour * cover);
                }
            }
        }
    }
    Ok(())
}

/// Adds water in proportion to liquid times relief, scaled to a largest value of 1.
fn water(job: &Job<'_>, liquid: &[u8], relief: &[u8], strength: f32, out: &mut [u8]) {
    let colour = WATER.map(|c| (f64::from(c) / 255.0) as f32);
    let amount = |i: usize| f32::from(liquid[i]) * f32::from(relief[i]);
    let largest = (0..job.area()).map(amount).fold(0.0, f32::max);
    // Without any liquid the reference divides 0 by 0 and returns black; this returns the
    // image. It never occurred in thousands of draws.
    let largest = if largest == 0.0 { 1.0 } else { largest };
    let pixels = out.chunks_exact_mut(3).zip(job.pixels.chunks_exact(3));
    for (i, (out, pixel)) in pixels.enumerate() {
        let amount = amount(i) / largest * strength;
        for ((out, &x), colour) in out.iter_mut().zip(pixel).zip(colour) {
            *out = byte_f32(unit_f32(x) + amount * colour);
        }
    }
}

/// From the distance to an edge to the relief of the drops: smoothed, equalised, embossed
/// and smoothed again, in bytes.
fn shade(distance: &mut [f32], size: (usize, usize), relief: &mut [u8], spare: &mut [u8]) {
    for value in distance.iter_mut() {
        *value = value.min(20.0);
    }
    for (i, out) in relief.iter_mut().enumerate() {
        let sum: f64 = around(i, size).map(|at| f64::from(distance[at])).iter().sum();
        *out = (sum * (1.0 / 9.0)) as f32 as u8;
    }
    equalise(relief);
    const EMBOSS: [i32; 9] = [-2, -1, 0, -1, 1, 1, 0, 1, 2];
    for (i, out) in spare.iter_mut().enumerate() {
        let taps = around(i, size).into_iter().zip(EMBOSS);
        let sum: i32 = taps.map(|(at, weight)| weight * i32::from(relief[at])).sum();
        *out = sum.clamp(0, 255) as u8;
    }
    for (i, out) in relief.iter_mut().enumerate() {
        let sum: u32 = around(i, size).map(|at| u32::from(spare[at])).iter().sum();
        *out = ((2 * sum + 9) / 18) as u8;
    }
}

/// Indices of the 3x3 pixels around pixel `i`, border mirrored.
fn around(i: usize, (width, height): (usize, usize)) -> [usize; 9] {
    let (y, x) = ((i / width) as isize, (i % width) as isize);
    let rows = [-1, 0, 1].map(|d| reflect101(y + d, height) * width);
    let columns = [-1, 0, 1].map(|d| reflect101(x + d, width));
    std::array::from_fn(|k| rows[k / 3] + columns[k % 3])
}

/// OpenCV's histogram equalisation: the first level present becomes 0.
fn equalise(bytes: &mut [u8]) {
    let mut histogram = [0_u32; 256];
    for &byte in &*bytes {
        histogram[usize::from(byte)] += 1;
    }
    let total = bytes.len() as u32;
    let first = histogram.iter().position(|&n| n > 0).unwrap_or(0);
    if histogram[first] == total {
        return;
    }
    let scale = 255.0 / (total - histogram[first]) as f32;
    let mut table = [0; 256];
    let mut sum = 0;
    for level in first + 1..256 {
        sum += histogram[level];
        table[level] = (sum as f32 * scale).round_ties_even().min(255.0) as u8;
    }
    for byte in bytes {
        *byte = table[usize::from(*byte)];
    }
}
