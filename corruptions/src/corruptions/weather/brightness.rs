//! brightness: a constant added to the HSV value.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::hsv;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::deterministic("brightness", run);

/// What is added.
const AMOUNT: [[f64; 5]; 3] = [
    [0.05, 0.1, 0.15, 0.2, 0.3],
    [0.1, 0.2, 0.3, 0.4, 0.5],
    [0.1, 0.2, 0.3, 0.4, 0.5],
];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let amount = job.pick(&AMOUNT);
    hsv::map(job.pixels, out, |[_, _, v]| *v = (*v + amount).clamp(0.0, 1.0));
    Ok(())
}
