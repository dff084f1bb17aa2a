//! OpenCV's bilinear reduction of 8-bit images, without antialiasing.
//!
//! Source coordinates in single precision, weights in 11 fraction bits, and the vertical
//! sum with its intermediate shifts. At 0.2 this picks every fifth pixel.

use super::Texture;

/// `texture` reduced by `factor`.
pub(super) fn resize(texture: &Texture, factor: f64) -> Texture {
    let (columns, rows) = (taps(texture.width, factor), taps(texture.height, factor));
    let mut rgb = Vec::with_capacity(3 * columns.len() * rows.len());
    for y in &rows {
        for x in &columns {
            for c in 0..3 {
                let across = |row: usize| {
                    let value =
                        |column: usize| i32::from(texture.rgb[3 * (row * texture.width + column) + c]);
                    value(x.at[0]) * x.weight[0] + value(x.at[1]) * x.weight[1]
                };
                let part = |k: usize| (y.weight[k] * (across(y.at[k]) >> 4)) >> 16;
                rgb.push(((part(0) + part(1) + 2) >> 2).clamp(0, 255) as u8);
            }
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
