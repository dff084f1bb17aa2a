//! How much each ReLU layer matters to a trained network, measured.
//!
//! The sensitivity of a layer is what the predictions lose when all its ReLUs are dropped at
//! once: the mean over images of `KL(p || p without the layer)`, in nats. A layer's share of a
//! budget is proportional to it, as in SENet (Kundu et al., ICLR 2023), which takes its
//! sensitivities from a sparsely trained proxy instead; judging a layer by leaving it out is
//! DeepReDuce's (Jha et al., ICML 2021) and, for filters, Li et al.'s (ICLR 2017).

use crate::data::{DataError, Split, images_to_tensor};
use crate::nn::Network;
use rlnet_suites::view::View;
use tch::{Kind, no_grad_guard};

/// Held-out images measured on, from the front.
pub const IMAGES: usize = 512;
const BATCH: usize = 128;

/// The passes that [`sensitivities`] makes with so many held-out images and ReLU layers: each image
/// once with all ReLUs, and once without each layer's.
pub fn passes(images: usize, layers: usize) -> i64 {
    (images.min(IMAGES) * (1 + layers)) as i64
}

/// The sensitivity of every ReLU layer, in execution order: eval mode, clean branch. Kept
/// ReLUs of the present mask are what is dropped; the network is left as it is.
///
/// # Errors
/// When an image is a file that cannot be read.
pub fn sensitivities(network: &Network, split: &Split) -> Result<Vec<f64>, DataError> {
    let _guard = no_grad_guard();
    let frozen = network.freeze();
    let branch = network.spec().norm.branch_of(View::Clean);
    let images = split.take(IMAGES);
    let mut sums = vec![0.0; network.layers().len()];
    for from in (0..images.len()).step_by(BATCH) {
        let n = BATCH.min(images.len() - from);
        let part = images.slice(from, n)?;
        let xs = images_to_tensor(&part.images, n, images.size, frozen.device());
        let log_p = frozen.logits(&xs, branch).log_softmax(1, Kind::Double);
        for (layer, sum) in sums.iter_mut().enumerate() {
            let activations = network.activations_under(&network.mask().without_layer(layer));
            let without = frozen.logits_under(&activations, &xs, branch);
            let log_q = without.log_softmax(1, Kind::Double);
            let divergence = (log_p.exp() * (&log_p - log_q)).sum(Kind::Double);
            // Rounding can leave a divergence of zero below it.
            *sum += divergence.double_value(&[]).max(0.0);
        }
    }
    Ok(sums.iter().map(|sum| sum / images.len().max(1) as f64).collect())
}
