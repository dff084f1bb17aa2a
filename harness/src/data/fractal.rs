//! Pictures of Julia sets: the mixing set of PixMix.
//!
//! PixMix's authors collected 14,230 fractals and feature visualisations from the web, which
//! cannot be handed on here. What they ask of a mixing picture is much structure at every scale
//! and no object of a class; escape-time fractals have that and need no file. The set has as many
//! pictures, each drawn anew from its number alone.

use rlnet_corruptions::random::KeyedRng;
use std::f64::consts::TAU;

/// Pictures in the set (PixMix's number).
pub const PICTURES: u64 = 14_230;
/// Iterations after which a point counts as inside.
const ITERATIONS: usize = 40;
/// Squared radius beyond which a point has escaped. Larger than the 4 that would do, so that the
/// smooth count has no steps.
const ESCAPED: f64 = 256.0;

/// Writes picture `number` (below [`PICTURES`]) to `out` (3 x size x size, `f32` in `[0, 1]`).
///
/// # Panics
/// If `out` is not `3 * size * size` long.
pub fn picture(number: u64, size: usize, out: &mut [f32]) {
    assert_eq!(out.len(), 3 * size * size);
    let mut rng = KeyedRng::new(0, "fractal", &[number]);
    let constant = constant(&mut rng);
    // A square window of side 1.2 to 3, turned, its centre up to 0.6 away from the set's.
    let side = 1.2 + 1.8 * rng.uniform();
    let (sin, cos) = (TAU * rng.uniform()).sin_cos();
    let mut offset = || 1.2 * rng.uniform() - 0.6;
    let centre = (offset(), offset());
    let palette: [(f64, f64); 3] = std::array::from_fn(|_| (1.0 + 4.0 * rng.uniform(), rng.uniform()));
    let plane = size * size;
    for y in 0..size {
        for x in 0..size {
            let at = |k: usize| ((k as f64 + 0.5) / size as f64 - 0.5) * side;
            let (u, v) = (at(x), at(y));
            let start = (centre.0 + cos * u - sin * v, centre.1 + sin * u + cos * v);
            let level = level(start, constant);
            for (channel, (waves, phase)) in palette.iter().enumerate() {
                let value = 0.5 + 0.5 * (TAU * (waves * level + phase)).cos();
                out[channel * plane + y * size + x] = value as f32;
            }
        }
    }
}

/// A constant just outside the main cardioid of the Mandelbrot set, `e^it / 2 - e^2it / 4`, where
/// Julia sets are neither blobs nor scattered points.
fn constant(rng: &mut KeyedRng) -> (f64, f64) {
    let (sin, cos) = (TAU * rng.uniform()).sin_cos();
    let (sin2, cos2) = (2.0 * sin * cos, cos * cos - sin * sin);
    let out = 1.0 + 0.15 * rng.uniform();
    ((cos / 2.0 - cos2 / 4.0) * out, (sin / 2.0 - sin2 / 4.0) * out)
}

/// Where `z <- z² + c` takes a point, about 0 to 1: a smooth count of the steps it needs to
/// escape, or the closest it came to zero if it does not.
fn level(start: (f64, f64), c: (f64, f64)) -> f64 {
    let (mut x, mut y) = start;
    let mut closest = f64::INFINITY;
    for step in 0..ITERATIONS {
        let square = x * x + y * y;
        if square > ESCAPED {
            let beyond = (square.ln() / ESCAPED.ln()).log2();
            return ((step as f64 - beyond) / ITERATIONS as f64).max(0.0);
        }
        closest = closest.min(square);
        (x, y) = (x * x - y * y + c.0, 2.0 * x * y + c.1);
    }
    closest.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(number: u64) -> Vec<f32> {
        let mut out = vec![f32::NAN; 3 * 32 * 32];
        picture(number, 32, &mut out);
        out
    }

    #[test]
    fn pictures_are_their_numbers_and_stay_in_range() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert!((0..200).flat_map(drawn).all(|v| (0.0..=1.0).contains(&v)));
    }

    /// Structure is what they are for: hardly any is of one colour, neighbours differ, and their
    /// mean is near the middle.
    #[test]
    fn pictures_have_structure() {
        let (mut flat, mut mean, mut steps) = (0, 0.0, 0.0);
        for number in 0..200 {
            let values = drawn(number);
            let n = values.len() as f32;
            let m = values.iter().sum::<f32>() / n;
            let var = values.iter().map(|v| (v - m) * (v - m)).sum::<f32>() / n;
            flat += usize::from(var.sqrt() < 0.1);
            mean += m / 200.0;
            let pairs = values.chunks(32).flat_map(|row| row.windows(2));
            steps += pairs.map(|pair| (pair[0] - pair[1]).abs()).sum::<f32>() / (n * 31.0 / 32.0) / 200.0;
        }
        assert!(flat < 10, "{flat} of 200 are flat");
        assert!((mean - 0.5).abs() < 0.1, "mean {mean}");
        assert!((0.03..0.4).contains(&steps), "neighbours differ by {steps}");
    }
}
