//! speckle_noise: Y = X + X (sigma N), noise in proportion to the value.

use crate::entry::Entry;
use crate::job::{Job, Pool, Scratch};
use crate::kernels::noise_table::{Law, NoiseTable, NoiseTables, normal_below};
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
    multiply(job.pixels, job.pick(&SIGMA), rng, &mut scratch.doubles, out);
    Ok(())
}

/// Multiplies every value of `pixels` by a factor of mean 1 and this standard deviation.
pub(crate) fn multiply(
    pixels: &[u8],
    sigma: f64,
    rng: &mut dyn RandomSource,
    memory: &mut Pool<f64>,
    out: &mut [u8],
) {
    let [noise] = memory.take([out.len()]);
    rng.fill_normal(noise);
    for ((out, &x), n) in out.iter_mut().zip(pixels).zip(noise) {
        let x = unit(x);
        *out = byte(x + x * (sigma * *n));
    }
}

fn noise_table(job: &Job<'_>) -> &'static NoiseTable {
    static TABLES: NoiseTables = NoiseTables::new();
    TABLES.get(job, law(job.pick(&SIGMA)))
}

/// The distribution of a byte under factors of this standard deviation.
pub(crate) fn law(sigma: f64) -> impl Fn(u8) -> Law {
    // Truncation gives at most k as long as 255 Y stays below k + 1. (Black stays black: its
    // quotient is infinite.)
    move |x| {
        let x = f64::from(x);
        std::array::from_fn(|k| normal_below((k as f64 + 1.0 - x) / (sigma * x)))
    }
}
