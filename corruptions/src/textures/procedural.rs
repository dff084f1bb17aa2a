//! Frost by formula.
//!
//! Two things make a frosted pane: feathers of ice (ridges of a noise field bent by
//! another) and bright grains where crystals meet, both on a bluish haze. The amount of
//! ice grows from the middle of the picture to its rim, as it does on a window. Value
//! noise on a lattice is hashed, so a picture is a function of its index alone.

use super::{ORIGINALS, Set, Texture};

/// Raised when a picture changes.
pub(super) const VERSION: u32 = 1;

/// The five, at the sizes of the originals.
pub(super) fn all() -> Set {
    std::array::from_fn(|i| {
        let (_, width, height, _) = ORIGINALS[i];
        paint(i as u32 + 1, width, height)
    })
}

fn paint(seed: u32, width: usize, height: usize) -> Texture {
    let mut rgb = Vec::with_capacity(3 * width * height);
    let rim = width.min(height) as f32;
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32, y as f32);
            // Bend the plane, then look for ridges at falling scales.
            let bend = |k| 60.0 * (octaves(seed ^ k, u / 90.0, v / 90.0, 2) - 0.5);
            let (a, b) = (u + bend(11), v + bend(12));
            let (mut ice, mut weight) = (0.0, 0.5);
            let mut scale = 70.0;
            for level in 0..4 {
                let field = noise(seed ^ (20 + level), a / scale, b / (0.45 * scale));
                let ridge = 1.0 - (2.0 * field - 1.0).abs();
                ice += weight * ridge * ridge;
                weight *= 0.6;
                scale *= 0.48;
            }
            let grain = noise(seed ^ 31, u / 6.0, v / 6.0);
            let edge = u
                .min(v)
                .min((width - 1 - x) as f32)
                .min((height - 1 - y) as f32);
            let cover = 0.75 + 0.35 * (1.0 - (edge / rim * 2.5).min(1.0));
            let light = (ice * cover + 0.22 * (grain - 0.5)).clamp(0.0, 1.2);
            let haze = octaves(seed ^ 41, u / 200.0, v / 200.0, 2);
            let base = [38.0, 62.0, 92.0];
            let tint = [185.0, 190.0, 180.0];
            for (base, tint) in base.into_iter().zip(tint) {
                let value = base + 50.0 * (haze - 0.5) + tint * light;
                rgb.push(value.clamp(0.0, 255.0) as u8);
            }
        }
    }
    Texture { width, height, rgb }
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
