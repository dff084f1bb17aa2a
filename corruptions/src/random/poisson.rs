//! Poisson draws from uniform ones, by NumPy's two methods.
//!
//! Below a mean of 10: multiply uniforms until the product falls under exp(-mean)
//! (Knuth). From 10 on: the transformed rejection PTRS (W. Hoermann, "The transformed
//! rejection method for generating Poisson random variables", 1993), whose constants are
//! below. The log-gamma series is the one NumPy uses (Zhang and Jin, "Computation of
//! Special Functions", 1996), because an acceptance test that differs in the last bit
//! would shift every later draw of a replayed stream.

/// One Poisson draw with mean `lambda`.
pub(super) fn draw(lambda: f64, mut uniform: impl FnMut() -> f64) -> u64 {
    if lambda >= 10.0 {
        rejection(lambda, uniform)
    } else if lambda > 0.0 {
        let floor = (-lambda).exp();
        let (mut count, mut product) = (0, 1.0);
        loop {
            product *= uniform();
            if product <= floor {
                return count;
            }
            count += 1;
        }
    } else {
        0
    }
}

fn rejection(lambda: f64, mut uniform: impl FnMut() -> f64) -> u64 {
    let b = 0.931 + 2.53 * lambda.sqrt();
    let a = -0.059 + 0.02483 * b;
    let vr = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = uniform() - 0.5;
        let v = uniform();
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + lambda + 0.43).floor();
        if us >= 0.07 && v <= vr {
            return k as u64;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let left = v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln();
        if left <= -lambda + k * lambda.ln() - log_gamma(k + 1.0) {
            return k as u64;
        }
    }
}

/// ln Gamma(x) for x >= 1: Stirling's series at x + n >= 7, then the recurrence down.
fn log_gamma(x: f64) -> f64 {
    // B(2k) / (2k (2k - 1)), k = 1..10.
    const SERIES: [f64; 10] = [
        8.333333333333333e-02,
        -2.777777777777778e-03,
        7.936507936507937e-04,
        -5.952380952380952e-04,
        8.417508417508418e-04,
        -1.917526917526918e-03,
        6.41025641025641e-03,
        -2.955065359477124e-02,
        1.796443723688307e-01,
        -1.39243221690590e+00,
    ];
    if x == 1.0 || x == 2.0 {
        return 0.0;
    }
    let steps = if x < 7.0 { (7.0 - x) as u32 } else { 0 };
    let mut x0 = x + f64::from(steps);
    let x2 = (1.0 / x0) * (1.0 / x0);
    let series = SERIES.iter().rev().fold(0.0, |sum, c| sum * x2 + c);
    const LN_TWO_PI: f64 = 1.8378770664093453;
    let mut result = series / x0 + 0.5 * LN_TWO_PI + (x0 - 0.5) * x0.ln() - x0;
    for _ in 0..steps {
        result -= (x0 - 1.0).ln();
        x0 -= 1.0;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_gamma_is_the_log_of_the_factorial() {
        let mut factorial = 1.0_f64;
        for n in 1..=20 {
            factorial *= f64::from(n);
            let error = log_gamma(f64::from(n) + 1.0) - factorial.ln();
            assert!(error.abs() < 1e-12, "{n}: {error}");
        }
    }

    #[test]
    fn mean_and_variance_are_lambda_on_both_sides_of_ten() {
        for lambda in [0.3, 4.0, 9.99, 10.0, 75.0, 500.0] {
            let mut rng = crate::KeyedRng::new(1, "poisson", &[]);
            let n = 100_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..n {
                let k = draw(lambda, || rng.uniform()) as f64;
                sum += k;
                squares += k * k;
            }
            let mean = sum / f64::from(n);
            let variance = squares / f64::from(n) - mean * mean;
            let error = (lambda / f64::from(n)).sqrt();
            assert!((mean - lambda).abs() < 5.0 * error, "{lambda}: {mean}");
            assert!((variance / lambda - 1.0).abs() < 0.03, "{lambda}: {variance}");
        }
        assert_eq!(draw(0.0, || unreachable!("a mean of 0 draws nothing")), 0);
    }
}
