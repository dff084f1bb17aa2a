//! Pillow's affine transformation with bilinear sampling: black outside, edges clamped, truncated.

use super::wide::wide;

/// From the centre of a pixel to where it is read: `u = m[0] x + m[1] y + m[2]`,
/// `v = m[3] x + m[4] y + m[5]`.
pub(crate) type Map = [f64; 6];

/// Samples the `n` x `n` RGB image `pixels` by `map` into `out`.
pub(crate) fn sample(pixels: &[u8], n: usize, map: &Map, out: &mut [u8]) {
    wide(
        #[inline(always)]
        || sample_pixels(pixels, n, map, out),
    );
}

#[inline(always)]
fn sample_pixels(pixels: &[u8], n: usize, map: &Map, out: &mut [u8]) {
    let side = n as f64;
    let pixels = pixels.as_chunks::<3>().0;
    let last = n as isize - 1;
    for (y, row) in out.as_chunks_mut::<3>().0.chunks_exact_mut(n).enumerate() {
        let y = y as f64 + 0.5;
        for (x, out) in row.iter_mut().enumerate() {
            let x = x as f64 + 0.5;
            let u = map[0] * x + map[1] * y + map[2];
            let v = map[3] * x + map[4] * y + map[5];
            if !(u >= 0.0 && u < side && v >= 0.0 && v < side) {
                *out = [0; 3];
                continue;
            }
            let (u, v) = (u - 0.5, v - 0.5);
            let (left, top) = (u.floor(), v.floor());
            let (du, dv) = (u - left, v - top);
            let (left, top) = (left as isize, top as isize);
            let [from, to] = [left, left + 1].map(|i| i.clamp(0, last) as usize);
            let line = |i: isize| {
                let row = &pixels[i.clamp(0, last) as usize * n..][..n];
                let (a, b) = (row[from], row[to]);
                std::array::from_fn::<f64, 3, _>(|c| {
                    let a = f64::from(a[c]);
                    a + (f64::from(b[c]) - a) * du
                })
            };
            let upper = line(top);
            // Beyond the last row the first sample stands for both.
            let lower = if top < last { line(top + 1) } else { upper };
            *out = std::array::from_fn(|c| (upper[c] + (lower[c] - upper[c]) * dv) as u8);
        }
    }
}
