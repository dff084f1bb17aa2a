//! Pillow's affine transformation with bilinear sampling: black outside, edges clamped, truncated.

use super::wide::wide;

/// From the centre of a pixel to where it is read: `u = m[0] x + m[1] y + m[2]`,
/// `v = m[3] x + m[4] y + m[5]`.
pub(crate) type Map = [f64; 6];

/// The pixels of an `n` x `n` RGB image as the sampler reads them: four values each, the last of them idle (they
/// fill a vector register), and a black one at the end, which stands for all that lies outside.
pub(crate) fn spread(pixels: &[u8], out: &mut [f32]) {
    let (out, _) = out.as_chunks_mut::<4>();
    let pixels = pixels.as_chunks::<3>().0;
    for (out, &[r, g, b]) in out.iter_mut().zip(pixels) {
        *out = [f32::from(r), f32::from(g), f32::from(b), 0.0];
    }
    out[pixels.len()] = [0.0; 4];
}

/// The values that [`spread`] writes for `area` pixels.
pub(crate) const fn spread_len(area: usize) -> usize {
    4 * (area + 1)
}

/// Samples the `n` x `n` image `pixels` (of [`spread`]) by `map` into the RGB bytes `out`.
pub(crate) fn sample(pixels: &[f32], n: usize, map: &Map, out: &mut [u8]) {
    wide(
        #[inline(always)]
        || sample_pixels(pixels, n, map, out),
    );
}

/// A whole number of at most 31 bits as an integer, by the lowest bits of its sum with 1.5 * 2^52: a cast would ask
/// for the range of each value alone.
#[inline(always)]
fn integer(whole: f64) -> i32 {
    const ALIGN: f64 = 6_755_399_441_055_744.0;
    (whole + ALIGN).to_bits() as i32
}

/// Pixels whose places are found at once.
const BLOCK: usize = 32;

#[inline(always)]
fn sample_pixels(pixels: &[f32], n: usize, map: &Map, out: &mut [u8]) {
    let side = n as f64;
    let pixels = pixels.as_chunks::<4>().0;
    let last = n as i32 - 1;
    let black = (n * n) as i32;
    for (y, row) in out.as_chunks_mut::<3>().0.chunks_exact_mut(n).enumerate() {
        let y = y as f64 + 0.5;
        for (block, row) in row.chunks_mut(BLOCK).enumerate() {
            let first = block * BLOCK;
            let (mut right, mut down) = ([0.0; BLOCK], [0.0; BLOCK]);
            // Above left, above right, below left, below right.
            let mut taps = [[0_i32; BLOCK]; 4];
            for i in 0..BLOCK {
                let x = (first + i) as f64 + 0.5;
                let u = map[0] * x + map[1] * y + map[2];
                let v = map[3] * x + map[4] * y + map[5];
                let inside = (u >= 0.0) & (u < side) & (v >= 0.0) & (v < side);
                let (u, v) = (u - 0.5, v - 0.5);
                let (left, top) = (u.floor(), v.floor());
                (right[i], down[i]) = (u - left, v - top);
                let (left, top) = (integer(left), integer(top));
                let [from, to] = [left, left + 1].map(|at| at.clamp(0, last));
                let [upper, lower] = [top, top + 1].map(|at| at.clamp(0, last) * n as i32);
                let at = [upper + from, upper + to, lower + from, lower + to];
                for (tap, at) in taps.iter_mut().zip(at) {
                    tap[i] = if inside { at } else { black };
                }
            }
            // Pixels are copied whole, so that the sums below are ones of long lines.
            let mut corners = [[[0.0_f32; 4]; BLOCK]; 4];
            let mut shares = [[[0.0_f64; 4]; BLOCK]; 2];
            for (corner, tap) in corners.iter_mut().zip(&taps) {
                for (value, &at) in corner.iter_mut().zip(tap) {
                    *value = pixels[at as usize];
                }
            }
            for (share, line) in shares.iter_mut().zip([&right, &down]) {
                for (value, &share) in share.iter_mut().zip(line) {
                    *value = [share; 4];
                }
            }
            let corners = corners.each_ref().map(|corner| corner.as_flattened());
            let shares = shares.each_ref().map(|share| share.as_flattened());
            let mut values = [0_u8; 4 * BLOCK];
            for (k, value) in values.iter_mut().enumerate() {
                let [a, b, c, d] = [0, 1, 2, 3].map(|corner: usize| f64::from(corners[corner][k]));
                let upper = a + (b - a) * shares[0][k];
                let lower = c + (d - c) * shares[0][k];
                *value = integer((upper + (lower - upper) * shares[1][k]).floor()) as u8;
            }
            for (out, value) in row.iter_mut().zip(values.as_chunks::<4>().0) {
                *out = [value[0], value[1], value[2]];
            }
        }
    }
}
