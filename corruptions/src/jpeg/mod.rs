//! The lossy part of baseline JPEG with 4:2:0 chroma, in the integer arithmetic of two
//! codecs.
//!
//! libjpeg-turbo (like IJG 6b) averages 2x2 pixels of chroma before an 8x8 transform and
//! interpolates afterwards. IJG 7 to 9 halve in the frequency domain instead: a 16x16
//! forward transform whose 8x8 low frequencies are kept, and a 16x16 inverse transform
//! from them. Everything else they share, but for one digit of the colour matrices.

mod colour;
mod dct;
mod quantise;
mod resample;

use crate::job::Scratch;
use quantise::Table;

/// Whose arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Pillow from 9.0 on.
    Turbo,
    /// Pillow's wheels up to 8.x; what the published archives went through.
    Ijg9,
}

/// Compresses and decompresses `pixels` (RGB, `(width, height)`) at `quality` (1 to 100).
pub(crate) fn round_trip(
    pixels: &[u8],
    (width, height): (usize, usize),
    quality: u32,
    codec: Codec,
    scratch: &mut Scratch,
    out: &mut [u8],
) {
    let (wide, tall) = (width.next_multiple_of(16), height.next_multiple_of(16));
    let full = wide * tall;
    let [y, cb, cr, small] = scratch.bytes.take([full, full, full, full / 4]);
    colour::split(pixels, (width, height), wide, codec, y, cb, cr);
    let (luma, chroma) = (Table::luma(quality), Table::chroma(quality));
    dct::code_8(y, wide, &luma);
    for plane in [&mut *cb, &mut *cr] {
        match codec {
            Codec::Ijg9 => dct::code_16(plane, wide, &chroma),
            Codec::Turbo => {
                resample::halve(plane, (wide, tall), height, small);
                dct::code_8(small, wide / 2, &chroma);
                resample::double(small, wide / 2, (width, height), plane, wide);
            }
        }
    }
    colour::merge(y, cb, cr, (width, height), wide, codec, out);
}
