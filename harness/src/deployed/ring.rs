//! Exact arithmetic of fixed-point numbers in the integers modulo 2^bits: an element is an i64 in
//! `[-2^(bits - 1), 2^(bits - 1))`, so that its sign is the ring's.

use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::fixed_point::{FixedPoint, SignTest, Truncation};
use tch::{Kind, Tensor};

/// The ring element of an integer modulo 2^bits.
pub fn wrapped(value: i64, bits: u32) -> i64 {
    let unused = 64 - bits;
    value << unused >> unused
}

/// The lowest bits of a number.
fn low_bits(value: i64, bits: u32) -> i64 {
    match bits {
        0 => 0,
        bits => value & (u64::MAX >> (64 - bits)) as i64,
    }
}

/// A product with twice the fraction bits, truncated; `random` is a uniform word.
pub fn truncated(value: i64, random: u64, fixed: &FixedPoint) -> i64 {
    let FixedPoint { bits, frac, .. } = *fixed;
    let random = random as i64;
    let wide = i128::from(value);
    let kept = match fixed.truncation {
        Truncation::Floor => wide >> frac,
        Truncation::Nearest => (wide + (1 << (frac - 1))) >> frac,
        Truncation::Probabilistic => (wide + i128::from(low_bits(random, frac))) >> frac,
        Truncation::Local => {
            // Both parties' shares as signed numbers; the second one shifts its negative.
            let share = wrapped(random, bits);
            let other = wrapped(share.wrapping_sub(value), bits);
            i128::from(share >> frac) - i128::from(other >> frac)
        }
    };
    wrapped(kept as i64, bits)
}

/// Whether a kept unit passes its value, by the arithmetic's test of its sign; `random` is a uniform word.
pub fn passes(value: i64, random: u64, fixed: &FixedPoint) -> bool {
    let random = random as i64;
    match fixed.sign {
        SignTest::Exact => value > 0,
        SignTest::HummingBird { low, high } => {
            // Each party drops the bits of its share: what is lost below `low` is a carry, where there was one.
            let seen = wrapped(value, high);
            let carry = low_bits(random, low) > low_bits(seen, low);
            wrapped((seen >> low) - i64::from(carry), high - low) >= 0
        }
        SignTest::Circa { k, passes } => {
            // Shares (x + t, -t): without a wrap x + t > t exactly where x is positive.
            let unsigned = |value: i64| low_bits(value, fixed.bits) as u64 >> k;
            let (sum, share) = (unsigned(value.wrapping_add(random)), unsigned(random));
            if passes { sum >= share } else { sum > share }
        }
    }
}

/// Encodes real numbers: x 2^frac towards zero, as SPU does (seen: to the nearest, logits differ by ten units from SPU's
/// own, towards zero by one).
pub fn encoded(values: &Tensor, fixed: &FixedPoint) -> Tensor {
    let scaled = (values.to_kind(Kind::Double) * 2_f64.powi(fixed.frac as i32)).trunc();
    wrap(&scaled.to_kind(Kind::Int64), fixed)
}

/// The real numbers of ring elements, in single precision.
pub fn decoded(values: &Tensor, fixed: &FixedPoint) -> Tensor {
    (values.to_kind(Kind::Double) / 2_f64.powi(fixed.frac as i32)).to_kind(Kind::Float)
}

/// Elements modulo 2^bits.
pub fn wrap(values: &Tensor, fixed: &FixedPoint) -> Tensor {
    match 64 - i64::from(fixed.bits) {
        0 => values.shallow_clone(),
        unused => values
            .bitwise_left_shift_tensor_scalar(unused)
            .bitwise_right_shift_tensor_scalar(unused),
    }
}

