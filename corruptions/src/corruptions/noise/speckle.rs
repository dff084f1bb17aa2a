//! speckle_noise: Y = X + X (sigma N), noise in proportion to the value.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::noise_table::{NoiseTable, NoiseTables, normal_below};
use crate::kernels::unit::{byte, unit};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("speckle_noise", run).with_noise_table(noise_table);

/// Standard deviation of the factor.
const SIGMA: [[f64; 5]; 3] = [
    [0.06, 0.1, 0.12, 0.16, 0.2],
    [0.15, 0.2, 0.25, 0.3, 0.35],
    [0.15, 0.2, 0.35, 0.45, 0.6],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let sigma = job.pick(&SIGMA);
    let [noise] = scratch.doubles.take([out.len()]);
    rng.fill_normal(noise);
    for ((out, &x), n) in out.iter_mut().zip(job.pixels).zip(noise) {
        let x = unit(x);
        *out = byte(x + x * (sigma * *n));
    }
    Ok(())
}

fn noise_table(job: &Job<'_>) -> &'static NoiseTable {
    static TABLES: NoiseTables = NoiseTables::new();
    let sigma = job.pick(&SIGMA);
    // Truncation gives at most k as long as 255 Y stays below k + 1. (Black stays black: its
    // quotient is infinite.)
    TABLES.get(job, |x| {
        let x = f64::from(x);
        std::array::from_fn(|k| normal_below((k as f64 + 1.0 - x) / (sigma * x)))
    })
}
