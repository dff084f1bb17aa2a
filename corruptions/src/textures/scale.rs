//! OpenCV's bilinear reduction of 8-bit images, without antialiasing.
//!
//! Source coordinates in single precision, weights in 11 fraction bits, and the vertical
//! sum with its intermediate shifts. At 0.2 this picks every fifth pixel.

use super::Texture;

/// A picture of `width` x `height`, whose pixels `at` gives by column and row, reduced by `factor`. Only pixels that
/// have a weight are asked for.
pub(super) fn resize(
    (width, height): (usize, usize),
    at: impl Fn(usize, usize) -> [u8; 3],
    factor: f64,
) -> Texture {
    let (columns, rows) = (taps(width, factor), taps(height, factor));
    let mut rgb = Vec::with_capacity(3 * columns.len() * rows.len());
    for y in &rows {
        for x in &columns {
            let mut sum = [0; 3];
            for (row, down) in y.weighted() {
                let mut across = [0; 3];
                for (column, weight) in x.weighted() {
                    let pixel = at(column, row);
                    (0..3).for_each(|c| across[c] += i32::from(pixel[c]) * weight);
                }
                (0..3).for_each(|c| sum[c] += (down * (across[c] >> 4)) >> 16);
            }
            rgb.extend(sum.map(|sum| ((sum + 2) >> 2).clamp(0, 255) as u8));
        }
    }
    Texture {
        width: columns.len(),
        height: rows.len(),
        rgb,
    }
}

struct Tap {
    at: [usize; 2],
    weight: [i32; 2],
}

impl Tap {
    /// The places that count, with their weights.
    fn weighted(&self) -> impl Iterator<Item = (usize, i32)> {
        let both = self.at.into_iter().zip(self.weight);
        both.filter(|&(_, weight)| weight != 0)
    }
}

fn taps(n: usize, factor: f64) -> Vec<Tap> {
    let count = (n as f64 * factor).round_ties_even() as usize;
    let scale = 1.0 / factor;
    (0..count)
        .map(|i| {
            let at = ((i as f64 + 0.5) * scale - 0.5) as f32;
            let below = at.floor();
            let (first, part) = if below < 0.0 {
                (0, 0.0)
            } else if below as usize >= n - 1 {
                (n - 1, 0.0)
            } else {
                (below as usize, at - below)
            };
            let fixed = |weight: f32| (weight * 2048.0).round_ties_even() as i32;
            Tap {
                at: [first, (first + 1).min(n - 1)],
                weight: [fixed(1.0 - part), fixed(part)],
            }
        })
        .collect()
}
