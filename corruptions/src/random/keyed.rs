//! Keyed randomness: every draw belongs to a (seed, purpose, index), never to a stream.
//!
//! A generator is made anew for each item from its key, so what image 417 gets does not
//! depend on batch size, thread count, shard or on what ran before it. The generator is
//! xoshiro256++ (Blackman and Vigna, 2019); the key is mixed into its state by SplitMix64's
//! finaliser (Steele et al., OOPSLA 2014), one absorption a word.

use std::convert::Infallible;

use rand_core::TryRng;
use rand_core::utils::fill_bytes_via_next_word;

use super::{RandomSource, ziggurat};

/// A generator for one item. It implements `rand_core`'s `Rng` (version 0.10), so it also
/// drives the distributions of `rand`.
///
/// ```
/// use rlnet_corruptions::KeyedRng;
/// // The crop of image 417 in epoch 3, whatever was drawn before.
/// let mut rng = KeyedRng::new(0, "crop", &[3, 417]);
/// let (dx, dy) = (rng.below(9), rng.below(9));
/// assert!(dx < 9 && dy < 9);
/// let mut again = KeyedRng::new(0, "crop", &[3, 417]);
/// assert_eq!((again.below(9), again.below(9)), (dx, dy));
/// assert_ne!(KeyedRng::new(0, "crop", &[3, 418]).next_u64(), KeyedRng::new(0, "crop", &[3, 417]).next_u64());
/// ```
#[derive(Debug, Clone)]
pub struct KeyedRng {
    state: [u64; 4],
    cached_normal: Option<f64>,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl KeyedRng {
    /// The generator of item `index` (one or more numbers: epoch, image, restart, ...) for
    /// `purpose` under `seed`. Keys that differ anywhere give unrelated generators.
    pub fn new(seed: u64, purpose: &str, index: &[u64]) -> Self {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut key = mix(seed.wrapping_add(GOLDEN));
        let mut absorb = |word: u64| key = mix((key ^ word).wrapping_add(GOLDEN)).rotate_left(23);
        // Lengths are absorbed too: ("ab", [1]) and ("a", [..]) never meet.
        absorb(purpose.len() as u64);
        for chunk in purpose.as_bytes().chunks(8) {
            let mut word = [0_u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            absorb(u64::from_le_bytes(word));
        }
        absorb(index.len() as u64);
        for &word in index {
            absorb(word);
        }
        let mut state = [0; 4];
        for slot in &mut state {
            key = key.wrapping_add(GOLDEN);
            *slot = mix(key);
        }
        Self {
            state,
            cached_normal: None,
        }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform whole number in `[0, n)`, without bias (Lemire 2019). `n` is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    /// As many whole numbers in `[0, n)` as `out` has room for, without bias; `n` is at least
    /// 1. Not the numbers that [`Self::below`] would give: a word serves two of them.
    pub fn fill_below(&mut self, n: u32, out: &mut [u32]) {
        let rejected = n.wrapping_neg() % n;
        let (mut word, mut left) = (0, 0);
        for value in out {
            *value = loop {
                if left == 0 {
                    (word, left) = (self.next_u64(), 2);
                }
                let product = (word & 0xffff_ffff) * u64::from(n);
                (word, left) = (word >> 32, left - 1);
                if product as u32 >= rejected {
                    break (product >> 32) as u32;
                }
            };
        }
    }

    /// Standard normal (Marsaglia's polar method; the second value is kept for the next call).
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.cached_normal.take() {
            return value;
        }
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let r2 = x * x + y * y;
            if r2 > 0.0 && r2 < 1.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.cached_normal = Some(f * x);
                return f * y;
            }
        }
    }

    /// A random order of `0..n` (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

impl RandomSource for KeyedRng {
    fn uniform(&mut self) -> f64 {
        Self::uniform(self)
    }

    fn below(&mut self, n: u64) -> u64 {
        Self::below(self, n)
    }

    fn normal(&mut self) -> f64 {
        Self::normal(self)
    }

    fn seeded(&mut self, _: u32, draw: &mut dyn FnMut(&mut dyn RandomSource)) {
        draw(self);
    }

    fn as_keyed(&mut self) -> Option<&mut KeyedRng> {
        Some(self)
    }

    fn fill_normal(&mut self, out: &mut [f64]) {
        ziggurat::fill(self, out);
    }

    fn fill_below(&mut self, n: u32, out: &mut [u32]) {
        Self::fill_below(self, n, out);
    }
}

impl TryRng for KeyedRng {
    type Error = Infallible;

    /// The upper half of a 64-bit word.
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(out, || self.try_next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    #[test]
    fn rand_core_sees_the_same_bits() {
        let key = || KeyedRng::new(3, "rand_core", &[9]);
        let word = key().next_u64();
        assert_eq!(Rng::next_u64(&mut key()), word);
        assert_eq!(Rng::next_u32(&mut key()), (word >> 32) as u32);
        let mut bytes = [0; 8];
        key().fill_bytes(&mut bytes);
        assert_eq!(u64::from_le_bytes(bytes), word);
    }

    #[test]
    fn keys_that_differ_anywhere_give_unrelated_draws() {
        let first = |seed, purpose, index: &[u64]| KeyedRng::new(seed, purpose, index).next_u64();
        let draws = [
            first(0, "crop", &[0]),
            first(1, "crop", &[0]),
            first(0, "flip", &[0]),
            first(0, "crop", &[1]),
            first(0, "crop", &[0, 0]),
        ];
        for (i, a) in draws.iter().enumerate() {
            assert!(draws[i + 1..].iter().all(|b| b != a));
        }
        assert_eq!(first(0, "crop", &[0]), draws[0]);
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let mut rng = KeyedRng::new(7, "moments", &[]);
        let n = 200_000;
        let (mut u, mut g, mut g2) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            u += rng.uniform();
            let x = rng.normal();
            g += x;
            g2 += x * x;
        }
        let n = f64::from(n);
        // Five standard errors.
        assert!((u / n - 0.5).abs() < 5.0 * (1.0 / 12.0_f64 / n).sqrt());
        assert!((g / n).abs() < 5.0 / n.sqrt());
        assert!((g2 / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = KeyedRng::new(0, "order", &[3]).permutation(100);
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
