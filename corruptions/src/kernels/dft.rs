//! The inverse discrete Fourier transform of square images, of any side.
//!
//! Stockham's form of Cooley and Tukey's transform over the prime factors of the side (as in P. N. Swarztrauber's
//! FFTPACK), eight columns at once, in double precision. The results of two accurate transforms differ far below a
//! grey level, so this imitates no library.

use super::wide::wide;

/// Columns that are transformed at once.
const LANES: usize = 8;

/// A number of each column: real parts, imaginary parts.
type Lanes = [[f64; LANES]; 2];

/// A factor of the side.
struct Stage {
    prime: usize,
    /// For every position within a part, `prime` x `prime` factors: what input r adds to output q.
    factors: Vec<[f64; 2]>,
}

/// The inverse transform of `n` x `n` values, without the factor 1/n^2.
pub(crate) struct InverseDft {
    n: usize,
    stages: Vec<Stage>,
}

impl InverseDft {
    pub fn new(n: usize) -> Self {
        let (mut stages, mut rest, mut prime) = (Vec::new(), n, 2);
        while rest > 1 {
            if !rest.is_multiple_of(prime) {
                prime += 1;
                continue;
            }
            // Values that one transform of `rest` values still has; of each, `part` positions a factor.
            let part = rest / prime;
            let factors = (0..part * prime * prime).map(|at| {
                let (i, q, r) = (at / (prime * prime), at / prime % prime, at % prime);
                let turn = std::f64::consts::TAU * ((q * (i + r * part)) % rest) as f64 / rest as f64;
                [turn.cos(), turn.sin()]
            });
            stages.push(Stage {
                prime,
                factors: factors.collect(),
            });
            rest = part;
        }
        Self { n, stages }
    }

    /// Values of working memory that a transform needs.
    pub fn memory(&self) -> usize {
        4 * self.n * LANES
    }

    /// Transforms every column of `image` (real parts, imaginary parts); column x becomes row x of `out`.
    pub fn columns(&self, image: [&[f64]; 2], memory: &mut [f64], mut out: [&mut [f64]; 2]) {
        let n = self.n;
        let (a, b) = memory
            .as_chunks_mut::<LANES>()
            .0
            .as_chunks_mut::<2>()
            .0
            .split_at_mut(n);
        for first in (0..n).step_by(LANES) {
            let count = LANES.min(n - first);
            for (y, lanes) in a.iter_mut().enumerate() {
                for (lanes, part) in lanes.iter_mut().zip(image) {
                    lanes[..count].copy_from_slice(&part[y * n + first..][..count]);
                }
            }
            let (mut from, mut to) = (&mut *a, &mut *b);
            let mut parts = 1;
            for stage in &self.stages {
                wide(
                    #[inline(always)]
                    || stage.run(parts, from, &mut to[..n]),
                );
                parts *= stage.prime;
                std::mem::swap(&mut from, &mut to);
            }
            for (part, out) in out.iter_mut().enumerate() {
                for (lane, row) in out[first * n..].chunks_exact_mut(n).take(count).enumerate() {
                    for (value, lanes) in row.iter_mut().zip(&*from) {
                        *value = lanes[part][lane];
                    }
                }
            }
        }
    }
}

impl Stage {
    /// One factor of the transform, in `parts` that have been told apart by the factors before.
    #[inline(always)]
    fn run(&self, parts: usize, from: &[Lanes], to: &mut [Lanes]) {
        let prime = self.prime;
        let length = from.len() / (parts * prime);
        for k in 0..parts {
            for (i, factors) in self.factors.chunks_exact(prime * prime).enumerate() {
                let input = |r: usize| &from[i + length * (r + prime * k)];
                let output = |q: usize| i + length * (k + parts * q);
                if prime == 2 {
                    let ([a, b], [c, d]) = (input(0), input(1));
                    let [cos, sin] = factors[2];
                    let (mut sum, mut turned) = ([[0.0; LANES]; 2], [[0.0; LANES]; 2]);
                    for l in 0..LANES {
                        let (re, im) = (a[l] - c[l], b[l] - d[l]);
                        (sum[0][l], sum[1][l]) = (a[l] + c[l], b[l] + d[l]);
                        (turned[0][l], turned[1][l]) = (re * cos - im * sin, re * sin + im * cos);
                    }
                    (to[output(0)], to[output(1)]) = (sum, turned);
                    continue;
                }
                for (q, factors) in factors.chunks_exact(prime).enumerate() {
                    let mut sum = [[0.0; LANES]; 2];
                    for (r, &[cos, sin]) in factors.iter().enumerate() {
                        let [re, im] = input(r);
                        for l in 0..LANES {
                            sum[0][l] += re[l] * cos - im[l] * sin;
                            sum[1][l] += re[l] * sin + im[l] * cos;
                        }
                    }
                    to[output(q)] = sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyedRng;

    #[test]
    fn it_is_the_sum_that_defines_it() {
        for n in [1, 2, 6, 14, 32] {
            let mut rng = KeyedRng::new(n as u64, "dft", &[]);
            let input: [Vec<f64>; 2] = [(); 2].map(|()| (0..n * n).map(|_| rng.uniform()).collect());
            let mut out = [(); 2].map(|()| vec![0.0; n * n]);
            let dft = InverseDft::new(n);
            let [re, im] = &mut out;
            dft.columns([&input[0], &input[1]], &mut vec![0.0; dft.memory()], [re, im]);
            for (at, (&re, &im)) in out[0].iter().zip(&out[1]).enumerate() {
                let (column, u) = (at / n, at % n);
                let mut expected = [0.0; 2];
                for y in 0..n {
                    let (a, b) = (input[0][y * n + column], input[1][y * n + column]);
                    let (sin, cos) = (std::f64::consts::TAU * (u * y) as f64 / n as f64).sin_cos();
                    expected[0] += a * cos - b * sin;
                    expected[1] += a * sin + b * cos;
                }
                assert!(
                    (re - expected[0]).abs() < 1e-12 && (im - expected[1]).abs() < 1e-12,
                    "{n}"
                );
            }
        }
    }
}
