//! Noise with a chosen power spectrum and random phases, as the scripts of C-bar make it.

use super::dft::InverseDft;
use crate::RandomSource;
use crate::job::Pool;

/// What noise fields of one size and spectrum share.
pub(crate) struct PhaseNoise {
    n: usize,
    /// The amplitude of every frequency, row by row, the constant in the middle.
    amplitude: Vec<f64>,
    dft: InverseDft,
}

impl PhaseNoise {
    /// Fields of `n` x `n` values (`n` is even) in which a frequency at the squared distance `d`
    /// from the constant has the amplitude `amplitude(d)`.
    pub fn new(n: usize, amplitude: impl Fn(f64) -> f64) -> Self {
        let middle = n as f64 / 2.0;
        let at = |i: usize| (i as f64 - middle).powi(2);
        Self {
            n,
            amplitude: (0..n * n).map(|i| amplitude(at(i / n) + at(i % n))).collect(),
            dft: InverseDft::new(n),
        }
    }

    /// Fills `out` with a field of standard deviation 1.
    pub fn fill(&self, rng: &mut dyn RandomSource, pool: &mut Pool<f64>, out: &mut [f64]) {
        let (n, half) = (self.n, self.n / 2);
        let [phases, re, im, re_between, im_between, memory] =
            pool.take([n * half, n * n, n * n, n * n, n * n, self.dft.memory()]);
        rng.fill_uniform(0.0, std::f64::consts::TAU, phases);
        for y in 0..n {
            for x in 0..half {
                let (sin, cos) = phases[y * half + x].sin_cos();
                // The right half repeats the left one, turned by half a turn; the constant moves to
                // the corner.
                for (y, x) in [(y, x), (n - 1 - y, n - 1 - x)] {
                    let power = self.amplitude[y * n + x];
                    let to = (y + half) % n * n + (x + half) % n;
                    (re[to], im[to]) = (power * cos, power * sin);
                }
            }
        }
        self.dft.columns([re, im], memory, [re_between, im_between]);
        // The spectrum is not symmetric; the scripts drop the imaginary part.
        self.dft
            .columns([re_between, im_between], memory, [&mut *out, im]);
        for value in out.iter_mut() {
            *value /= (n * n) as f64;
        }
        let count = out.len() as f64;
        let mean = out.iter().sum::<f64>() / count;
        let variance = out.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt();
        for value in out {
            *value /= deviation;
        }
    }
}
