//! Frost by formula.
//!
//! Two things make a frosted pane: feathers of ice (ridges of a noise field bent by
//! another) and bright grains where crystals meet, both on a haze. The amount of
//! ice grows from the middle of the picture to its rim, as it does on a window. Value
//! noise on a lattice is hashed, so a picture is a function of its index alone.

use super::{ORIGINALS, Set, Texture};

/// Raised when a picture changes.
pub(super) const VERSION: u32 = 1;

/// The five, at the sizes of the originals.
pub(super) fn all() -> Set {
    std::array::from_fn(|i| {
        let (_, width, height, _) = ORIGINALS[i];
        let columns = |y| (0..width).map(move |x| (x, y));
        let pixels = (0..height).flat_map(columns);
        Texture {
            width,
            height,
            rgb: pixels.flat_map(|(x, y)| pixel(i, x, y)).collect(),
        }
    })
}

/// Mean and standard deviation of red, green and blue in each of the originals (measured),
/// so that the default frost is about as strong as the benchmark's.
const COLOURS: [([f32; 3], [f32; 3]); 5] = [
    ([78.0, 149.0, 166.0], [27.0, 16.0, 15.0]),
    ([201.0, 205.0, 214.0], [21.0, 22.0, 23.0]),
    ([201.0, 205.0, 214.0], [21.0, 22.0, 23.0]),
    ([138.0, 153.0, 165.0], [28.0, 28.0, 30.0]),
    ([112.0, 123.0, 135.0], [44.0, 43.0, 42.0]),
];

/// Mean and standard deviation of the ice in each picture, so that one pixel can be painted without the others.
const ICE: [(f32, f32); 5] = [
    (0.471487, 0.19929062),
    (0.5079355, 0.19310133),
    (0.5020196, 0.1748548),
    (0.48309773, 0.18706736),
    (0.46153527, 0.18546773),
];

/// The red, green and blue of one pixel of a picture.
pub(super) fn pixel(picture: usize, x: usize, y: usize) -> [u8; 3] {
    let (mean, sd) = ICE[picture];
    let z = (ice(picture, x, y) - mean) / sd;
    let (means, sds) = COLOURS[picture];
    std::array::from_fn(|c| (means[c] + sds[c] * z).clamp(0.0, 255.0) as u8)
}

/// How much ice there is at one pixel: more towards the rim.
fn ice(picture: usize, x: usize, y: usize) -> f32 {
    let (_, width, height, _) = ORIGINALS[picture];
    let (from_left, from_top) = (x.min(width - 1 - x), y.min(height - 1 - y));
    let rim = from_left.min(from_top) as f32 / width.min(height) as f32;
    let cover = 0.75 + 0.35 * (1.0 - (2.5 * rim).min(1.0));
    cover * crystals(picture as u32, x as f32, y as f32)
}

/// Feathers and grains at one point.
fn crystals(seed: u32, x: f32, y: f32) -> f32 {
    // Bend the plane, then look for ridges at falling scales.
    let bend = |k| 60.0 * (octaves(seed ^ k, x / 90.0, y / 90.0, 2) - 0.5);
    let (a, b) = (x + bend(1024), y + bend(2048));
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 70.0);
    for level in 0..4 {
        let field = noise(seed ^ (4096 << level), a / scale, b / (0.45 * scale));
        let ridge = 1.0 - (2.0 * field - 1.0).abs();
        sum += weight * ridge * ridge;
        weight *= 0.6;
        scale *= 0.48;
    }
    let grain = noise(seed ^ (1 << 20), x / 6.0, y / 6.0);
    let haze = octaves(seed ^ (1 << 21), x / 200.0, y / 200.0, 2);
    sum + 0.22 * (grain - 0.5) + 0.25 * (haze - 0.5)
}

/// A few octaves of noise, in about `[0, 1]`.
fn octaves(seed: u32, x: f32, y: f32, count: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for level in 0..count {
        sum += weight * noise(seed.wrapping_add(level * 101), x * scale, y * scale);
        total += weight;
        weight *= 0.5;
        scale *= 2.0;
    }
    sum / total
}

/// Value noise in `[0, 1]`, smooth between lattice points.
fn noise(seed: u32, x: f32, y: f32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (ease(x - x0), ease(y - y0));
    let (i, j) = (x0 as i32, y0 as i32);
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    mix(
        mix(lattice(seed, i, j), lattice(seed, i + 1, j), s),
        mix(lattice(seed, i, j + 1), lattice(seed, i + 1, j + 1), s),
        t,
    )
}

fn lattice(seed: u32, x: i32, y: i32) -> f32 {
    let mut h = seed.wrapping_mul(0x9e37_79b1);
    for word in [x as u32, y as u32] {
        h = (h ^ word).wrapping_mul(0x85eb_ca6b);
        h ^= h >> 13;
        h = h.wrapping_mul(0xc2b2_ae35);
        h ^= h >> 16;
    }
    (h >> 8) as f32 / 16_777_216.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_of_the_ice_are_those_of_whole_pictures() {
        let measured = |(picture, &(_, width, height, _)): (usize, &(&str, usize, usize, &str))| {
            let columns = |y| (0..width).map(move |x| f64::from(ice(picture, x, y)));
            let ice: Vec<f64> = (0..height).flat_map(columns).collect();
            let n = ice.len() as f64;
            let mean = ice.iter().sum::<f64>() / n;
            let variance = ice.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (mean as f32, variance.sqrt() as f32)
        };
        let measured: Vec<(f32, f32)> = ORIGINALS.iter().enumerate().map(measured).collect();
        assert_eq!(ICE.as_slice(), measured);
    }
}
