//! Cubic B-splines: SciPy's prefilter and weights.

use super::reflect101;

/// The four samples of an axis around a coordinate, and their weights.
#[derive(Clone, Copy)]
pub(crate) struct Taps {
    pub at: [usize; 4],
    pub weight: [f64; 4],
}

impl Taps {
    /// The taps at coordinate `c` of `n` samples, mirrored without repeating the edge.
    pub fn new(c: f64, n: usize) -> Self {
        let below = c.floor();
        let (f, z) = (c - below, 1.0 - (c - below));
        let first = z * z * z / 6.0;
        let second = (f * f * (f - 2.0) * 3.0 + 4.0) / 6.0;
        let third = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
        let below = below as isize;
        Self {
            at: [-1, 0, 1, 2].map(|k| reflect101(below + k, n)),
            weight: [first, second, third, 1.0 - first - second - third],
        }
    }
}

/// The sum over the 4x4 taps of value times row weight times column weight, in raster order.
pub(crate) fn sample<const C: usize>(image: &[[f64; C]], n: usize, rows: &Taps, columns: &Taps) -> [f64; C] {
    let mut sum = [0.0; C];
    for (row, down) in rows.at.into_iter().zip(rows.weight) {
        let line = &image[row * n..][..n];
        for (column, across) in columns.at.into_iter().zip(columns.weight) {
            let pixel = line[column];
            sum = std::array::from_fn(|c| sum[c] + pixel[c] * down * across);
        }
    }
    sum
}

/// Replaces the samples of an `n` x `n` image by the coefficients of the spline through them.
pub(crate) fn prefilter<const C: usize>(image: &mut [[f64; C]], n: usize) {
    for x in 0..n {
        line(&mut image[x..], n, n);
    }
    for row in image.chunks_exact_mut(n) {
        line(row, 1, n);
    }
}

/// The `n` (at least 2) samples at `image[0]`, `image[stride]`, ...
fn line<const C: usize>(image: &mut [[f64; C]], stride: usize, n: usize) {
    let pole = 3.0_f64.sqrt() - 2.0;
    let gain = (1.0 - pole) * (1.0 - 1.0 / pole);
    for i in 0..n {
        image[i * stride] = image[i * stride].map(|value| value * gain);
    }
    let last = pole.powi(n as i32 - 1);
    let mut power = pole;
    let mut first: [f64; C] = std::array::from_fn(|c| image[0][c] + last * image[(n - 1) * stride][c]);
    for i in 1..n - 1 {
        let (near, far) = (image[i * stride], image[(n - 1 - i) * stride]);
        first = std::array::from_fn(|c| first[c] + power * (near[c] + last * far[c]));
        power *= pole;
    }
    image[0] = first.map(|value| value / (1.0 - last * last));
    for i in 1..n {
        let before = image[(i - 1) * stride];
        let here = &mut image[i * stride];
        *here = std::array::from_fn(|c| here[c] + pole * before[c]);
    }
    let (end, before) = (image[(n - 1) * stride], image[(n - 2) * stride]);
    image[(n - 1) * stride] =
        std::array::from_fn(|c| (pole * before[c] + end[c]) * pole / (pole * pole - 1.0));
    for i in (0..n - 1).rev() {
        let after = image[(i + 1) * stride];
        let here = &mut image[i * stride];
        *here = std::array::from_fn(|c| pole * (after[c] - here[c]));
    }
}
