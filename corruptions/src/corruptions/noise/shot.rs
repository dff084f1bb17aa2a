//! shot_noise: Y = Poisson(c X) / c, as if every value counted c photons at full white.

use crate::corruption::Group;
use crate::corruptions::{Entry, Job, Scratch};
use crate::kernels::unit::{UNIT, byte};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry {
    name: "shot_noise",
    group: Group::Noise,
    deterministic: false,
    run,
};

/// Photons at full white.
const PHOTONS: [[f64; 5]; 3] = [
    [500.0, 250.0, 100.0, 75.0, 50.0],
    [250.0, 100.0, 50.0, 30.0, 15.0],
    [60.0, 25.0, 12.0, 5.0, 3.0],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let photons = job.pick(&PHOTONS);
    let [counts] = scratch.doubles.take([out.len()]);
    rng.fill_poisson(job.pixels, &UNIT.map(|x| x * photons), counts);
    for (out, count) in out.iter_mut().zip(counts) {
        *out = byte(*count / photons);
    }
    Ok(())
}
