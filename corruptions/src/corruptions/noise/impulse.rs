//! impulse_noise: salt and pepper, drawn for every channel value, not for every pixel.
//!
//! Two full Boolean arrays are drawn, which values to flip and which of those become 1,
//! as scikit-image up to 0.18 does. From 0.19 on it draws from a generator that no seed
//! reaches, so this rule is the only reproducible one.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::noise_table::{NoiseTable, NoiseTables};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("impulse_noise", run).with_noise_table(noise_table);

/// Probability that a value is flipped.
const AMOUNT: [[f64; 5]; 3] = [
    [0.01, 0.02, 0.03, 0.05, 0.07],
    [0.01, 0.02, 0.05, 0.08, 0.14],
    [0.03, 0.06, 0.09, 0.17, 0.27],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let [flip, salt] = scratch.flags.take([out.len(), out.len()]);
    rng.fill_choice(job.pick(&AMOUNT), flip);
    rng.fill_choice(0.5, salt);
    for (((out, &x), flip), salt) in out.iter_mut().zip(job.pixels).zip(flip).zip(salt) {
        *out = match (*flip, *salt) {
            (false, _) => x,
            (true, true) => 255,
            (true, false) => 0,
        };
    }
    Ok(())
}

fn noise_table(job: &Job<'_>) -> &'static NoiseTable {
    static TABLES: NoiseTables = NoiseTables::new();
    let amount = job.pick(&AMOUNT);
    TABLES.get(job, |x| {
        std::array::from_fn(|k| {
            let kept = if k >= usize::from(x) { 1.0 - amount } else { 0.0 };
            0.5 * amount + kept
        })
    })
}
