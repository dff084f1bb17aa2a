//! The accurate-integer ("islow") transforms of the IJG library, as matrices.
//!
//! The library factors its transforms into rotations with 13-bit constants. Integer sums
//! are exact until the one rounding shift at the end of a pass, so each pass equals a
//! product with the matrix that the rotations multiply out to. Its entries are
//! `sqrt(2) cos(k (2i + 1) pi / 2n) * 2^13` (row 0 without the root), each within a unit or
//! so of the rounded cosine: the sums of rounded constants below are what matters.
//! Transforms: C. Loeffler, A. Ligtenberg, G. Moschytz, ICASSP 1989 (8 points); the
//! 16-point ones are IJG 7's.

use super::quantise::Table;

/// Fraction bits of the constants, and bits kept between the passes.
const CONSTANT: u32 = 13;
const BETWEEN: u32 = 2;

/// 8 points, forward: row k holds frequency k; the inverse is its transpose.
#[rustfmt::skip]
const DCT_8: [[i32; 8]; 8] = [
    [ 8192,   8192,   8192,   8192,   8192,   8192,   8192,   8192],
    [11363,   9633,   6437,   2260,  -2260,  -6437,  -9633, -11363],
    [10703,   4433,  -4433, -10703, -10703,  -4433,   4433,  10703],
    [ 9633,  -2259, -11362,  -6436,   6436,  11362,   2259,  -9633],
    [ 8192,  -8192,  -8192,   8192,   8192,  -8192,  -8192,   8192],
    [ 6437, -11362,   2261,   9633,  -9633,  -2261,  11362,  -6437],
    [ 4433, -10704,  10704,  -4433,  -4433,  10704, -10704,   4433],
    [ 2260,  -6436,   9633, -11363,  11363,  -9633,   6436,  -2260],
];

/// 16 points, forward: the eight low frequencies over the first eight samples; sample
/// 15 - i has the same entry in even rows and its negative in odd rows.
#[rustfmt::skip]
const FORWARD_16: [[i32; 8]; 8] = [
    [ 8192,  8192,   8192,   8192,   8192,   8192,   8192,   8192],
    [11529, 11086,  10217,   8956,   7350,   5461,   3363,   1135],
    [11363,  9633,   6436,   2260,  -2260,  -6436,  -9633, -11363],
    [11086,  7350,   1136,  -5461, -10217, -11529,  -8956,  -3363],
    [10703,  4433,  -4433, -10703, -10703,  -4433,   4433,  10703],
    [10217,  1136,  -8955, -11086,  -3363,   7350,  11529,   5461],
    [ 9633, -2260, -11363,  -6437,   6437,  11363,   2260,  -9633],
    [ 8956, -5461, -11086,   1137,  11530,   3363, -10217,  -7350],
];

/// 16 points, inverse, in the same arrangement; its rotations round a few entries
/// otherwise.
#[rustfmt::skip]
const INVERSE_16: [[i32; 8]; 8] = [
    [ 8192,  8192,   8192,   8192,   8192,   8192,   8192,   8192],
    [11529, 11086,  10217,   8956,   7350,   5461,   3363,   1136],
    [11363,  9633,   6437,   2260,  -2260,  -6437,  -9633, -11363],
    [11086,  7350,   1136,  -5461, -10217, -11529,  -8955,  -3363],
    [10703,  4433,  -4433, -10703, -10703,  -4433,   4433,  10703],
    [10217,  1136,  -8955, -11086,  -3363,   7349,  11529,   5461],
    [ 9632, -2260, -11363,  -6436,   6436,  11363,   2260,  -9632],
    [ 8956, -5461, -11086,   1137,  11529,   3363, -10217,  -7350],
];

/// All sixteen samples of a half table.
const fn unfold(half: &[[i32; 8]; 8]) -> [[i32; 16]; 8] {
    let mut full = [[0; 16]; 8];
    let mut k = 0;
    while k < 8 {
        let mut i = 0;
        while i < 8 {
            full[k][i] = half[k][i];
            full[k][15 - i] = if k % 2 == 0 { half[k][i] } else { -half[k][i] };
            i += 1;
        }
        k += 1;
    }
    full
}