/// Applies `f(value, random word)` to each element of `[N, ...]`. The words of an image are keyed by what `key` says
/// of it; they are drawn only where `draws` says so.
pub fn mapped(
    values: &Tensor,
    draws: bool,
    key: &dyn Fn(usize) -> KeyedRng,
    f: impl Fn(usize, i64, u64) -> i64,
) -> Tensor {
    let shape = values.size();
    let flat = values.contiguous();
    let mut list = vec![0_i64; flat.numel()];
    flat.copy_data(&mut list, flat.numel());
    let each = list.len() / (shape[0].max(1) as usize);
    for (image, part) in list.chunks_exact_mut(each.max(1)).enumerate() {
        let mut rng = draws.then(|| key(image));
        for (place, value) in part.iter_mut().enumerate() {
            let word = rng.as_mut().map_or(0, KeyedRng::next_u64);
            *value = f(place, *value, word);
        }
    }
    Tensor::from_slice(&list).reshape(shape)
}

/// A bilinear operation of integers modulo 2^64, exactly, by an implementation in double precision. `terms` is the
/// number of products in each sum. Both factors are cut into limbs so short that no sum of theirs exceeds 2^53.
pub fn product(xs: &Tensor, weights: &Tensor, terms: i64, op: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let width = (52 - (64 - (terms.max(1) as u64).leading_zeros())) / 2;
    let (xs, weights) = (limbs(xs, width), limbs(weights, width));
    let mut sum: Option<Tensor> = None;
    for (place, x) in xs.iter().enumerate() {
        for (other, w) in weights.iter().enumerate() {
            let shift = i64::from(width) * (place + other) as i64;
            if shift >= 64 {
                continue;
            }
            let part = op(x, w)
                .to_kind(Kind::Int64)
                .bitwise_left_shift_tensor_scalar(shift);
            sum = Some(match sum {
                Some(sum) => sum + part,
                None => part,
            });
        }
    }
    sum.unwrap_or_else(|| op(&xs[0], &weights[0]).to_kind(Kind::Int64))
}

