//! RGB to YCbCr and back in 16-bit fixed point (JFIF, CCIR 601).
//!
//! libjpeg-turbo kept the five-digit constants of IJG 6b; IJG 9 has nine digits, which
//! changes one of the rounded integers.

use super::Codec;

/// `v * 2^16`, rounded.
const fn fix(v: f64) -> i32 {
    (v * 65536.0 + 0.5) as i32
}

const HALF: i32 = 1 << 15;
/// 128 in fixed point, plus a half less one unit so that 255 is never exceeded.
const CHROMA: i32 = (128 << 16) + HALF - 1;

/// Constants of red-and-green to Cb, green-and-blue to Cr, and of Cb and Cr to green.
fn constants(codec: Codec) -> ([i32; 2], [i32; 2], [i32; 2]) {
    match codec {
        Codec::Turbo => (
            [fix(0.16874), fix(0.33126)],
            [fix(0.41869), fix(0.08131)],
            [fix(0.34414), fix(0.71414)],
        ),
        Codec::Ijg9 => (
            [fix(0.168735892), fix(0.331264108)],
            [fix(0.418687589), fix(0.081312411)],
            [fix(0.344136286), fix(0.714136286)],
        ),
    }
}

/// Three planes of `wide` columns and a multiple of 16 rows; what lies beyond the image
/// repeats its last column and row.
pub(super) fn split(
    pixels: &[u8],
    (width, height): (usize, usize),
    wide: usize,
    codec: Codec,
    y: &mut [u8],
    cb: &mut [u8],
    cr: &mut [u8],
) {
    let (to_cb, to_cr, _) = constants(codec);
    for (row, source) in pixels.chunks_exact(3 * width).enumerate() {
        for (x, pixel) in source.chunks_exact(3).enumerate() {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
            let i = row * wide + x;
            y[i] = ((fix(0.299) * r + fix(0.587) * g + fix(0.114) * b + HALF) >> 16) as u8;
            cb[i] = ((fix(0.5) * b - to_cb[0] * r - to_cb[1] * g + CHROMA) >> 16) as u8;
            cr[i] = ((fix(0.5) * r - to_cr[0] * g - to_cr[1] * b + CHROMA) >> 16) as u8;
        }
    }
    for plane in [y, cb, cr] {
        for row in plane.chunks_exact_mut(wide).take(height) {
            let last = row[width - 1];
            row[width..].fill(last);
        }
        let (image, below) = plane.split_at_mut(height * wide);
        for row in below.chunks_exact_mut(wide) {
            row.copy_from_slice(&image[(height - 1) * wide..]);
        }
    }
}

/// The image's part of the planes, as RGB.
pub(super) fn merge(
    y: &[u8],
    cb: &[u8],
    cr: &[u8],
    (width, height): (usize, usize),
    wide: usize,
    codec: Codec,
    out: &mut [u8],
) {
    let (_, _, to_green) = constants(codec);
    for row in 0..height {
        let line = out[row * 3 * width..].chunks_exact_mut(3).take(width);
        for (x, pixel) in line.enumerate() {
            let i = row * wide + x;
            let luma = i32::from(y[i]);
            let (b, r) = (i32::from(cb[i]) - 128, i32::from(cr[i]) - 128);
            let rgb = [
                luma + ((fix(1.402) * r + HALF) >> 16),
                luma + ((HALF - to_green[0] * b - to_green[1] * r) >> 16),
                luma + ((fix(1.772) * b + HALF) >> 16),
            ];
            for (out, value) in pixel.iter_mut().zip(rgb) {
                *out = value.clamp(0, 255) as u8;
            }
        }
    }
}
