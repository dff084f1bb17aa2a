//! The accurate-integer ("islow") transforms of the IJG library, as matrices.
//!
//! The library factors its transforms into rotations with 13-bit constants. Integer sums
//! are exact until the one rounding shift at the end of a pass, so each pass equals a
//! product with the matrix that the rotations multiply out to. Its entries are
//! `sqrt(2) cos(k (2i + 1) pi / 2n) * 2^13` (row 0 without the root), each within a unit or
//! so of the rounded cosine: the sums of rounded constants below are what matters.
//! Transforms: C. Loeffler, A. Ligtenberg, G. Moschytz, ICASSP 1989 (8 points); the
//! 16-point ones are IJG 7's.
//!
//! Many blocks are transformed at once, one in each lane of a vector.

use super::quantise::Table;
use crate::kernels::wide::wide;

/// Fraction bits of the constants, and bits kept between the passes.
const CONSTANT: u32 = 13;
const BETWEEN: u32 = 2;

/// One number of each block.
pub(super) const LANES: usize = 32;
pub(super) type Lanes = [i32; LANES];

/// A transform's matrix: row k holds frequency k, over the first half of the samples. The sample as far from the
/// end has the same entry in even rows and its negative in odd rows. The inverse is the transpose.
type Half<const H: usize> = [[i32; H]; 8];

/// 8 points, both ways.
#[rustfmt::skip]
const DCT_8: Half<4> = [
    [ 8192,   8192,   8192,   8192],
    [11363,   9633,   6437,   2260],
    [10703,   4433,  -4433, -10703],
    [ 9633,  -2259, -11362,  -6436],
    [ 8192,  -8192,  -8192,   8192],
    [ 6437, -11362,   2261,   9633],
    [ 4433, -10704,  10704,  -4433],
    [ 2260,  -6436,   9633, -11363],
];

/// 16 points, forward: the eight low frequencies.
#[rustfmt::skip]
const FORWARD_16: Half<8> = [
    [ 8192,  8192,   8192,   8192,   8192,   8192,   8192,   8192],
    [11529, 11086,  10217,   8956,   7350,   5461,   3363,   1135],
    [11363,  9633,   6436,   2260,  -2260,  -6436,  -9633, -11363],
    [11086,  7350,   1136,  -5461, -10217, -11529,  -8956,  -3363],
    [10703,  4433,  -4433, -10703, -10703,  -4433,   4433,  10703],
    [10217,  1136,  -8955, -11086,  -3363,   7350,  11529,   5461],
    [ 9633, -2260, -11363,  -6437,   6437,  11363,   2260,  -9633],
    [ 8956, -5461, -11086,   1137,  11530,   3363, -10217,  -7350],
];

/// 16 points, inverse; its rotations round a few entries otherwise.
#[rustfmt::skip]
const INVERSE_16: Half<8> = [
    [ 8192,  8192,   8192,   8192,   8192,   8192,   8192,   8192],
    [11529, 11086,  10217,   8956,   7350,   5461,   3363,   1136],
    [11363,  9633,   6437,   2260,  -2260,  -6437,  -9633, -11363],
    [11086,  7350,   1136,  -5461, -10217, -11529,  -8955,  -3363],
    [10703,  4433,  -4433, -10703, -10703,  -4433,   4433,  10703],
    [10217,  1136,  -8955, -11086,  -3363,   7349,  11529,   5461],
    [ 9632, -2260, -11363,  -6436,   6436,  11363,   2260,  -9632],
    [ 8956, -5461, -11086,   1137,  11529,   3363, -10217,  -7350],
];

/// From the samples `at(i, lane)` to eight frequencies `put(k, lane, _)`, rounded and shifted down by `bits`.
/// Coefficients of 8-bit samples keep every sum below 2^31.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "a lane is a place in several arrays at once"
)]
fn forward<const H: usize>(
    matrix: &Half<H>,
    bits: u32,
    at: impl Fn(usize, usize) -> i32,
    mut put: impl FnMut(usize, usize, i32),
) {
    // Samples, and the frequencies of a row of samples, have fewer than 15 bits: products of such numbers are cheap.
    let mut folded = [[[0_i16; LANES]; H]; 2];
    for lane in 0..LANES {
        for i in 0..H {
            let (a, b) = (at(i, lane), at(2 * H - 1 - i, lane));
            (folded[0][i][lane], folded[1][i][lane]) = ((a + b) as i16, (a - b) as i16);
        }
    }
    for (k, row) in matrix.iter().enumerate() {
        let values = &folded[k % 2];
        for lane in 0..LANES {
            let mut sum = 1_i32 << (bits - 1);
            for i in 0..H {
                sum = sum.wrapping_add(row[i].wrapping_mul(i32::from(values[i][lane])));
            }
            put(k, lane, sum >> bits);
        }
    }
}

/// From eight frequencies to samples.
#[inline(always)]
fn inverse<const H: usize>(
    matrix: &Half<H>,
    bits: u32,
    at: impl Fn(usize, usize) -> i32,
    mut put: impl FnMut(usize, usize, i32),
) {
    for i in 0..H {
        let factors = matrix.map(|row| row[i]);
        for lane in 0..LANES {
            let (mut even, mut odd) = (1_i32 << (bits - 1), 0_i32);
            for k in (0..8).step_by(2) {
                even = even.wrapping_add(factors[k].wrapping_mul(at(k, lane)));
                odd = odd.wrapping_add(factors[k + 1].wrapping_mul(at(k + 1, lane)));
            }
            put(i, lane, even.wrapping_add(odd) >> bits);
            put(2 * H - 1 - i, lane, even.wrapping_sub(odd) >> bits);
        }
    }
}

