//! The separable Gaussian of `scipy.ndimage`, in its order of summation.
//!
//! Rows first (along y), then columns, never across channels, in double precision. For a
//! symmetric kernel SciPy adds the centre tap, then the pairs from the outermost inwards;
//! any other order flips about one byte in 1,700 after truncation.

use super::wide::wide;
use super::{replicate, symmetric};
use crate::Stack;
use crate::job::Pool;
use std::cell::RefCell;

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
    /// Where the samples lie that are added up, the border's among them.
    places: RefCell<Vec<usize>>,
}

/// Values that are summed side by side, and the samples of so many of them.
const LANES: usize = 32;
type Line = [f64; LANES];

impl Gaussian {
    /// The kernel of radius `floor(truncate * sigma + 0.5)`.
    pub fn new(sigma: f64, truncate: f64, border: Border, stack: Stack) -> Self {
        // SciPy leaves an axis alone below this.
        if sigma <= 1e-15 {
            return Self {
                half: vec![1.0],
                border,
                places: RefCell::default(),
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
            places: RefCell::default(),
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
        if self.is_identity() {
            return;
        }
        let stride = width * channels;
        let [before, after] = pool.take([LANES * width.max(height); 2]);
        let (before, after) = (before.as_chunks_mut().0, after.as_chunks_mut().0);
        // Columns: some values of every row are a block.
        for first in (0..stride).step_by(LANES) {
            let lanes = LANES.min(stride - first);
            for (line, row) in before.iter_mut().zip(data.chunks_exact(stride)) {
                line[..lanes].copy_from_slice(&row[first..first + lanes]);
            }
            self.weigh(&before[..height], &mut after[..height], storage);
            for (line, row) in after.iter().zip(data.chunks_exact_mut(stride)) {
                row[first..first + lanes].copy_from_slice(&line[..lanes]);
            }
        }
        // Rows: some rows side by side, pixel by pixel.
        for rows in data.chunks_mut(LANES / channels * stride) {
            for (lane, row) in rows.chunks_exact(stride).enumerate() {
                for (line, pixel) in before.iter_mut().zip(row.chunks_exact(channels)) {
                    line[lane * channels..(lane + 1) * channels].copy_from_slice(pixel);
                }
            }
            self.weigh(&before[..width], &mut after[..width], storage);
            for (lane, row) in rows.chunks_exact_mut(stride).enumerate() {
                for (line, pixel) in after.iter().zip(row.chunks_exact_mut(channels)) {
                    pixel.copy_from_slice(&line[lane * channels..(lane + 1) * channels]);
                }
            }
        }
    }

    /// The weighted sums of the lines at offsets `-radius..=radius` from each: the centre, then the pairs from the
    /// outermost inwards.
    fn weigh(&self, lines: &[Line], out: &mut [Line], storage: Storage) {
        let radius = self.half.len() as isize - 1;
        let mut places = self.places.borrow_mut();
        places.clear();
        let all = -radius..lines.len() as isize + radius;
        places.extend(all.map(|i| self.border.index(i, lines.len())));
        wide(
            #[inline(always)]
            || self.weigh_lines(lines, &places, out, storage),
        );
    }

    #[inline(always)]
    fn weigh_lines(&self, lines: &[Line], places: &[usize], out: &mut [Line], storage: Storage) {
        let radius = self.half.len() - 1;
        for (places, out) in places.windows(2 * radius + 1).zip(out) {
            let mut sum = lines[places[radius]].map(|value| value * self.half[0]);
            let pairs = places[..radius].iter().zip(places.iter().rev());
            for ((&left, &right), &weight) in pairs.zip(self.half.iter().rev()) {
                let (left, right) = (&lines[left], &lines[right]);
                for k in 0..LANES {
                    sum[k] += (left[k] + right[k]) * weight;
                }
            }
            *out = match storage {
                Storage::Double => sum,
                Storage::Single => sum.map(|value| f64::from(value as f32)),
            };
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
