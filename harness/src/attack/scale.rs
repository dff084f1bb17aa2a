//! Gradients of any scale: a direction must not depend on what the logits are multiplied by, nor on one
//! value that is not finite.

use super::ball::{length, per_image};
use rlnet_suites::attack::Norm;
use tch::{Tensor, no_grad_guard};

/// Which gradients (`[N, ...]`, the answer `[N]` bool) can be followed: finite, not zero, and not lost to
/// underflow (below this the numbers have no more 24 bits, and their smaller ones are zero).
pub fn is_usable(gradient: &Tensor) -> Tensor {
    let _guard = no_grad_guard();
    let largest = length(gradient, Norm::Linf);
    largest
        .isfinite()
        .logical_and(&largest.ge(f64::from(f32::MIN_POSITIVE)))
}

/// Gradients `[N, ...]` whose values are all finite: no direction where there is no number, the furthest
/// where there is an infinity.
pub fn finite(gradient: &Tensor) -> Tensor {
    gradient.nan_to_num(0.0, None, None)
}

/// The power of two `[N]` just below the largest value of each gradient (`[N, ...]`, finite); 1 for a
/// gradient of zero. A division by it is exact, so what is worked out of the quotients has the same bits at
/// every scale, and sizes from 1 to 2.
pub fn of(gradient: &Tensor) -> Tensor {
    let largest = length(gradient, Norm::Linf);
    let mantissa = largest.frexp().0 * 2.0;
    nonzero(&(&largest / nonzero(&mantissa)))
}

/// Sizes to divide by: 1 in place of 0.
pub fn nonzero(sizes: &Tensor) -> Tensor {
    sizes.ones_like().where_self(&sizes.eq(0.0), sizes)
}

/// Finite gradients `[N, 3, H, W]` with largest values from 1 to 2, or zero.
pub fn unit(gradient: &Tensor) -> Tensor {
    let gradient = finite(gradient);
    let by = of(&gradient);
    gradient / per_image(&by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_gradient_has_the_same_bits_at_every_scale() {
        let drawn = Tensor::from_slice(&[0.3_f32, -1.7, 0.004, 0.0, 2.5e-4, -0.9]).reshape([1, 3, 2, 1]);
        for exponent in [-100, -20, -1, 0, 3, 60, 120] {
            let scaled = &drawn * 2.0_f64.powi(exponent);
            assert_eq!(unit(&scaled), unit(&drawn), "2^{exponent}");
        }
        for size in [f32::from_bits(1), 1e-40, f32::MIN_POSITIVE, 1.0, f32::MAX] {
            let one = Tensor::from_slice(&[size, 0.0, -size]).reshape([1, 3, 1, 1]);
            let largest = unit(&one).abs().max().double_value(&[]);
            assert!((1.0..2.0).contains(&largest), "{size}: {largest}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told_from_what_can() {
        let rows = [
            ([0.0_f32, 0.0, 0.0], false),
            ([0.0, f32::NAN, 1.0], false),
            ([f32::INFINITY, 0.0, 1.0], false),
            ([1e-39, -1e-40, 0.0], false),
            ([1e-37, 0.0, 0.0], true),
            ([0.0, -3e38, 0.0], true),
        ];
        for (row, usable) in rows {
            let gradient = Tensor::from_slice(&row).reshape([1, 3, 1, 1]);
            assert_eq!(is_usable(&gradient).int64_value(&[0]) != 0, usable, "{row:?}");
            assert!(unit(&gradient).isfinite().all().int64_value(&[]) != 0, "{row:?}");
        }
        // Of a gradient that is not finite everywhere the rest is still followed.
        let part = Tensor::from_slice(&[f32::NAN, -0.5, 0.25]).reshape([1, 3, 1, 1]);
        assert_eq!(
            Vec::<f32>::try_from(unit(&part).flatten(0, -1)).expect("values"),
            [0.0, -1.0, 0.5]
        );
    }
}
