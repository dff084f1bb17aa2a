//! shot_noise: Y = Poisson(c X) / c, as if every value counted c photons at full white.

use crate::entry::Entry;
use crate::job::{Job, Pool, Scratch};
use crate::kernels::noise_table::{Law, NoiseTable, NoiseTables};
use crate::kernels::unit::{UNIT, byte};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("shot_noise", run).with_noise_table(noise_table);

/// Photons at full white.
const PHOTONS: [[f64; 5]; 3] = [
    [500.0, 250.0, 100.0, 75.0, 50.0],
    [250.0, 100.0, 50.0, 30.0, 15.0],
    [60.0, 25.0, 12.0, 5.0, 3.0],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    count(job.pixels, job.pick(&PHOTONS), rng, &mut scratch.doubles, out);
    Ok(())
}

/// Counts the photons of every value of `pixels`.
pub(crate) fn count(
    pixels: &[u8],
    photons: f64,
    rng: &mut dyn RandomSource,
    memory: &mut Pool<f64>,
    out: &mut [u8],
) {
    let [counts] = memory.take([out.len()]);
    rng.fill_poisson(pixels, &UNIT.map(|x| x * photons), counts);
    for (out, count) in out.iter_mut().zip(counts) {
        *out = byte(*count / photons);
    }
}

fn noise_table(job: &Job<'_>) -> &'static NoiseTable {
    static TABLES: NoiseTables = NoiseTables::new();
    TABLES.get(job, law(job.pick(&PHOTONS)))
}

/// The distribution of a byte when full white is this many photons.
pub(crate) fn law(photons: f64) -> impl Fn(u8) -> Law {
    move |x| {
        let mean = UNIT[usize::from(x)] * photons;
        // P(count = 0), then P(count) = P(count - 1) mean / count; counts above `photons`
        // are all white.
        let (mut law, mut probability) = ([0.0; 256], (-mean).exp());
        let mut below = 0.0;
        for count in 0..=photons as u32 {
            if count > 0 {
                probability *= mean / f64::from(count);
            }
            below += probability;
            law[usize::from(byte(f64::from(count) / photons))] = below;
        }
        // Bytes that no count gives.
        for k in 1..256 {
            law[k] = law[k].max(law[k - 1]);
        }
        law
    }
}