const fn transpose<const M: usize, const N: usize>(a: &[[i32; N]; M]) -> [[i32; M]; N] {
    let mut b = [[0; M]; N];
    let mut i = 0;
    while i < M {
        let mut j = 0;
        while j < N {
            b[j][i] = a[i][j];
            j += 1;
        }
        i += 1;
    }
    b
}

static FORWARD_8: [[i32; 8]; 8] = DCT_8;
static FORWARD_8_T: [[i32; 8]; 8] = transpose(&DCT_8);
static FORWARD_16_FULL: [[i32; 16]; 8] = unfold(&FORWARD_16);
static FORWARD_16_T: [[i32; 8]; 16] = transpose(&unfold(&FORWARD_16));
static INVERSE_16_FULL: [[i32; 16]; 8] = unfold(&INVERSE_16);
static INVERSE_16_T: [[i32; 8]; 16] = transpose(&unfold(&INVERSE_16));

/// The matrix product, each entry rounded and shifted down once. Coefficients of 8-bit
/// samples keep every sum below 2^31.
fn product<const M: usize, const N: usize, const P: usize>(
    a: &[[i32; N]; M],
    b: &[[i32; P]; N],
    bits: u32,
) -> [[i32; P]; M] {
    let mut out = [[1_i32 << (bits - 1); P]; M];
    for (out, a) in out.iter_mut().zip(a) {
        for (&factor, b) in a.iter().zip(b) {
            for (sum, &value) in out.iter_mut().zip(b) {
                *sum = sum.wrapping_add(factor.wrapping_mul(value));
            }
        }
        for sum in out {
            *sum >>= bits;
        }
    }
    out
}

/// Codes a plane in 8x8 blocks, in place: transform, coarsen, transform back.
pub(super) fn code_8(plane: &mut [u8], stride: usize, table: &Table) {
    for strip in plane.chunks_exact_mut(8 * stride) {
        for left in (0..stride).step_by(8) {
            let samples = load::<8>(strip, stride, left);
            let rows = product(&samples, &FORWARD_8_T, CONSTANT - BETWEEN);
            let mut block = product(&FORWARD_8, &rows, CONSTANT + BETWEEN);
            table.coarsen(&mut block);
            let columns = product(&FORWARD_8_T, &block, CONSTANT - BETWEEN);
            let samples = product(&columns, &FORWARD_8, CONSTANT + BETWEEN + 3);
            store(&samples, strip, stride, left);
        }
    }
}

/// Codes a plane in 16x16 blocks of which only the 8x8 low frequencies are kept.
pub(super) fn code_16(plane: &mut [u8], stride: usize, table: &Table) {
    for strip in plane.chunks_exact_mut(16 * stride) {
        for left in (0..stride).step_by(16) {
            let samples = load::<16>(strip, stride, left);
            let rows = product(&samples, &FORWARD_16_T, CONSTANT - BETWEEN);
            // Two more bits: (8/16)^2.
            let mut block = product(&FORWARD_16_FULL, &rows, CONSTANT + BETWEEN + 2);
            table.coarsen(&mut block);
            let columns = product(&INVERSE_16_T, &block, CONSTANT - BETWEEN);
            let samples = product(&columns, &INVERSE_16_FULL, CONSTANT + BETWEEN + 3);
            store(&samples, strip, stride, left);
        }
    }
}

fn load<const N: usize>(strip: &[u8], stride: usize, left: usize) -> [[i32; N]; N] {
    let mut samples = [[0; N]; N];
    for (row, line) in samples.iter_mut().zip(strip.chunks_exact(stride)) {
        for (value, &sample) in row.iter_mut().zip(&line[left..]) {
            *value = i32::from(sample) - 128;
        }
    }
    samples
}

fn store<const N: usize>(samples: &[[i32; N]; N], strip: &mut [u8], stride: usize, left: usize) {
    for (row, line) in samples.iter().zip(strip.chunks_exact_mut(stride)) {
        for (&value, sample) in row.iter().zip(&mut line[left..]) {
            *sample = (value + 128).clamp(0, 255) as u8;
        }
    }
}
