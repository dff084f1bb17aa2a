//! The separable Gaussian of `scipy.ndimage`, in its order of summation.
//!
//! Rows first (along y), then columns, never across channels, in double precision. For a
//! symmetric kernel SciPy adds the centre tap, then the pairs from the outermost inwards;
//! any other order flips about one byte in 1,700 after truncation.

use super::{replicate, symmetric};
use crate::Stack;
use crate::corruptions::Pool;

/// How the image goes on beyond its border.
#[derive(Clone, Copy)]
pub(crate) enum Border {
    /// SciPy's `nearest`.
    Replicate,
    /// SciPy's `reflect`.
    Symmetric,
}

impl Border {
    fn index(self, i: isize, n: usize) -> usize {
        match self {
            Self::Replicate => replicate(i, n),
            Self::Symmetric => symmetric(i, n),
        }
    }
}

/// What is stored between and after the two passes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Storage {
    Double,
    /// Sums in double precision, stored in single (SciPy on single-precision arrays).
    Single,
}

/// A one-dimensional kernel, centre first.
pub(crate) struct Gaussian {
    half: Vec<f64>,
    border: Border,
}

impl Gaussian {
    /// The kernel of radius `floor(truncate * sigma + 0.5)`.
    pub fn new(sigma: f64, truncate: f64, border: Border, stack: Stack) -> Self {
        // SciPy leaves an axis alone below this.
        if sigma <= 1e-15 {
            return Self {
                half: vec![1.0],
                border,
            };
        }
        let radius = (truncate * sigma + 0.5) as i32;
        let c = -0.5 / (sigma * sigma);
        let weights: Vec<f64> = (-radius..=radius)
            .map(|x| {
                let x = f64::from(x);
                match stack {
                    // SciPy 1.2 evaluates a polynomial by Horner's rule.
                    Stack::Release => ((c * x) * x).exp(),
                    Stack::Modern => (c * (x * x)).exp(),
                }
            })
            .collect();
        let total = pairwise_sum(&weights);
        Self {
            half: weights[radius as usize..].iter().map(|w| w / total).collect(),
            border,
        }
    }

    /// scikit-image's defaults: four sigmas, border replicated.
    pub fn replicated(sigma: f64, stack: Stack) -> Self {
        Self::new(sigma, 4.0, Border::Replicate, stack)
    }

    /// Blurs `data` (height x width x channels) in place.
    pub fn apply(
        &self,
        data: &mut [f64],
        (width, height): (usize, usize),
        channels: usize,
        storage: Storage,
        pool: &mut Pool<f64>,
    ) {
        let radius = self.half.len() - 1;
        if radius == 0 {
            return;
        }
        let stride = width * channels;
        let [columns, padded] = pool.take([stride * height, stride + 2 * radius * channels]);
        for (y, out) in columns.chunks_exact_mut(stride).enumerate() {
            let row = |offset: isize| {
                let y = self.border.index(y as isize + offset, height);
                &data[y * stride..][..stride]
            };
            scale(out, row(0), self.half[0]);
            for j in (1..=radius).rev() {
                add_pair(out, row(-(j as isize)), row(j as isize), self.half[j]);
            }
            store(out, storage);
        }
        for (row, out) in columns.chunks_exact(stride).zip(data.chunks_exact_mut(stride)) {
            for (x, pixel) in padded.chunks_exact_mut(channels).enumerate() {
                let x = self.border.index(x as isize - radius as isize, width);
                pixel.copy_from_slice(&row[x * channels..][..channels]);
            }
            scale(out, &padded[radius * channels..], self.half[0]);
            for j in (1..=radius).rev() {
                let (left, right) = ((radius - j) * channels, (radius + j) * channels);
                add_pair(out, &padded[left..], &padded[right..], self.half[j]);
            }
            store(out, storage);
        }
    }
}

fn scale(out: &mut [f64], row: &[f64], weight: f64) {
    for (out, value) in out.iter_mut().zip(row) {
        *out = value * weight;
    }
}

fn add_pair(out: &mut [f64], left: &[f64], right: &[f64], weight: f64) {
    for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
        *out += (left + right) * weight;
    }
}

fn store(values: &mut [f64], storage: Storage) {
    if storage == Storage::Single {
        for value in values {
            *value = f64::from(*value as f32);
        }
    }
}

/// NumPy's sum of a contiguous array: eight running sums from eight values on (its
/// recursion above 128 values is not needed for kernels of this crate).
fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() < 8 {
        return values.iter().sum();
    }
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder();
    let mut lanes = [-0.0; 8];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    rest.iter()
        .fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, v| sum + v)
}
