//! gaussian_noise, shot_noise, speckle_noise: frame 0 is the image, every other frame has noise of its
//! own.
//!
//! The harder ones (`_2`, `_3`) differ in strength alone.

use super::entry::{Begin, Draws, Entry, Frame};
use crate::corruptions::noise::{gaussian, shot, speckle};
use crate::job::{Job, Scratch};
use crate::kernels::noise_table::NoiseTables;
use crate::kernels::unit::{byte_f32, unit_f32};
use crate::{KeyedRng, RandomSource};

pub(super) static GAUSSIAN: [Entry; 3] = strengths(
    gaussian_noise,
    ["gaussian_noise", "gaussian_noise_2", "gaussian_noise_3"],
);
pub(super) static SHOT: [Entry; 3] = strengths(shot_noise, ["shot_noise", "shot_noise_2", "shot_noise_3"]);
pub(super) static SPECKLE: [Entry; 3] = strengths(
    speckle_noise,
    ["speckle_noise", "speckle_noise_2", "speckle_noise_3"],
);

const fn strengths(begin: Begin, [first, second, third]: [&'static str; 3]) -> [Entry; 3] {
    [
        Entry::random(first, 31, begin),
        Entry::random(second, 31, begin).at_strength(2),
        Entry::random(third, 31, begin).at_strength(3),
    ]
}

/// Standard deviation of the noise, and of the factor; photons at full white.
const GAUSSIAN_SIGMA: [f64; 3] = [0.02, 0.04, 0.06];
const SPECKLE_SIGMA: [f64; 3] = [0.05, 0.07, 0.1];
const PHOTONS: [f64; 3] = [700.0, 400.0, 200.0];

/// PyTorch's normals, drawn plane by plane, in single precision.
fn gaussian_noise<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static TABLES: NoiseTables = NoiseTables::new();
    let sigma = GAUSSIAN_SIGMA[job.severity.index()];
    let [noise] = scratch.singles.take([job.pixels.len()]);
    let (area, scale) = (job.area(), sigma as f32);
    noisy(
        job,
        move |rng, out| TABLES.get(&job, gaussian::law(sigma)).draw(job.pixels, rng, out),
        move |rng, out| {
            rng.fill_normal_single(noise);
            for (at, (out, &x)) in out.iter_mut().zip(job.pixels).enumerate() {
                *out = byte_f32(unit_f32(x) + scale * noise[at % 3 * area + at / 3]);
            }
        },
    )
}

fn shot_noise<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static TABLES: NoiseTables = NoiseTables::new();
    let photons = PHOTONS[job.severity.index()];
    noisy(
        job,
        move |rng, out| TABLES.get(&job, shot::law(photons)).draw(job.pixels, rng, out),
        move |rng, out| shot::count(job.pixels, photons, rng, &mut scratch.doubles, out),
    )
}

fn speckle_noise<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static TABLES: NoiseTables = NoiseTables::new();
    let sigma = SPECKLE_SIGMA[job.severity.index()];
    noisy(
        job,
        move |rng, out| TABLES.get(&job, speckle::law(sigma)).draw(job.pixels, rng, out),
        move |rng, out| speckle::multiply(job.pixels, sigma, rng, &mut scratch.doubles, out),
    )
}

/// The image, then frames by table where the source is keyed, else by formula.
fn noisy<'a>(
    job: Job<'a>,
    by_table: impl Fn(&mut KeyedRng, &mut [u8]) + 'a,
    mut by_formula: impl FnMut(&mut dyn RandomSource, &mut [u8]) + 'a,
) -> Frame<'a> {
    Box::new(move |frame, draws, out| {
        if frame == 0 {
            out.copy_from_slice(job.pixels);
            return;
        }
        let rng = draws.of(frame);
        match rng.as_keyed() {
            Some(rng) => by_table(rng, out),
            None => by_formula(rng, out),
        }
    })
}
