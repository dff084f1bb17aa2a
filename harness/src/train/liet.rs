//! LIET (ICCV 2025, in the form of the FastAT Benchmark's code): a one-step attack that starts from what the network
//! itself takes for each class.
//!
//! A *pattern* is the sign of the loss's gradient at a grey image, one for each class, times eps. It is drawn anew every
//! [`EVERY`] steps of an epoch. An attack starts at the image plus or minus the pattern of its class, in which a share of
//! the values is replaced by uniform noise.
//!
//! Here the pattern is of the frozen branch that the inner attack sees, as every inner attack of the method is.

use super::loss::{Smooth, smooth_cross_entropy};
use crate::attack::Classifier;
use crate::attack::gradient::gradient;
use crate::attack::uniform;
use crate::error::Result;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::Branch;
use tch::{Kind, Tensor, no_grad_guard};

/// Steps of an epoch for which a pattern is used.
pub const EVERY: usize = 20;

/// Shares of a pattern's values that noise replaces: uniform between these, one for a batch.
const NOISE: [f64; 2] = [0.1, 0.5];

/// The largest radius whose noise lies in the ball; beyond it the noise is twice as wide.
const WIDE: f64 = 8.0 / 255.0;

/// The patterns `[classes, 3, side, side]` of a network, in units of eps: -1, 0 or 1.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn pattern(
    model: &dyn Classifier,
    branch: Branch,
    classes: i64,
    image: &Tensor,
    smoothing: &Smooth,
) -> Result<Tensor> {
    let size = image.size();
    let shape = [classes, size[1], size[2], size[3]];
    let grey = Tensor::full(shape, 0.5, (Kind::Float, image.device())).set_requires_grad(true);
    let labels = Tensor::arange(classes, (Kind::Int64, image.device()));
    let loss = smooth_cross_entropy(&model.logits(&grey, branch)?, &labels, smoothing);
    Ok(gradient(&loss, &grey, false)?.sign())
}

/// Where the attack on a batch starts. `key` is the epoch, `indices` the images' places in the training set.
pub fn start(
    images: &Tensor,
    labels: &Tensor,
    pattern: &Tensor,
    (eps, seed): (f64, u64),
    key: &[u64],
    indices: &[u32],
) -> Tensor {
    let _guard = no_grad_guard();
    // Two draws are one for the whole batch: they are keyed by its first image.
    let first = indices.first().map(|index| u64::from(*index));
    let key_of_batch: Vec<u64> = key.iter().copied().chain(first).collect();
    let mut of_batch = KeyedRng::new(seed, "liet batch", &key_of_batch);
    let share = NOISE[0] + (NOISE[1] - NOISE[0]) * of_batch.uniform();
    let side = if of_batch.uniform() < 0.5 { 1.0 } else { -1.0 };
    let reach = if eps > WIDE { 2.0 * eps } else { eps };
    let noise = uniform(images, reach, seed, "liet noise", key, indices);
    // Uniform in [-1, 1): below 2 share - 1 with the probability of the share.
    let replaced = uniform(images, 1.0, seed, "liet mask", key, indices).lt(2.0 * share - 1.0);
    let own = pattern.index_select(0, labels) * eps;
    let delta = noise.where_self(&replaced, &own);
    (images + delta * side).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn a_start_is_the_pattern_of_its_class_where_noise_does_not_replace_it() {
        let images = Tensor::full([4, 3, 8, 8], 0.5, (Kind::Float, Device::Cpu));
        let labels = Tensor::from_slice(&[0_i64, 1, 1, 0]);
        let pattern = Tensor::cat(
            &[
                Tensor::ones([1, 3, 8, 8], (Kind::Float, Device::Cpu)),
                -Tensor::ones([1, 3, 8, 8], (Kind::Float, Device::Cpu)),
            ],
            0,
        );
        let eps = 8.0 / 255.0;
        let mut sides = Vec::new();
        for epoch in 1..40 {
            let delta = start(&images, &labels, &pattern, (eps, 3), &[epoch], &[5, 6, 7, 8]) - &images;
            assert!(delta.abs().max().double_value(&[]) <= eps + 1e-6);
            let share = |row: i64, sign: f64| {
                let own = delta.get(row) - sign * eps;
                own.abs()
                    .lt(1e-6)
                    .to_kind(Kind::Double)
                    .mean(Kind::Double)
                    .double_value(&[])
            };
            // One side for the whole batch; classes have opposite patterns.
            let side = if share(0, 1.0) > share(0, -1.0) { 1.0 } else { -1.0 };
            for (row, class) in [(0, 1.0), (1, -1.0), (2, -1.0), (3, 1.0)] {
                let kept = share(row, class * side);
                // Between a half and nine tenths, less three standard errors of 192 values.
                assert!((0.39..=0.97).contains(&kept), "epoch {epoch}, row {row}: {kept}");
            }
            sides.push(side);
        }
        assert!(sides.contains(&1.0) && sides.contains(&-1.0));
    }
}
