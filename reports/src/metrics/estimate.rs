//! Shares with their 95 % intervals.
//!
//! Images are drawn at random, conditions are chosen: so one condition's accuracy has
//! Wilson's interval (Wilson, JASA 1927), and a mean over conditions, in which every image
//! takes part many times, has Wilson's interval for the *effective* number of images
//! (Korn and Graubard, Survey Methodology 1998, with images as the clusters).

use serde::Serialize;
use std::fmt;

/// Two-sided 95 % point of the normal distribution.
pub const Z95: f64 = 1.959_963_984_540_054;

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Wilson's, from counts of independent images.
    Wilson,
    /// Wilson's for the effective number of images, images being clusters of answers.
    Clustered,
    /// Over trainings and images ([`crate::metrics::trainings`]).
    Trainings,
}

/// A share, with the counts it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Right answers.
    pub right: u64,
    /// Answers.
    pub answers: u64,
    /// Distinct images.
    pub images: u64,
    /// The share, in `[0, 1]`.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// How the interval was made.
    pub interval: Interval,
}

/// Why a number is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// Cells that it needs are not finished; which ones.
    Unfinished(String),
    /// Any other reason.
    Because(String),
}

impl Unknown {
    /// A reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished(cells) => write!(f, "unfinished: {cells}"),
            Self::Because(reason) => f.write_str(reason),
        }
    }
}

/// A number, or why it is not there.
pub type Known<T> = Result<T, Unknown>;

impl Estimate {
    /// A share of independent images.
    pub fn of_images(right: u64, images: u64) -> Self {
        let value = if images == 0 {
            0.0
        } else {
            right as f64 / images as f64
        };
        let (low, high) = wilson(value, images as f64);
        Self {
            right,
            answers: images,
            images,
            value,
            low,
            high,
            interval: Interval::Wilson,
        }
    }

    /// A mean over images of each image's own share of right answers, `per_image`.
    pub fn of_clusters(per_image: &[f64], right: u64, answers: u64) -> Self {
        let n = per_image.len() as f64;
        let value = if per_image.is_empty() {
            0.0
        } else {
            per_image.iter().sum::<f64>() / n
        };
        let (low, high) = wilson(value, effective_images(per_image, value, answers));
        Self {
            right,
            answers,
            images: per_image.len() as u64,
            value,
            low,
            high,
            interval: Interval::Clustered,
        }
    }

    /// The share of what is wrong.
    pub fn error(&self) -> Self {
        Self {
            right: self.answers - self.right.min(self.answers),
            value: 1.0 - self.value,
            low: 1.0 - self.high,
            high: 1.0 - self.low,
            ..self.clone()
        }
    }
}

/// The number of independent images that would give a mean this precise. Never fewer than
/// the images there are (a share within an image varies no more than a yes or no would) and
/// never more than the answers.
fn effective_images(per_image: &[f64], mean: f64, answers: u64) -> f64 {
    let n = per_image.len() as f64;
    if per_image.len() < 2 {
        return n;
    }
    let squares: f64 = per_image.iter().map(|share| (share - mean).powi(2)).sum();
    let variance_of_mean = squares / (n - 1.0) / n;
    let spread = mean * (1.0 - mean);
    let effective = if variance_of_mean > 0.0 {
        spread / variance_of_mean
    } else {
        f64::INFINITY
    };
    effective.clamp(n, (answers as f64).max(n))
}

/// Wilson's score interval.
pub fn wilson(p: f64, n: f64) -> (f64, f64) {
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    let z2 = Z95 * Z95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At 0 and 1 the formula's end is exact on paper and off by an ulp in floating point.
    let low = if p <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if p >= 1.0 { 1.0 } else { (centre + half).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() < tolerance, "{a} is not {b}");
    }

    #[test]
    fn wilson_gives_the_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263, 15/148,
        // 0/20 and 1/29.
        for (right, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let estimate = Estimate::of_images(right, n);
            close(estimate.low, low, 5e-5);
            close(estimate.high, high, 5e-5);
        }
        assert_eq!(Estimate::of_images(7, 7).high, 1.0);
    }

    #[test]
    fn clusters_that_agree_within_themselves_count_as_one_image_each() {
        // Every image is right everywhere or nowhere: 30 of 100 images, 15 answers each.
        let per_image: Vec<f64> = (0..100).map(|i| if i < 30 { 1.0 } else { 0.0 }).collect();
        let clustered = Estimate::of_clusters(&per_image, 450, 1500);
        let images = Estimate::of_images(30, 100);
        close(clustered.low, images.low, 2e-3);
        close(clustered.high, images.high, 2e-3);
        // The pooled interval would pretend to 1500 images.
        let pooled = Estimate::of_images(450, 1500);
        assert!(clustered.high - clustered.low > 3.0 * (pooled.high - pooled.low));
    }

    #[test]
    fn clusters_without_spread_are_no_more_precise_than_their_answers() {
        let clustered = Estimate::of_clusters(&[0.5; 10], 20, 40);
        let pooled = Estimate::of_images(20, 40);
        close(clustered.low, pooled.low, 1e-12);
        let perfect = Estimate::of_clusters(&[1.0; 10], 40, 40);
        assert!(perfect.low < 1.0 && perfect.high == 1.0);
    }
}
