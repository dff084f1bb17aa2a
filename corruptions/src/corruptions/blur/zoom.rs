//! zoom_blur: the mean of the image and a series of zooms into its centre.
//!
//! The image is single precision; each zoom is computed in double, stored in single and
//! added in single precision. The factors are those of NumPy's `arange(1, last, step)`:
//! 1 + i ((1 + step) - 1), in double precision, which makes the last one 1.2500000000000002
//! where a literal 1.25 would round to a smaller enlargement.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::unit::{byte_f32, unit_f32};
use crate::kernels::zoom::{Axis, sample};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("zoom_blur", run);

/// Step and number of factors. `arange` includes its end point for some of these rows
/// and not for others; the counts say which.
const PARAMETERS: [[(f64, u32); 5]; 3] = [
    [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)],
    [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)],
    [(0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11)],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let plan = scratch.plan(job, || Plan::new(job));
    // Pixels of four values, the last of them idle: they fill vector registers.
    let [image, lines] = scratch.doubles.take([4 * job.area(), 8 * job.width]);
    let (image, lines) = (image.as_chunks_mut::<4>().0, lines.as_chunks_mut().0);
    let [total] = scratch.singles.take([4 * job.area()]);
    let total = total.as_chunks_mut::<4>().0;
    let pixels = job.pixels.as_chunks::<3>().0;
    // The first factor is 1 and its zoom the image itself.
    for ((value, total), &[r, g, b]) in image.iter_mut().zip(&mut *total).zip(pixels) {
        *total = [unit_f32(r), unit_f32(g), unit_f32(b), 0.0];
        *value = total.map(f64::from);
    }
    for (across, down) in &plan.zooms {
        sample(image, (across, down), lines, |at, pixel| {
            let total = &mut total[at];
            *total = std::array::from_fn(|c| total[c] + pixel[c] as f32);
        });
    }
    let made = out.as_chunks_mut::<3>().0;
    for ((out, pixel), total) in made.iter_mut().zip(pixels).zip(total) {
        *out = std::array::from_fn(|c| byte_f32((unit_f32(pixel[c]) + total[c]) / plan.terms));
    }
    Ok(())
}

/// The maps of all zooms but the first, across and down.
struct Plan {
    zooms: Vec<(Axis, Axis)>,
    /// Images that are averaged.
    terms: f32,
}

impl Plan {
    fn new(job: &Job<'_>) -> Self {
        let (step, count) = job.pick(&PARAMETERS);
        let step = (1.0 + step) - 1.0;
        let axes = |i| {
            let factor = 1.0 + f64::from(i) * step;
            (Axis::new(job.width, factor), Axis::new(job.height, factor))
        };
        Self {
            zooms: (1..count).map(axes).collect(),
            terms: (count + 1) as f32,
        }
    }
}
