//! Invented example strips: eight tiles, coarsely like the condition they stand for.

use super::keyed;
use image::{Rgb, RgbImage};
use rlnet_suites::{Cell, Condition};
use std::path::Path;

const SIDE: u32 = 32;
const TILES: u32 = 8;

/// Writes the strip of a cell.
pub fn write(path: &Path, cell: &Cell, conditions: &[Condition]) {
    let mut strip = RgbImage::new(SIDE * TILES, SIDE);
    for (x, y, pixel) in strip.enumerate_pixels_mut() {
        let (tile, tx) = (x / SIDE, x % SIDE);
        let centre = (f64::from(tx) - 15.5).hypot(f64::from(y) - 15.5);
        let inside = if tile.is_multiple_of(2) {
            centre < 10.0
        } else {
            (8..24).contains(&tx) && (8..24).contains(&y)
        };
        let noise = match &conditions[0] {
            Condition::Clean | Condition::AugMix => 0.0,
            Condition::Corruption { .. } | Condition::Frame { .. } => 60.0,
            Condition::Attack(spec) | Condition::Certify(spec) => 255.0 * spec.eps().unwrap_or(0.0),
        };
        let shift = noise * (2.0 * keyed(&[&cell.name], u64::from(x * 1000 + y)) - 1.0);
        *pixel = Rgb(std::array::from_fn(|channel| {
            let base = if inside {
                60 + 70 * ((tile as usize + channel) % 3)
            } else {
                215
            };
            (base as f64 + shift).clamp(0.0, 255.0) as u8
        }));
    }
    strip.save(path).expect("examples.png");
}