/// Codes a plane in 8x8 blocks, in place: transform, coarsen, transform back.
pub(super) fn code_8(plane: &mut [u8], stride: usize, table: &Table) {
    // The library's extra two bits of 8 x 8 frequencies are taken off at the end.
    code::<4, 8>(plane, stride, table, (&DCT_8, &DCT_8), 0);
}

/// Codes a plane in 16x16 blocks of which only the 8x8 low frequencies are kept.
pub(super) fn code_16(plane: &mut [u8], stride: usize, table: &Table) {
    // Two more bits: (8/16)^2.
    code::<8, 16>(plane, stride, table, (&FORWARD_16, &INVERSE_16), 2);
}

/// Codes blocks of side `N`, twice `H`.
fn code<const H: usize, const N: usize>(
    plane: &mut [u8],
    stride: usize,
    table: &Table,
    (there, back): (&Half<H>, &Half<H>),
    more: u32,
) {
    // Eight bytes at a time: sides and strides are whole numbers of them.
    let (words, stride) = (plane.as_chunks_mut::<8>().0, stride / 8);
    let across = 8 * stride / N;
    let count = 8 * words.len() / (N * N);
    for first in (0..count).step_by(LANES) {
        // The last blocks may be fewer than the lanes: the last one fills the rest, and is written again as it is.
        let mut starts = [0; LANES];
        for (lane, start) in starts.iter_mut().enumerate() {
            let at = (first + lane).min(count - 1);
            *start = at / across * N * stride + at % across * (N / 8);
        }
        wide(
            #[inline(always)]
            || {
                // The compiler sees that these are apart from each other, as long as they belong to this closure.
                let mut samples = [[[0_u8; LANES]; N]; N];
                // By frequency along rows, then by row.
                let mut rows = [[[0_i16; LANES]; N]; 8];
                let mut block = [[[0; LANES]; 8]; 8];
                let mut columns = [[[0; LANES]; N]; 8];
                for (y, row) in samples.iter_mut().enumerate() {
                    for (eight, out) in row.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                        load(&words[y * stride + eight..], &starts, out);
                    }
                }
                for (y, row) in samples.iter().enumerate() {
                    let at = |x: usize, lane: usize| i32::from(row[x][lane]) - 128;
                    forward(there, CONSTANT - BETWEEN, at, |k, lane, value| {
                        rows[k][y][lane] = value as i16;
                    });
                }
                for (x, (column, out)) in rows.iter().zip(&mut block).enumerate() {
                    let at = |y: usize, lane: usize| i32::from(column[y][lane]);
                    forward(there, CONSTANT + BETWEEN + more, at, |k, lane, value| {
                        out[k][lane] = value
                    });
                    for (y, values) in out.iter_mut().enumerate() {
                        table.coarsen(y, x, values);
                    }
                }
                for (column, out) in block.iter().zip(&mut columns) {
                    let at = |k: usize, lane: usize| column[k][lane];
                    inverse(back, CONSTANT - BETWEEN, at, |y, lane, value| {
                        out[y][lane] = value
                    });
                }
                for (y, out) in samples.iter_mut().enumerate() {
                    let at = |k: usize, lane: usize| columns[k][y][lane];
                    inverse(back, CONSTANT + BETWEEN + 3, at, |x, lane, value| {
                        out[x][lane] = (value + 128).clamp(0, 255) as u8;
                    });
                }
                for (y, row) in samples.iter().enumerate() {
                    for (eight, columns) in row.as_chunks::<8>().0.iter().enumerate() {
                        store(columns, &mut words[y * stride + eight..], &starts);
                    }
                }
            },
        );
    }
}

/// Eight words of every eighth block.
type Words = [[u64; LANES / 8]; 8];

/// Eight columns of a row of every block.
#[inline(always)]
fn load(words: &[[u8; 8]], starts: &[usize; LANES], columns: &mut [[u8; LANES]; 8]) {
    let mut rows: Words = [[0; LANES / 8]; 8];
    for (lane, &start) in starts.iter().enumerate() {
        rows[lane % 8][lane / 8] = u64::from_le_bytes(words[start]);
    }
    transpose(&mut rows);
    for (out, column) in columns.iter_mut().zip(&rows) {
        for (out, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(column) {
            *out = word.to_le_bytes();
        }
    }
}

#[inline(always)]
fn store(columns: &[[u8; LANES]; 8], words: &mut [[u8; 8]], starts: &[usize; LANES]) {
    let mut rows: Words = [[0; LANES / 8]; 8];
    for (out, column) in rows.iter_mut().zip(columns) {
        for (out, bytes) in out.iter_mut().zip(column.as_chunks::<8>().0) {
            *out = u64::from_le_bytes(*bytes);
        }
    }
    transpose(&mut rows);
    for (lane, &start) in starts.iter().enumerate() {
        words[start] = rows[lane % 8][lane / 8].to_le_bytes();
    }
}

/// Eight rows of eight bytes become eight columns: halves change places, then quarters, then bytes.
#[inline(always)]
fn transpose(rows: &mut Words) {
    for (far, mask) in [
        (4, 0xffff_ffff_u64),
        (2, 0x0000_ffff_0000_ffff),
        (1, 0x00ff_00ff_00ff_00ff),
    ] {
        for i in 0..8 {
            if i & far != 0 {
                continue;
            }
            let (mut upper, mut lower) = (rows[i], rows[i + far]);
            for (upper, lower) in upper.iter_mut().zip(&mut lower) {
                let changed = ((*upper >> (8 * far)) ^ *lower) & mask;
                *lower ^= changed;
                *upper ^= changed << (8 * far);
            }
            (rows[i], rows[i + far]) = (upper, lower);
        }
    }
}
