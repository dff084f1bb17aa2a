//! The bootstrap over images (Efron, Annals of Statistics 1979), seeded: the same rows give
//! the same intervals. Images are drawn with replacement, conditions are not, and two models
//! are always drawn the same images: what they share cancels.

use crate::metrics::paired_tests::two_sided_normal;
use crate::metrics::quantile::quantile;

/// Resamples: ends of 95 % intervals then wander by about a twentieth of their width.
pub const RESAMPLES: usize = 1000;

/// Seed of every resampling, so that reports can be compared with `cmp`.
const SEED: u64 = 0x0052_4c4e_6574_2026;

/// How often each image is drawn: one row a resample.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    weights: Vec<Vec<f32>>,
}

impl Bootstrap {
    /// Draws `resamples` times from `images` images.
    pub fn new(images: usize, resamples: usize) -> Self {
        let mut state = SEED ^ (images as u64);
        let draw = |_| {
            let mut weights = vec![0.0; images];
            for _ in 0..images {
                weights[below(&mut state, images)] += 1.0;
            }
            weights
        };
        Self {
            weights: (0..resamples).map(draw).collect(),
        }
    }

    /// A statistic of every resample; `statistic` is given the images' weights, which add up
    /// to the number of images.
    pub fn each(&self, statistic: impl FnMut(&[f32]) -> f64) -> Vec<f64> {
        self.weights.iter().map(Vec::as_slice).map(statistic).collect()
    }

    /// Several statistics of every resample of `images` images; none when that is another
    /// number of images than this was made for.
    pub fn profiles<T>(&self, images: usize, profile: impl Fn(&[f32]) -> T) -> Vec<T> {
        let fits = |weights: &&Vec<f32>| weights.len() == images;
        let weights = self.weights.iter().filter(fits);
        weights.map(|weights| profile(weights)).collect()
    }

    /// The mean of `values`, one an image, in every resample.
    pub fn means(&self, values: &[f32]) -> Vec<f64> {
        self.each(|weights| weighted_mean(values, weights))
    }
}

/// Mean of values under weights that add up to their number. Eight sums side by side (one sum
/// would wait for itself at every image), each of at most 64 products in single precision,
/// then in double: exact to 1e-6.
pub fn weighted_mean(values: &[f32], weights: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut total = 0.0;
    for (values, weights) in values.chunks(64 * LANES).zip(weights.chunks(64 * LANES)) {
        let mut sums = [0.0_f32; LANES];
        let (values, rest) = values.as_chunks::<LANES>();
        let (weights, other) = weights.as_chunks::<LANES>();
        for (values, weights) in values.iter().zip(weights) {
            for lane in 0..LANES {
                sums[lane] += values[lane] * weights[lane];
            }
        }
        for (lane, (value, weight)) in rest.iter().zip(other).enumerate() {
            sums[lane] += value * weight;
        }
        total += sums.into_iter().map(f64::from).sum::<f64>();
    }
    total / values.len().max(1) as f64
}

/// Ends of the central 95 %.
pub fn interval(resampled: &[f64]) -> (f64, f64) {
    let end = |share| quantile(resampled.to_vec(), share).unwrap_or(f64::NAN);
    (end(0.025), end(0.975))
}

/// Two-sided p-value of a difference: normal, with the resamples' standard deviation as its
/// standard error (Davison and Hinkley, Bootstrap Methods and their Application, 1997, 2.2).
/// Counting resamples beyond 0 could give none below 2 / `RESAMPLES`, which Holm's adjustment
/// over a large table would turn into "not distinguishable" whatever the difference.
pub fn p_value(difference: f64, resampled: &[f64]) -> f64 {
    let n = resampled.len() as f64;
    let mean = resampled.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = resampled.iter().map(|d| (d - mean).powi(2)).sum();
    let error = (squares / (n - 1.0).max(1.0)).sqrt();
    // Sums of equal numbers leave rounding behind, not spread.
    if error > 1e-12 {
        two_sided_normal(difference / error)
    } else if difference.abs() <= 1e-12 {
        1.0
    } else {
        0.0
    }
}

/// A whole number in `0..n` by SplitMix64 (Steele et al., OOPSLA 2014) and Lemire's
/// multiplication; its bias is below n / 2^64.
fn below(state: &mut u64, n: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    ((u128::from(x) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampled_means_spread_as_theory_says() {
        // 300 of 1,000: the standard error of the mean is sqrt(0.3 * 0.7 / 1000) = 0.01449.
        let values: Vec<f32> = (0..1000).map(|i| if i % 10 < 3 { 1.0 } else { 0.0 }).collect();
        let means = Bootstrap::new(values.len(), RESAMPLES).means(&values);
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let spread = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / means.len() as f64;
        assert!((mean - 0.3).abs() < 0.002, "{mean}");
        assert!(
            (spread.sqrt() / 0.014_491 - 1.0).abs() < 0.08,
            "{}",
            spread.sqrt()
        );
        let (low, high) = interval(&means);
        let wilson = crate::metrics::estimate::wilson(0.3, 1000.0);
        assert!((low - wilson.0).abs() < 0.003 && (high - wilson.1).abs() < 0.003);
    }

    #[test]
    fn equal_rows_give_equal_resamples_and_every_image_is_drawn() {
        let (a, b) = (Bootstrap::new(50, 200), Bootstrap::new(50, 200));
        assert_eq!(a.weights, b.weights);
        for weights in &a.weights {
            assert_eq!(weights.iter().sum::<f32>(), 50.0);
        }
        for image in 0..50 {
            let drawn: f32 = a.weights.iter().map(|weights| weights[image]).sum();
            // 200 expected, standard deviation 14.
            assert!((130.0..270.0).contains(&drawn), "{image}: {drawn}");
        }
    }

    #[test]
    fn no_difference_has_p_one_and_a_sure_one_none() {
        assert_eq!(p_value(0.0, &[0.0; 99]), 1.0);
        assert_eq!(p_value(0.1, &[0.1; 99]), 0.0);
        // Half at 0, half at 2: standard deviation 1.0005; 1.96 of it is the 5 % point.
        let resampled: Vec<f64> = (0..1000).map(|i| f64::from(i % 2) * 2.0).collect();
        assert!((p_value(1.960_944, &resampled) - 0.05).abs() < 1e-5);
    }
}
