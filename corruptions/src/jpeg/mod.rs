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
use crate::kernels::wide::wide;
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
    let (stride, tall) = (width.next_multiple_of(16), height.next_multiple_of(16));
    let full = stride * tall;
    let [y, cb, cr, small] = scratch.bytes.take([full, full, full, full / 4]);
    let [mixed] = scratch.shorts.take([stride / 2 + 2]);
    let (luma, chroma) = (Table::luma(quality), Table::chroma(quality));
    wide(
        #[inline(always)]
        || colour::split(pixels, (width, height), stride, codec, y, cb, cr),
    );
    dct::code_8(y, stride, &luma);
    for plane in [&mut *cb, &mut *cr] {
        match codec {
            Codec::Ijg9 => dct::code_16(plane, stride, &chroma),
            Codec::Turbo => {
                wide(
                    #[inline(always)]
                    || resample::halve(plane, (stride, tall), height, small),
                );
                dct::code_8(small, stride / 2, &chroma);
                wide(
                    #[inline(always)]
                    || resample::double(small, stride / 2, (width, height), mixed, plane, stride),
                );
            }
        }
    }
    wide(
        #[inline(always)]
        || colour::merge(y, cb, cr, (width, height), stride, codec, out),
    );
}
