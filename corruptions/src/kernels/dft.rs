//! The inverse discrete Fourier transform, for images of any side.
//!
//! Cooley and Tukey's recursion over the prime factors of the side, in double precision. The
//! results of two accurate transforms differ far below a grey level, so this imitates no library.

pub(crate) type Complex = [f64; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

fn plus([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a + c, b + d]
}

/// The inverse transform of `n` values, without the factor 1/n.
pub(crate) struct InverseDft {
    /// exp(2 pi i k / n).
    roots: Vec<Complex>,
    /// The prime factors of n, smallest first.
    factors: Vec<usize>,
}

impl InverseDft {
    pub fn new(n: usize) -> Self {
        let turn = std::f64::consts::TAU / n as f64;
        let (mut factors, mut rest) = (Vec::new(), n);
        for prime in 2..=n {
            while rest.is_multiple_of(prime) {
                factors.push(prime);
                rest /= prime;
            }
        }
        Self {
            roots: (0..n)
                .map(|k| [(turn * k as f64).cos(), (turn * k as f64).sin()])
                .collect(),
            factors,
        }
    }

    /// Transforms `input[0]`, `input[stride]`, ... into `out`. `spare` holds as many values as the
    /// largest prime factor.
    pub fn line(&self, input: &[Complex], stride: usize, out: &mut [Complex], spare: &mut [Complex]) {
        self.recurse(input, stride, &self.factors, out, spare);
    }

    fn recurse(
        &self,
        input: &[Complex],
        stride: usize,
        factors: &[usize],
        out: &mut [Complex],
        spare: &mut [Complex],
    ) {
        let Some((&prime, factors)) = factors.split_first() else {
            out[0] = input[0];
            return;
        };
        let part = out.len() / prime;
        let step = self.roots.len() / out.len();
        for (first, out) in out.chunks_exact_mut(part).enumerate() {
            self.recurse(&input[first * stride..], stride * prime, factors, out, spare);
        }
        for k in 0..part {
            if prime == 2 {
                let (even, odd) = (out[k], times(out[k + part], self.roots[k * step]));
                out[k] = plus(even, odd);
                out[k + part] = [even[0] - odd[0], even[1] - odd[1]];
                continue;
            }
            for (first, value) in spare[..prime].iter_mut().enumerate() {
                *value = times(out[first * part + k], self.roots[first * k * step]);
            }
            for block in 0..prime {
                let root = |first: usize| self.roots[first * block * part * step % self.roots.len()];
                let terms = spare[..prime].iter().enumerate();
                out[block * part + k] = terms.fold([0.0; 2], |sum, (first, &value)| {
                    plus(sum, times(value, root(first)))
                });
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
            let input: Vec<Complex> = (0..n).map(|_| [rng.uniform(), rng.uniform()]).collect();
            let (mut out, mut spare) = (vec![[0.0; 2]; n], vec![[0.0; 2]; n]);
            InverseDft::new(n).line(&input, 1, &mut out, &mut spare);
            for (u, got) in out.iter().enumerate() {
                let term = |(x, &value): (usize, &Complex)| {
                    let (sin, cos) = (std::f64::consts::TAU * (u * x) as f64 / n as f64).sin_cos();
                    times(value, [cos, sin])
                };
                let expected = input.iter().enumerate().map(term).fold([0.0; 2], plus);
                assert!((got[0] - expected[0]).abs() < 1e-12 && (got[1] - expected[1]).abs() < 1e-12);
            }
        }
    }
}
