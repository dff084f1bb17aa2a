//! spatter: drops of water (severities 1 to 3) or mud (4 and 5) on the lens.
//!
//! Smoothed noise is thresholded into a liquid layer. Mud covers; water brightens, more so
//! along the lit side of its edges, for which the reference finds edges, measures the
//! distance to them, equalises it and embosses the result.

use crate::entry::Entry;
use crate::job::{Job, Pool, Scratch};
use crate::kernels::edges::{Gradients, SIDE, canny, chamfer};
use crate::kernels::frame::Frame;
use crate::kernels::gaussian::{Gaussian, Storage};
use crate::kernels::reflect101;
use crate::kernels::unit::byte_f32;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("spatter", run);

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
    let plan = scratch.plan(job, || Plan::new(&parameters, job));
    let [layer] = scratch.doubles.take([job.area()]);
    rng.fill_normal(layer);
    for value in layer.iter_mut() {
        *value = mean + sd * *value;
    }
    plan.smooth
        .apply(layer, size, 1, Storage::Double, &mut scratch.kernel);
    let threshold = parameters.threshold;
    // A pixel Y is X keep + tint.
    let [keep, tint] = scratch.singles.take([out.len(), out.len()]);
    match (parameters.liquid, &plan.soften) {
        (Mud(_), Some(soften)) => {
            for value in layer.iter_mut() {
                *value = f64::from(u8::from(*value > threshold));
            }
            soften.apply(layer, size, 1, Storage::Single, &mut scratch.kernel);
            let colour = MUD.map(|c| (f64::from(c) / 255.0) as f32);
            let pixels = keep
                .as_chunks_mut::<3>()
                .0
                .iter_mut()
                .zip(tint.as_chunks_mut::<3>().0);
            for ((keep, tint), &cover) in pixels.zip(&*layer) {
                let cover = if cover < 0.8 { 0.0 } else { cover as f32 };
                *keep = [1.0 - cover; 3];
                *tint = colour.map(|c| c * cover);
            }
        }
        (liquid, _) => {
            let strength = if let Water(strength) = liquid {
                strength
            } else {
                0.0
            };
            for value in layer.iter_mut() {
                if *value < threshold {
                    *value = 0.0;
                }
            }
            keep.fill(1.0);
            // Without any liquid the reference divides 0 by 0 and returns black; this returns the
            // image. It never occurred in thousands of draws.
            soak(size, layer, strength as f32, &mut scratch.relief, tint);
        }
    }
    let values = out.iter_mut().zip(job.pixels).zip(keep.iter().zip(&*tint));
    for ((out, &x), (keep, tint)) in values {
        *out = byte_f32(f32::from(x) / 255.0 * keep + tint);
    }
    Ok(())
}

/// The blurs of a cell: of the noise, and of the edges of mud.
struct Plan {
    smooth: Gaussian,
    soften: Option<Gaussian>,
}

impl Plan {
    fn new(parameters: &Parameters, job: &Job<'_>) -> Self {
        Self {
            smooth: Gaussian::replicated(parameters.sigma, job.stack),
            soften: match parameters.liquid {
                Water(_) => None,
                Mud(sigma) => Some(Gaussian::replicated(sigma, job.stack)),
            },
        }
    }
}

/// Working memory of [`soak`].
#[derive(Default)]
pub(crate) struct Relief {
    bytes: Pool<u8>,
    shorts: Pool<i16>,
    pending: Pool<u32>,
    distances: Pool<f32>,
}

/// The tint of a layer of water, brighter along the lit side of its edges, for an image of `size` in
/// `[0, 1]`; the wettest pixel gets `strength`. False, and no tint, if there is no water.
pub(crate) fn soak(
    (width, height): (usize, usize),
    layer: &[f64],
    strength: f32,
    memory: &mut Relief,
    tint: &mut [f32],
) -> bool {
    let frame = Frame { width, height };
    let [water, relief, spare, edges] = memory.bytes.take([frame.area(); 4]);
    for (y, row) in layer.chunks_exact(width).enumerate() {
        for (out, &value) in water[frame.row(y)..].iter_mut().zip(row) {
            // A cast as in C: levels above 255 wrap around.
            *out = (value * 255.0) as i32 as u8;
        }
    }
    let [x, y, magnitude] = memory.shorts.take([frame.area(); 3]);
    let [pending] = memory.pending.take([frame.area()]);
    let gradients = Gradients {
        x,
        y,
        magnitude,
        pending,
    };
    canny(frame, water, (50, 150), gradients, edges);
    let [distance] = memory.distances.take([frame.area()]);
    chamfer(frame, edges, distance);
    shade(frame, distance, relief, spare);
    wet(frame, water, relief, strength, tint)
}

