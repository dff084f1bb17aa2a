//! perlin_noise: grey clouds, five octaves of Perlin's gradient noise of 1985.
//!
//! A gradient of length zero (one of 512 x 512 draws) divides 0 by 0 in the scripts, and the four cells
//! around its place become black; so they do here.

use super::{Levels, inner_seed, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("perlin_noise", run);

const LEVELS: Levels = Levels::imagenet([4.6, 5.2, 5.8, 7.6, 8.8]);
/// Sizes of the table of places, as in Perlin's program.
const PLACES: usize = 256;
const OCTAVES: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let alpha = level(job, LEVELS)? * 0.5 / 10.0;
    let seed = inner_seed(rng);
    let mut table = Table {
        order: [0; PLACES],
        gradients: [[0.0; 2]; PLACES],
    };
    rng.seeded(seed, &mut |rng| table.draw(rng));
    let step = 1.0 / (32.0 * job.width as f64 / 224.0);
    // The image is weighed in single precision.
    let keep = (1.0 - alpha) as f32;
    for (i, (out, pixel)) in job.onto(out).enumerate() {
        let (y, x) = ((i / job.width) as f64 * step, (i % job.width) as f64 * step);
        let turbulence = OCTAVES.iter().fold(0.0, |sum, &octave| {
            sum + table.noise(octave * y, octave * x).abs() / octave
        });
        let cloud = 255.0 * alpha * (0.5 * turbulence + 0.5).clamp(0.0, 1.0);
        *out = pixel.map(|value| (f64::from(keep * f32::from(value)) + cloud) as u8);
    }
    Ok(())
}

struct Table {
    order: [u8; PLACES],
    gradients: [[f64; 2]; PLACES],
}

impl Table {
    fn draw(&mut self, rng: &mut dyn RandomSource) {
        let part = |rng: &mut dyn RandomSource| ((rng.below(1 << 31) % 512) as f64 - 256.0) / 256.0;
        // The table of the scripts has 514 gradients, of which the latter are overwritten.
        for at in 0..2 * PLACES + 2 {
            let [a, b] = [part(rng), part(rng)];
            let length = (a * a + b * b).sqrt();
            if let Some(gradient) = self.gradients.get_mut(at) {
                *gradient = [a / length, b / length];
            }
        }
        self.order = std::array::from_fn(|at| at as u8);
        for at in (0..PLACES).rev() {
            self.order.swap(at, rng.below(1 << 31) as usize % PLACES);
        }
    }

    /// The noise at a point with coordinates that are not negative.
    fn noise(&self, x: f64, y: f64) -> f64 {
        let place = |at: f64| self.order[at as usize % PLACES];
        let (column, row) = (x.floor(), y.floor());
        let (left, above) = (x - column, y - row);
        let curve = |t: f64| t * t * (3.0 - 2.0 * t);
        let row = row as usize;
        let [first, second] = [place(column), place(column + 1.0)];
        let corner = |column: u8, row: usize, x: f64, y: f64| {
            let at = self.order[(usize::from(column) + row) % PLACES];
            let [a, b] = self.gradients[usize::from(at)];
            x * a + y * b
        };
        let between = |row: usize, y: f64| {
            let (u, v) = (corner(first, row, left, y), corner(second, row, left - 1.0, y));
            u + curve(left) * (v - u)
        };
        let (a, b) = (between(row, above), between(row + 1, above - 1.0));
        1.5 * (a + curve(above) * (b - a))
    }
}
