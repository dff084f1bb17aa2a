//! Two models on the same images: McNemar's exact test for one condition, and a paired
//! normal test for a mean over conditions. Images are the pairs.

use crate::metrics::bits::Answers;
use crate::metrics::estimate::Z95;
use serde::Serialize;
use statrs::function::erf::{erfc, erfc_inv};
use std::collections::BTreeMap;

/// A difference between two models, in shares, with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// This model's share minus the baseline's.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Images that both answered.
    pub images: u64,
    /// How it was tested.
    pub test: String,
}

/// McNemar's exact test (McNemar, Psychometrika 1947; exact form: Dixon and Mood 1946):
/// of the images on which the two disagree, is each right equally often?
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Only this model is right.
    pub only_this: u64,
    /// Only the other is right.
    pub only_other: u64,
    /// Images that both answered.
    pub images: u64,
    /// Two-sided exact p-value.
    pub p: f64,
}

impl McNemar {
    /// Counts and tests.
    pub fn of(this: &Answers, other: &Answers) -> Self {
        let (only_this, only_other, images) = this.against(other);
        Self {
            only_this,
            only_other,
            images,
            p: sign_test(only_this, only_other),
        }
    }

    /// The difference in accuracy, with the adjusted Wald interval for paired shares
    /// (Bonett and Price, British Journal of Mathematical and Statistical Psychology 2012).
    pub fn difference(&self) -> Difference {
        let n = self.images as f64 + 2.0;
        let this = (self.only_this as f64 + 1.0) / n;
        let other = (self.only_other as f64 + 1.0) / n;
        let half = Z95 * ((this + other - (this - other).powi(2)) / n).sqrt();
        let centre = this - other;
        let value = (self.only_this as f64 - self.only_other as f64) / (self.images.max(1) as f64);
        Difference {
            value,
            low: (centre - half).max(-1.0),
            high: (centre + half).min(1.0),
            p: self.p,
            images: self.images,
            test: format!(
                "McNemar's exact test: only this model right on {}, only the baseline on {}, of {} images",
                self.only_this, self.only_other, self.images
            ),
        }
    }
}

/// The two-sided sign test: twice the binomial tail with probability one half, at most 1.
pub fn sign_test(a: u64, b: u64) -> f64 {
    let n = a + b;
    // ln(n choose k) by its recurrence; the terms are added from the smallest.
    let mut ln_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = ln_term.exp();
    for k in 1..=a.min(b) {
        ln_term += ((n - k + 1) as f64).ln() - (k as f64).ln();
        tail += ln_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// Paired difference of two means of shares, normal approximation over images.
pub fn paired_means(this: &BTreeMap<u32, f64>, other: &BTreeMap<u32, f64>) -> Option<Difference> {
    let steps: Vec<f64> = this
        .iter()
        .filter_map(|(image, share)| Some(share - other.get(image)?))
        .collect();
    if steps.len() < 2 {
        return None;
    }
    let n = steps.len() as f64;
    let mean = steps.iter().sum::<f64>() / n;
    let variance = steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    let p = match (error > 0.0, mean == 0.0) {
        (true, _) => two_sided_normal(mean / error),
        (false, true) => 1.0,
        (false, false) => 0.0,
    };
    Some(Difference {
        value: mean,
        low: (mean - Z95 * error).max(-1.0),
        high: (mean + Z95 * error).min(1.0),
        p,
        images: steps.len() as u64,
        test: format!("paired z test of the images' own means, {} images", steps.len()),
    })
}

/// Two-sided tail of the normal distribution.
pub(crate) fn two_sided_normal(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// A quantile of the standard normal distribution.
pub(crate) fn normal_quantile(at: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * at)
}

/// Holm's adjustment (Scandinavian Journal of Statistics 1979) of a family of p-values.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut highest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        highest = highest.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = highest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_is_the_binomial_tail() {
        // By hand: 2 (1 + 10) / 2^10, 2 / 2^5, 2 (1 + 8 + 28) / 2^8; equal counts give 1.
        for (a, b, p) in [
            (1, 9, 22.0 / 1024.0),
            (5, 0, 2.0 / 32.0),
            (6, 2, 74.0 / 256.0),
            (4, 4, 1.0),
            (0, 0, 1.0),
        ] {
            assert!((sign_test(a, b) - p).abs() < 1e-12, "{a} {b}");
            assert_eq!(sign_test(a, b), sign_test(b, a));
        }
        // Far out in the tail nothing overflows or turns into NaN.
        assert!(sign_test(9000, 100) < 1e-300);
    }

    #[test]
    fn only_images_that_both_answered_are_paired() {
        let this = Answers::from_iter([(0, true), (1, true), (2, false), (3, true)]);
        let other = Answers::from_iter([(1, false), (2, true), (3, true), (4, true)]);
        let test = McNemar::of(&this, &other);
        assert_eq!((test.only_this, test.only_other, test.images), (1, 1, 3));
        assert_eq!((test.p, test.difference().value), (1.0, 0.0));
    }

    #[test]
    fn the_normal_tail_and_holm_give_known_values() {
        assert!((two_sided_normal(Z95) - 0.05).abs() < 1e-6);
        assert!((two_sided_normal(0.0) - 1.0).abs() < 1e-6);
        assert_eq!(holm(&[0.01, 0.04, 0.03]), vec![0.03, 0.06, 0.06]);
    }

    #[test]
    fn a_constant_difference_is_certain_and_no_difference_is_none() {
        let this = BTreeMap::from([(0, 0.5), (1, 0.75)]);
        let other = BTreeMap::from([(0, 0.25), (1, 0.5)]);
        assert_eq!(paired_means(&this, &other).expect("pairs").p, 0.0);
        assert_eq!(paired_means(&this, &this).expect("pairs").p, 1.0);
        assert!(paired_means(&this, &BTreeMap::new()).is_none());
    }
}
