//! The separable Gaussian of `scipy.ndimage`, in its order of summation.
//!
//! Rows first (along y), then columns, never across channels, in double precision. For a
//! symmetric kernel SciPy adds the centre tap, then the pairs from the outermost inwards;
//! any other order flips about one byte in 1,700 after truncation.

use super::wide::wide;
use super::{replicate, symmetric};
use crate::Stack;
use crate::job::Pool;

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

    /// True if the kernel is its centre tap alone.
    pub fn is_identity(&self) -> bool {
        self.half.len() == 1
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
            let y = y as isize;
            self.weigh(out, |offset| {
                &data[self.border.index(y + offset, height) * stride..][..stride]
            });
            store(out, storage);
        }
        for (row, out) in columns.chunks_exact(stride).zip(data.chunks_exact_mut(stride)) {
            let (before, rest) = padded.split_at_mut(radius * channels);
            let (inside, after) = rest.split_at_mut(stride);
            inside.copy_from_slice(row);
            let pixel = |x: isize| &row[self.border.index(x, width) * channels..][..channels];
            for (x, out) in before.chunks_exact_mut(channels).enumerate() {
                out.copy_from_slice(pixel(x as isize - radius as isize));
            }
            for (x, out) in after.chunks_exact_mut(channels).enumerate() {
                out.copy_from_slice(pixel((width + x) as isize));
            }
            self.weigh(out, |offset| {
                &padded[(radius * channels).wrapping_add_signed(offset * channels as isize)..]
            });
            store(out, storage);
        }
    }

    /// The weighted sum of the lines at offsets `-radius..=radius`: the centre, then the
    /// pairs from the outermost inwards, a few at a time to spare memory.
    fn weigh<'a>(&self, out: &mut [f64], line: impl Fn(isize) -> &'a [f64]) {
        wide(
            #[inline(always)]
            || self.weigh_lines(out, line),
        );
    }

    #[inline(always)]
    fn weigh_lines<'a>(&self, out: &mut [f64], line: impl Fn(isize) -> &'a [f64]) {
        let radius = self.half.len() - 1;
        let pair = |j: usize| (line(-(j as isize)), line(j as isize), self.half[j]);
        for (out, value) in out.iter_mut().zip(line(0)) {
            *out = value * self.half[0];
        }
        let mut j = radius;
        while j > 0 {
            j -= match j {
                1 => add_pairs(out, [pair(j)]),
                2 => add_pairs(out, [pair(j), pair(j - 1)]),
                3 => add_pairs(out, [pair(j), pair(j - 1), pair(j - 2)]),
                4..8 => add_pairs(out, [pair(j), pair(j - 1), pair(j - 2), pair(j - 3)]),
                _ => add_pairs(out, [0, 1, 2, 3, 4, 5, 6, 7].map(|k| pair(j - k))),
            };
        }
    }
}

/// Adds weighted pairs of lines in the order given; says how many.
#[inline(always)]
fn add_pairs<const K: usize>(out: &mut [f64], pairs: [(&[f64], &[f64], f64); K]) -> usize {
    let n = out.len();
    // Equal lengths, so that the compiler drops the checks below.
    let pairs = pairs.map(|(left, right, weight)| (&left[..n], &right[..n], weight));
    for (x, out) in out.iter_mut().enumerate() {
        let mut sum = *out;
        for (left, right, weight) in pairs {
            sum += (left[x] + right[x]) * weight;
        }
        *out = sum;
    }
    K
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
