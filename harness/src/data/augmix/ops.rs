//! AugMix's nine operations, equal to Pillow's byte for byte.
//!
//! Pillow is what the published code calls, so its rounding is part of the method: integer
//! histograms for equalize, truncation after bilinear interpolation, a rotation matrix rounded to
//! 15 decimals. Checked against outputs of Pillow 13.0.0.

/// One operation with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// Stretches each channel to 0..=255.
    AutoContrast,
    /// Flattens each channel's histogram.
    Equalize,
    /// Keeps the top `bits` bits, 1 to 8.
    Posterize {
        /// Bits kept.
        bits: u32,
    },
    /// Rotates about the centre, counter-clockwise.
    Rotate {
        /// Angle in degrees.
        degrees: f64,
    },
    /// Inverts values at or above a threshold; 256 changes nothing.
    Solarize {
        /// First value that is inverted.
        threshold: u16,
    },
    /// Samples at `x + factor * y`.
    ShearX {
        /// Pixels of shift a row.
        factor: f64,
    },
    /// Samples at `y + factor * x`.
    ShearY {
        /// Pixels of shift a column.
        factor: f64,
    },
    /// Samples at `x + pixels`.
    TranslateX {
        /// Pixels of shift; positive moves the picture left.
        pixels: f64,
    },
    /// Samples at `y + pixels`.
    TranslateY {
        /// Pixels of shift; positive moves the picture up.
        pixels: f64,
    },
}

