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

/// Pixels and samples of a line. Rows without anything between them are one long line, of which less is left over
/// after whole vectors.
fn line((width, height): (usize, usize), wide: usize) -> (usize, usize) {
    if width == wide {
        (width * height, wide * height)
    } else {
        (width, wide)
    }
}

/// Three planes of `wide` columns and a multiple of 16 rows; what lies beyond the image
/// repeats its last column and row.
#[inline(always)]
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
    let (pixels_of, samples_of) = line((width, height), wide);
    let planes = (y.chunks_exact_mut(samples_of))
        .zip(cb.chunks_exact_mut(samples_of))
        .zip(cr.chunks_exact_mut(samples_of));
    for (source, ((y, cb), cr)) in pixels.chunks_exact(3 * pixels_of).zip(planes) {
        let samples = y.iter_mut().zip(cb).zip(cr);
        for (&[r, g, b], ((y, cb), cr)) in source.as_chunks::<3>().0.iter().zip(samples) {
            let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
            *y = ((fix(0.299) * r + fix(0.587) * g + fix(0.114) * b + HALF) >> 16) as u8;
            *cb = ((fix(0.5) * b - to_cb[0] * r - to_cb[1] * g + CHROMA) >> 16) as u8;
            *cr = ((fix(0.5) * r - to_cr[0] * g - to_cr[1] * b + CHROMA) >> 16) as u8;
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
#[inline(always)]
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
    let (pixels_of, samples_of) = line((width, height), wide);
    let planes = (y.chunks_exact(samples_of))
        .zip(cb.chunks_exact(samples_of))
        .zip(cr.chunks_exact(samples_of));
    for (out, ((y, cb), cr)) in out.chunks_exact_mut(3 * pixels_of).zip(planes) {
        let samples = y.iter().zip(cb).zip(cr);
        for (out, ((&y, &cb), &cr)) in out.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
            let luma = i32::from(y);
            let (b, r) = (i32::from(cb) - 128, i32::from(cr) - 128);
            let rgb = [
                luma + ((fix(1.402) * r + HALF) >> 16),
                luma + ((HALF - to_green[0] * b - to_green[1] * r) >> 16),
                luma + ((fix(1.772) * b + HALF) >> 16),
            ];
            for (out, value) in out.iter_mut().zip(rgb) {
                *out = value.clamp(0, 255) as u8;
            }
        }
    }
}