/// The tint in proportion to liquid times relief, scaled to a largest value of `strength`; whether there
/// is any.
fn wet(frame: Frame, water: &[u8], relief: &[u8], strength: f32, tint: &mut [f32]) -> bool {
    let colour = WATER.map(|c| (f64::from(c) / 255.0) as f32);
    let rows = |y: usize| {
        let row = |plane| &<[u8]>::split_at(plane, frame.row(y)).1[..frame.width];
        let amount = |(&a, &b): (&u8, &u8)| u16::from(a) * u16::from(b);
        row(water).iter().zip(row(relief)).map(amount)
    };
    let largest = (0..frame.height).flat_map(rows).max().unwrap_or(0);
    let scale = f32::from(largest.max(1));
    for (y, line) in tint.chunks_exact_mut(3 * frame.width).enumerate() {
        for (tint, amount) in line.as_chunks_mut::<3>().0.iter_mut().zip(rows(y)) {
            let amount = f32::from(amount) / scale * strength;
            *tint = colour.map(|c| amount * c);
        }
    }
    largest > 0
}

/// From the distance to an edge to the relief of the drops: smoothed, equalised, embossed
/// and smoothed again, in bytes.
fn shade(frame: Frame, distance: &mut [f32], relief: &mut [u8], spare: &mut [u8]) {
    const FARTHEST: f32 = 20.0 * SIDE;
    for value in distance.iter_mut() {
        *value = if *value < FARTHEST { *value } else { FARTHEST };
    }
    frame.extend(distance, reflect101);
    for y in 0..frame.height {
        let outs = relief[frame.row(y)..].iter_mut();
        for (out, [a, b, c]) in outs.zip(windows(frame.around(distance, y))) {
            // Whole numbers below 2^24: exact in any order.
            let sum = (a[0] + a[1] + a[2]) + (b[0] + b[1] + b[2]) + (c[0] + c[1] + c[2]);
            let mean = f64::from(sum) / f64::from(SIDE) * (1.0 / 9.0);
            *out = mean as f32 as i32 as u8;
        }
    }
    equalise(frame, relief);
    frame.extend(relief, reflect101);
    for y in 0..frame.height {
        let outs = spare[frame.row(y)..].iter_mut();
        for (out, [a, b, c]) in outs.zip(windows(frame.around(relief, y))) {
            let [a, b, c] = [a, b, c].map(|row| [row[0], row[1], row[2]].map(i16::from));
            let sum = b[1] + b[2] + c[1] + 2 * c[2] - 2 * a[0] - a[1] - b[0];
            *out = sum.clamp(0, 255) as u8;
        }
    }
    frame.extend(spare, reflect101);
    for y in 0..frame.height {
        let outs = relief[frame.row(y)..].iter_mut();
        for (out, [a, b, c]) in outs.zip(windows(frame.around(spare, y))) {
            let [a, b, c] = [a, b, c].map(|row| u16::from(row[0]) + u16::from(row[1]) + u16::from(row[2]));
            *out = ((2 * (a + b + c) + 9) / 18) as u8;
        }
    }
}

/// The 3x3 neighbourhoods along three rows.
fn windows<T>([above, here, below]: [&[T]; 3]) -> impl Iterator<Item = [&[T]; 3]> {
    let rows = above.windows(3).zip(here.windows(3)).zip(below.windows(3));
    rows.map(|((a, b), c)| [a, b, c])
}

/// OpenCV's histogram equalisation: the first level present becomes 0.
fn equalise(frame: Frame, plane: &mut [u8]) {
    let rows = (0..frame.height).map(|y| frame.row(y));
    // Two histograms: neighbours are often equal, and would wait for each other.
    let mut halves = [[0_u32; 256]; 2];
    for start in rows.clone() {
        for (i, &byte) in plane[start..][..frame.width].iter().enumerate() {
            halves[i & 1][usize::from(byte)] += 1;
        }
    }
    let histogram: [u32; 256] = std::array::from_fn(|level| halves[0][level] + halves[1][level]);
    let total = (frame.width * frame.height) as u32;
    let first = histogram.iter().position(|&n| n > 0).unwrap_or(0);
    if histogram[first] == total {
        return;
    }
    let scale = 255.0 / (total - histogram[first]) as f32;
    let mut table = [0; 256];
    let mut sum = 0;
    for level in first + 1..256 {
        if histogram[level] > 0 {
            sum += histogram[level];
            table[level] = (sum as f32 * scale).round_ties_even().min(255.0) as u8;
        }
    }
    for start in rows {
        for byte in &mut plane[start..][..frame.width] {
            *byte = table[usize::from(*byte)];
        }
    }
}
