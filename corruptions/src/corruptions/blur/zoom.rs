//! zoom_blur: the mean of the image and a series of zooms into its centre.
//!
//! The image is single precision; each zoom is computed in double, stored in single and
//! added in single precision. The factors are those of NumPy's `arange(1, last, step)`:
//! 1 + i ((1 + step) - 1), in double precision, which makes the last one 1.2500000000000002
//! where a literal 1.25 would round to a smaller enlargement.

use crate::corruption::Group;
use crate::corruptions::{Entry, Job, Scratch};
use crate::kernels::unit::{byte_f32, unit, unit_f32};
use crate::kernels::zoom::{Axis, sample};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry {
    name: "zoom_blur",
    group: Group::Blur,
    deterministic: true,
    run,
    channel: None,
};

/// Step and number of factors. `arange` includes its end point for some of these rows
/// and not for others; the counts say which.
const PARAMETERS: [[(f64, u32); 5]; 3] = [
    [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)],
    [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)],
    [(0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11)],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (step, count) = job.pick(&PARAMETERS);
    let [image, lines] = scratch.doubles.take([out.len(), 6 * job.width]);
    for (value, &byte) in image.iter_mut().zip(job.pixels) {
        *value = f64::from(unit(byte) as f32);
    }
    let [total] = scratch.singles.take([out.len()]);
    // The first factor is 1 and its zoom the image itself.
    for (total, &byte) in total.iter_mut().zip(job.pixels) {
        *total = unit_f32(byte);
    }
    let step = (1.0 + step) - 1.0;
    for i in 1..count {
        let factor = 1.0 + f64::from(i) * step;
        let axes = (&Axis::new(job.width, factor), &Axis::new(job.height, factor));
        sample(image, axes, 3, lines, |at, value| total[at] += value as f32);
    }
    let terms = (count + 1) as f32;
    for ((out, &x), total) in out.iter_mut().zip(job.pixels).zip(&*total) {
        *out = byte_f32((unit_f32(x) + total) / terms);
    }
    Ok(())
}
