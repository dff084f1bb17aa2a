//! gaussian_noise: Y = X + sigma N, a normal for every channel value.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::noise_table::{Law, NoiseTable, NoiseTables, normal_below};
use crate::kernels::unit::{byte, unit};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("gaussian_noise", run).with_noise_table(noise_table);

/// Standard deviation.
const SIGMA: [[f64; 5]; 3] = [
    [0.04, 0.06, 0.08, 0.09, 0.10],
    [0.04, 0.08, 0.12, 0.15, 0.18],
    [0.08, 0.12, 0.18, 0.26, 0.38],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let sigma = job.pick(&SIGMA);
    let [noise] = scratch.doubles.take([out.len()]);
    rng.fill_normal(noise);
    for ((out, &x), n) in out.iter_mut().zip(job.pixels).zip(noise) {
        *out = byte(unit(x) + sigma * *n);
    }
    Ok(())
}

fn noise_table(job: &Job<'_>) -> &'static NoiseTable {
    static TABLES: NoiseTables = NoiseTables::new();
    TABLES.get(job, law(job.pick(&SIGMA)))
}

/// The distribution of a byte under noise of this standard deviation.
pub(crate) fn law(sigma: f64) -> impl Fn(u8) -> Law {
    let scale = 255.0 * sigma;
    // Truncation gives at most k as long as 255 Y stays below k + 1.
    move |x| std::array::from_fn(|k| normal_below((k as f64 + 1.0 - f64::from(x)) / scale))
}
