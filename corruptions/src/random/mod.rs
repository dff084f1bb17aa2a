//! Random sources: two generators behind one trait.
//!
//! [`KeyedRng`] is the default: every image has its own generator, keyed by what it is.
//! [`NumpyRng`] replays NumPy's legacy stream, for comparison with the reference scripts.

pub mod keyed;
pub mod numpy;
mod poisson;
mod ziggurat;

pub use keyed::KeyedRng;
pub use numpy::NumpyRng;

/// Where a corruption's random draws come from.
///
/// ```
/// use rlnet_corruptions::random::{NumpyRng, RandomSource};
/// // np.random.seed(0); np.random.uniform()
/// assert_eq!(NumpyRng::new(0).uniform(), 0.5488135039273248);
/// ```
pub trait RandomSource {
    /// Uniform in `[0, 1)`.
    fn uniform(&mut self) -> f64;

    /// A whole number in `[0, n)`; `n` is at least 1.
    fn below(&mut self, n: u64) -> u64;

    /// Standard normal.
    fn normal(&mut self) -> f64;

    /// Poisson with mean `lambda` (at least 0, finite), by NumPy's methods.
    fn poisson(&mut self, lambda: f64) -> u64 {
        poisson::draw(lambda, || self.uniform())
    }

    /// Uniform in `[low, high)`, as NumPy forms it.
    fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number in `[low, high)`; `high` is above `low`.
    fn randint(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high.abs_diff(low).max(1)) as i64
    }

    /// True with probability `p`: NumPy's `choice([True, False], p=[p, 1 - p])`, which
    /// compares a uniform with the normalised cumulative sum.
    fn choice(&mut self, p: f64) -> bool {
        self.uniform() < p / (p + (1.0 - p))
    }

    /// Draws from a generator that starts from `seed`, a number drawn from this source: some
    /// reference scripts use a second NumPy generator inside of a corruption. A keyed source draws
    /// from itself.
    fn seeded(&mut self, seed: u32, draw: &mut dyn FnMut(&mut dyn RandomSource)) {
        draw(&mut NumpyRng::new(seed));
    }

    /// The keyed generator behind this source, if it is one: it replays no stream, so a
    /// corruption is free in how it draws, as long as the distribution is the same.
    fn as_keyed(&mut self) -> Option<&mut KeyedRng> {
        None
    }

    /// As many uniforms in `[low, high)` as `out` has room for. One dynamic call instead
    /// of thousands.
    fn fill_uniform(&mut self, low: f64, high: f64, out: &mut [f64]) {
        for value in out {
            *value = self.uniform_in(low, high);
        }
    }

    /// As many standard normals as `out` has room for.
    fn fill_normal(&mut self, out: &mut [f64]) {
        for value in out {
            *value = self.normal();
        }
    }

    /// The same in single precision. A source that replays a stream gives PyTorch's, in whole blocks of
    /// sixteen.
    fn fill_normal_single(&mut self, out: &mut [f32]) {
        for value in out {
            *value = self.normal() as f32;
        }
    }

    /// As many whole numbers in `[0, n)` as `out` has room for; `n` is at least 1.
    fn fill_below(&mut self, n: u32, out: &mut [u32]) {
        for value in out {
            *value = self.below(u64::from(n)) as u32;
        }
    }

    /// As many choices as `out` has room for.
    fn fill_choice(&mut self, p: f64, out: &mut [bool]) {
        for value in out {
            *value = self.choice(p);
        }
    }

    /// For every byte `v`, a Poisson draw with mean `means[v]`.
    fn fill_poisson(&mut self, bytes: &[u8], means: &[f64; 256], out: &mut [f64]) {
        for (value, &byte) in out.iter_mut().zip(bytes) {
            *value = self.poisson(means[usize::from(byte)]) as f64;
        }
    }
}
