//! When a perturbation lies inside a ball, and when two balls are one: the one tolerance for both, in every
//! norm.

/// Share of a radius by which what was projected onto its ball may be longer: perturbations are sums of
/// pixels in single precision, whose errors grow with the length.
const SHARE: f64 = 1e-5;

/// The distance of two neighbouring pixels in single precision, below 1: no pixel can be set more closely.
const PIXEL: f64 = 1.0 / (1 << 24) as f64;

/// Whether a perturbation of this length lies inside the ball of this radius.
pub fn is_inside(length: f64, radius: f64) -> bool {
    length <= radius * (1.0 + SHARE) + PIXEL
}

/// Whether two radii are the same, up to the rounding of how they were written.
pub fn is_same_radius(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_grows_with_the_radius_and_not_with_the_norm() {
        // An L1 ball of radius 20, L2, Linf down to a tenth of an 8-bit level, and one whose radius is nothing.
        for radius in [786_432.0, 20.0, 0.5, 8.0 / 255.0, 0.1 / 255.0] {
            assert!(is_inside(radius * (1.0 + 2e-6), radius), "{radius}");
            assert!(!is_inside(radius * 1.001, radius), "{radius}");
        }
        assert!(is_inside(20.00003, 20.0) && !is_inside(20.003, 20.0));
        assert!(is_inside(0.0, 0.0) && !is_inside(1e-6, 0.0) && !is_inside(f64::NAN, 1.0));
        assert!(is_same_radius(8.0 / 255.0, 0.1 * 80.0 / 255.0) && is_same_radius(0.0, 0.0));
        assert!(!is_same_radius(1e-10, 2e-10) && !is_same_radius(0.031, 8.0 / 255.0));
    }
}
