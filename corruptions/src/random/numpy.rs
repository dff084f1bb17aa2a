//! NumPy's legacy stream: `np.random.seed(s)` and what follows it, bit for bit.
//!
//! The generator is MT19937 (Matsumoto and Nishimura, 1998) seeded by `init_genrand`.
//! The conversions are those of NumPy's `RandomState`, which NumPy has frozen: 53-bit
//! doubles from two words, masked rejection for bounded integers, and the polar method
//! with a cached second normal that survives across calls.

use std::convert::Infallible;

use rand_core::TryRng;
use rand_core::utils::{fill_bytes_via_next_word, next_u64_via_u32};

use super::RandomSource;

const N: usize = 624;
const M: usize = 397;

/// NumPy's legacy global generator after `np.random.seed(seed)`.
///
/// ```
/// use rlnet_corruptions::random::NumpyRng;
/// let mut rng = NumpyRng::new(12345);
/// assert_eq!(rng.next_u32(), 3992670690);
/// ```
#[derive(Debug, Clone)]
pub struct NumpyRng {
    state: [u32; N],
    next: usize,
    cached_normal: Option<f64>,
}

impl NumpyRng {
    /// The stream of `np.random.seed(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [0; N];
        let mut word = seed;
        for (i, slot) in state.iter_mut().enumerate() {
            if i > 0 {
                word = 1_812_433_253_u32
                    .wrapping_mul(word ^ (word >> 30))
                    .wrapping_add(i as u32);
            }
            *slot = word;
        }
        Self {
            state,
            next: N,
            cached_normal: None,
        }
    }

    /// The next 32-bit word.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twist;
        }
        self.next = 0;
    }
}

impl RandomSource for NumpyRng {
    /// `random_sample()`: uniform in `[0, 1)` from two words, 27 + 26 bits.
    fn uniform(&mut self) -> f64 {
        let a = f64::from(self.next_u32() >> 5);
        let b = f64::from(self.next_u32() >> 6);
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }

    /// `randint(0, n)`: masked rejection; no draw at all when `n` is 1. Ranges above 2^32
    /// take two words, low word first having the higher bits, as NumPy does.
    fn below(&mut self, n: u64) -> u64 {
        let range = n.saturating_sub(1);
        if range == 0 {
            return 0;
        }
        let mask = u64::MAX >> range.leading_zeros();
        loop {
            let word = if range <= u64::from(u32::MAX) {
                u64::from(self.next_u32())
            } else {
                u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
            };
            if word & mask <= range {
                return word & mask;
            }
        }
    }

    /// `standard_normal()`.
    fn normal(&mut self) -> f64 {
        if let Some(value) = self.cached_normal.take() {
            return value;
        }
        loop {
            let x1 = 2.0 * self.uniform() - 1.0;
            let x2 = 2.0 * self.uniform() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.cached_normal = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// `torch.manual_seed(seed)`, then `torch.randn` of this many values (a multiple of 16; others are
    /// left as they are): PyTorch's generator on the CPU has the words of NumPy's. All uniforms are drawn
    /// first, 24 bits each; then Box and Muller's transform takes eight pairs at a time.
    fn fill_normal_single(&mut self, out: &mut [f32]) {
        for value in out.iter_mut() {
            *value = (self.next_u32() & 0xff_ffff) as f32 / 16_777_216.0;
        }
        // In double precision, rounded: PyTorch's vector functions differ in last bits only.
        let exact = |f: fn(f64) -> f64, x: f32| f(f64::from(x)) as f32;
        for block in out.as_chunks_mut::<16>().0 {
            for j in 0..8 {
                let radius = (-2.0 * exact(f64::ln, 1.0 - block[j])).sqrt();
                let turn = std::f32::consts::TAU * block[j + 8];
                (block[j], block[j + 8]) = (radius * exact(f64::cos, turn), radius * exact(f64::sin, turn));
            }
        }
    }
}

impl TryRng for NumpyRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(out, || self.try_next_u32())
    }
}