impl Op {
    /// The result on `image` (size x size x 3); what falls outside the image is black.
    ///
    /// # Panics
    /// If `image` is not `size * size * 3` long.
    pub fn apply(&self, image: &[u8], size: usize) -> Vec<u8> {
        assert_eq!(image.len(), size * size * 3);
        match *self {
            Self::AutoContrast => per_channel(image, autocontrast_table),
            Self::Equalize => per_channel(image, equalize_table),
            Self::Posterize { bits } => {
                let mask = !0_u8 << (8 - bits.clamp(1, 8));
                image.iter().map(|v| v & mask).collect()
            }
            Self::Solarize { threshold } => {
                let invert = |&v: &u8| if u16::from(v) < threshold { v } else { 255 - v };
                image.iter().map(invert).collect()
            }
            Self::Rotate { degrees } => rotate(image, size, degrees),
            Self::ShearX { factor } => affine(image, size, [1.0, factor, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY { factor } => affine(image, size, [1.0, 0.0, 0.0, factor, 1.0, 0.0]),
            Self::TranslateX { pixels } => affine(image, size, [1.0, 0.0, pixels, 0.0, 1.0, 0.0]),
            Self::TranslateY { pixels } => affine(image, size, [1.0, 0.0, 0.0, 0.0, 1.0, pixels]),
        }
    }
}

/// Applies a lookup table made from each channel's own histogram.
fn per_channel(image: &[u8], table: fn(&[u32; 256]) -> [u8; 256]) -> Vec<u8> {
    let mut histograms = [[0_u32; 256]; 3];
    for pixel in image.chunks_exact(3) {
        for (histogram, &value) in histograms.iter_mut().zip(pixel) {
            histogram[usize::from(value)] += 1;
        }
    }
    let tables = histograms.each_ref().map(table);
    let mut out = image.to_vec();
    for pixel in out.chunks_exact_mut(3) {
        for (value, table) in pixel.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
    out
}

fn identity_table() -> [u8; 256] {
    std::array::from_fn(|i| i as u8)
}

/// `ImageOps.autocontrast` without cutoff: darkest value to 0, lightest to 255, truncated.
fn autocontrast_table(histogram: &[u32; 256]) -> [u8; 256] {
    let low = histogram.iter().position(|&n| n > 0).unwrap_or(0);
    let high = histogram.iter().rposition(|&n| n > 0).unwrap_or(0);
    if high <= low {
        return identity_table();
    }
    let scale = 255.0 / (high - low) as f64;
    let offset = -(low as f64) * scale;
    // A float-to-u8 cast truncates towards zero and saturates, as int() and the clipping do.
    std::array::from_fn(|i| (i as f64 * scale + offset) as u8)
}

/// `ImageOps.equalize`: the step leaves the lightest value's pixels out, and so the running
/// sum can pass 255 steps; Pillow clips there.
fn equalize_table(histogram: &[u32; 256]) -> [u8; 256] {
    let total: u32 = histogram.iter().sum();
    let lightest = histogram.iter().rev().find(|&&n| n > 0).unwrap_or(&0);
    let step = (total - lightest) / 255;
    if step == 0 {
        return identity_table();
    }
    let mut sum = step / 2;
    histogram.map(|n| {
        let level = (sum / step).min(255) as u8;
        sum += n;
        level
    })
}

/// `Image.rotate`: multiples of 90 degrees are exact, the rest is an affine map about the centre.
fn rotate(image: &[u8], size: usize, degrees: f64) -> Vec<u8> {
    let degrees = degrees.rem_euclid(360.0);
    let at = |x: usize, y: usize| (y * size + x) * 3;
    let last = size.saturating_sub(1);
    let source: fn(usize, usize, usize) -> (usize, usize) = match degrees {
        0.0 => |x, y, _| (x, y),
        90.0 => |x, y, last| (last - y, x),
        180.0 => |x, y, last| (last - x, last - y),
        270.0 => |x, y, last| (y, last - x),
        _ => {
            let (sin, cos) = (-degrees.to_radians()).sin_cos();
            let (sin, cos) = (round15(sin), round15(cos));
            let (minus_sin, centre) = (round15(-sin), size as f64 / 2.0);
            let c = cos * -centre + sin * -centre + 0.0 + centre;
            let f = minus_sin * -centre + cos * -centre + 0.0 + centre;
            return affine(image, size, [cos, sin, c, minus_sin, cos, f]);
        }
    };
    let mut out = Vec::with_capacity(image.len());
    for y in 0..size {
        for x in 0..size {
            let (x, y) = source(x, y, last);
            out.extend_from_slice(&image[at(x, y)..at(x, y) + 3]);
        }
    }
    out
}

/// Python's `round(v, 15)`: the nearest double to the value's 15-decimal rounding.
fn round15(value: f64) -> f64 {
    format!("{value:.15}").parse().unwrap_or(value)
}

/// `Image.transform(size, AFFINE, [a, b, c, d, e, f], BILINEAR)`: the output pixel at (x, y) is
/// sampled at (a x + b y + c, d x + e y + f), all at pixel centres. A sample centre outside the image is
/// black; inside, neighbours beyond the edge repeat it. The result is truncated, not rounded.
fn affine(image: &[u8], size: usize, [a, b, c, d, e, f]: [f64; 6]) -> Vec<u8> {
    let mut out = vec![0; image.len()];
    let side = size as f64;
    let last = size as isize - 1;
    for (i, pixel) in out.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((i % size) as f64 + 0.5, (i / size) as f64 + 0.5);
        let (x, y) = (a * x + b * y + c, d * x + e * y + f);
        if !(0.0..side).contains(&x) || !(0.0..side).contains(&y) {
            continue;
        }
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (dx, dy) = (x - left, y - top);
        let clip = |v: isize| v.clamp(0, last) as usize;
        let (x0, x1) = (clip(left as isize), clip(left as isize + 1));
        let (y0, y1) = (clip(top as isize), clip(top as isize + 1));
        for (channel, value) in pixel.iter_mut().enumerate() {
            let at = |x: usize, y: usize| f64::from(image[(y * size + x) * 3 + channel]);
            let upper = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * dx;
            let lower = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * dx;
            *value = (upper + (lower - upper) * dy) as u8;
        }
    }
    out
}

#[cfg(test)]
mod tests;