/// Integers as doubles `v = sum of limb_i 2^(width i)`, limbs in `[-2^(width - 1), 2^(width - 1))`; as many as needed.
fn limbs(values: &Tensor, width: u32) -> Vec<Tensor> {
    let mut all = Vec::new();
    let mut rest = values.shallow_clone();
    let unused = 64 - i64::from(width);
    loop {
        let low = rest
            .bitwise_left_shift_tensor_scalar(unused)
            .bitwise_right_shift_tensor_scalar(unused);
        rest = (&rest - &low).bitwise_right_shift_tensor_scalar(i64::from(width));
        all.push(low.to_kind(Kind::Double));
        let done = rest.count_nonzero(None::<i64>).int64_value(&[]) == 0;
        if done || all.len() as u32 * width >= 64 {
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn fixed(text: &str) -> FixedPoint {
        text.parse().expect(text)
    }

    /// On a ring of 8 bits everything can be counted: the text's formulas against all shares.
    #[test]
    fn truncations_of_a_small_ring_are_those_of_their_definitions() {
        let (floor, nearest) = (
            fixed("fixed:bits=8,frac=3,trunc=floor"),
            fixed("fixed:bits=8,frac=3,trunc=nearest"),
        );
        let (even, local) = (
            fixed("fixed:bits=8,frac=3,trunc=probabilistic"),
            fixed("fixed:bits=8,frac=3,trunc=local"),
        );
        for value in -128..128_i64 {
            let exact = value as f64 / 8.0;
            assert_eq!(truncated(value, 0, &floor), exact.floor() as i64, "{value}");
            assert_eq!(
                truncated(value, 0, &nearest),
                (exact + 0.5).floor() as i64,
                "{value}"
            );
            // The mean over all random words is the quotient itself.
            let sum: i64 = (0..8).map(|word| truncated(value, word, &even)).sum();
            assert_eq!(sum, value, "{value}");
            // Each of the 256 ways of sharing: off by one unit, or wrapped in |value| of them.
            let errors = (0..256).map(|share| truncated(value, share, &local) as f64 - exact);
            let (near, far): (Vec<f64>, Vec<f64>) = errors.partition(|error| error.abs() < 2.0);
            assert_eq!(far.len() as i64, value.abs(), "{value}");
            assert!(near.iter().all(|error| error.abs() <= 1.0), "{value}");
            assert!(
                far.iter().all(|error| (error.abs() - 32.0).abs() <= 1.0),
                "{value}: {far:?}"
            );
        }
    }

    #[test]
    fn sign_tests_of_a_small_ring_fail_as_often_as_their_papers_say() {
        let share = |value: i64, text: &str, words: u64| {
            let fixed = fixed(text);
            (0..words).filter(|&word| passes(value, word, &fixed)).count() as i64
        };
        for value in -127..128_i64 {
            // Circa without truncation errs with probability |x| / 2^bits (its Theorem 3.1).
            let positive = share(value, "fixed:bits=8,frac=2,relu=circa:k=0", 256);
            let expected = if value > 0 { 256 - value } else { -value };
            assert_eq!(positive, expected, "{value}");
            // HummingBird: exact from 2^low on; below, kept with probability (x + 1) / 2^low (its Theorem 2).
            // Within 2^low of the ring's end the carry itself wraps around.
            if value >= -120 {
                let kept = share(value, "fixed:bits=8,frac=2,relu=hummingbird:3..8", 8);
                let expected = if value >= 8 { 8 } else { (value + 1).clamp(0, 8) };
                assert_eq!(kept, expected, "{value}");
            }
            // Without the high bits a value wraps: the sign is that of its lower six bits.
            let kept = share(value, "fixed:bits=8,frac=2,relu=hummingbird:0..6", 1);
            assert_eq!(kept == 1, wrapped(value, 6) >= 0, "{value}");
        }
        // Circa, k = 4: x = 5 is above a multiple of 16 that its share is below for 5 of 16 shares; of those that do
        // not wrap, it passes exactly there. The other mode lets -5 pass where both are between the same multiples.
        assert_eq!(share(5, "fixed:bits=8,frac=2,relu=circa:k=4", 256), 5 * 15);
        assert_eq!(
            share(-5, "fixed:bits=8,frac=2,relu=circa-negpass:k=4", 256),
            11 * 16 + 5
        );
    }

    #[test]
    fn products_wrap_as_integers_do() {
        let mut rng = KeyedRng::new(0, "ring", &[]);
        let mut word = || rng.next_u64() as i64;
        let (a, b): (Vec<i64>, Vec<i64>) = (
            (0..35).map(|_| word()).collect(),
            (0..21).map(|_| word()).collect(),
        );
        let (left, right) = (
            Tensor::from_slice(&a).reshape([5, 7]),
            Tensor::from_slice(&b).reshape([7, 3]),
        );
        let got = product(&left, &right, 7, |x, w| x.matmul(w));
        for row in 0..5_usize {
            for column in 0..3_usize {
                let exact = (0..7).fold(0_i64, |sum, k| {
                    sum.wrapping_add(a[row * 7 + k].wrapping_mul(b[k * 3 + column]))
                });
                assert_eq!(got.int64_value(&[row as i64, column as i64]), exact);
            }
        }
        let fixed = fixed("fixed:bits=8,frac=3");
        let values = Tensor::from_slice(&[127_i64, 128, -129, 256, -1]);
        let back = Vec::<i64>::try_from(wrap(&values, &fixed)).expect("integers");
        assert_eq!(back, [127, -128, 127, 0, -1]);
        let real = Tensor::from_slice(&[0.49_f32, -2.0, 0.07]).to_device(Device::Cpu);
        let coded = Vec::<i64>::try_from(encoded(&real, &fixed)).expect("integers");
        assert_eq!(coded, [3, -16, 0]);
        assert_eq!(decoded(&encoded(&real, &fixed), &fixed).double_value(&[1]), -2.0);
    }
}
