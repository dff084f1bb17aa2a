//! saturate: the HSV saturation scaled and shifted.
//!
//! Where something is added, a grey pixel (hue 0) turns reddish; the benchmark does that.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::hsv;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("saturate", run);

/// Factor and summand.
const PARAMETERS: [[(f64, f64); 5]; 3] = [
    [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)],
    [(0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)],
    [(0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (factor, summand) = job.pick(&PARAMETERS);
    hsv::map(job.pixels, out, |[_, s, _]| {
        *s = (*s * factor + summand).clamp(0.0, 1.0);
    });
    Ok(())
}
