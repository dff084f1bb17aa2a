//! Block coordinate descent on the mask (Rakhlin et al., 2025, arXiv 2511.11781): it starts with all ReLUs, and blocks of
//! them are taken away for good. Of several blocks drawn by lot the one is taken without which training images suffer
//! least; training goes on in between.
//!
//! The paper trains until an accuracy is back before it takes the next block. Here epochs are counted, so that searches
//! can be compared: after every epoch but the last an equal share of what is too many goes.

use super::passes::{Counted, Passes};
use super::stage::StageInput;
use super::state::StageState;
use crate::attack::Objective;
use crate::attack::pgd::{Settings, descend, uniform_start};
use crate::data::images_to_tensor;
use crate::error::Result;
use crate::nn::network::Frozen;
use crate::nn::{Network, ReluMask};
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::Branch;
use rlnet_suites::view::View;
use tch::{Kind, Tensor, no_grad_guard};

/// Blocks that are taken away after an epoch.
const BLOCKS: u64 = 16;
/// Blocks drawn by lot, of which one is taken.
const TRIALS: u64 = 8;
/// Training images on which they are judged.
const IMAGES: usize = 256;

/// Units that are ReLUs after an epoch (1-based) of so many: all of the budget after the last but one.
pub(super) fn kept_after(epoch: u32, epochs: u32, total: u64, budget: u64) -> u64 {
    let share = f64::from(epoch) / f64::from(epochs.saturating_sub(1).max(1));
    let gone = (total.saturating_sub(budget) as f64 * share.min(1.0)).round() as u64;
    total - gone
}

/// The mask after an epoch.
///
/// # Errors
/// When an image cannot be read, or libtorch refuses.
pub(super) fn descended(input: &StageInput<'_>, state: &StageState, budget: u64) -> Result<ReluMask> {
    let (spec, epoch) = (input.spec, state.header.epoch + 1);
    let total = state.network.layer_sizes().iter().sum();
    let goal = kept_after(epoch, spec.epochs, total, budget);
    let uncounted = Passes::default();
    let judge = Judge::new(input, state, state.header.passes.as_ref().unwrap_or(&uncounted))?;
    let mut mask = state.network.mask().clone();
    for block in 0..BLOCKS {
        let kept: u64 = mask.kept().iter().sum();
        let size = kept.saturating_sub(goal).div_ceil(BLOCKS - block);
        if size == 0 {
            continue;
        }
        let mut best: Option<(f64, ReluMask)> = None;
        for trial in 0..TRIALS {
            let mut rng = KeyedRng::new(spec.seed, "block", &[u64::from(epoch), block, trial]);
            let without = mask.thinned(kept - size, &mut rng);
            let loss = judge.loss(&without);
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, without));
            }
        }
        if let Some((_, without)) = best {
            mask = without;
        }
    }
    Ok(mask)
}

/// What a mask is judged by: clean training images, and the same attacked by the inner attack before a block is taken.
struct Judge<'a> {
    network: Frozen<&'a Network>,
    passes: &'a Passes,
    views: Vec<(Branch, Tensor)>,
    labels: Tensor,
}

impl<'a> Judge<'a> {
    fn new(input: &StageInput<'_>, state: &'a StageState, passes: &'a Passes) -> Result<Self> {
        let (spec, network) = (input.spec, &state.network);
        let device = network.params().device();
        let n = input.train.len().min(IMAGES);
        let part = input.train.slice(0, n)?;
        let images = images_to_tensor(&part.images, n, part.size, device);
        let labels: Vec<i64> = part.labels.iter().map(|&label| i64::from(label)).collect();
        let labels = Tensor::from_slice(&labels).to_device(device);
        let mut views = vec![(network.spec().norm.branch_of(View::Clean), images.shallow_clone())];
        if spec.is_robust() {
            let branch = network.spec().norm.branch_of(View::Adversarial);
            let settings = Settings::of(&spec.attack).in_ball();
            let key = [u64::from(state.header.epoch)];
            let start = uniform_start(&images, settings.start, spec.seed, "block", &key, &part.indices);
            let objective = Objective::CrossEntropy(labels.shallow_clone());
            let model = &network.freeze_branch(branch, None);
            let counted = Counted { model, passes };
            let attacked = descend(&counted, branch, &images, &start, &objective, settings)?;
            views.push((branch, attacked));
        }
        Ok(Self {
            network: network.freeze(),
            passes,
            views,
            labels,
        })
    }

    /// Cross entropy under a mask, mean over views and images.
    fn loss(&self, mask: &ReluMask) -> f64 {
        let _guard = no_grad_guard();
        let activations = self.network.network().activations_under(mask);
        let of = |(branch, images): &(Branch, Tensor)| {
            self.passes.forward(images.size()[0]);
            let logits = self.network.logits_under(&activations, images, *branch);
            let log_p = logits.log_softmax(1, Kind::Double);
            log_p.nll_loss(&self.labels).double_value(&[])
        };
        let sum: f64 = self.views.iter().map(of).sum();
        sum / self.views.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::kept_after;

    #[test]
    fn the_last_epoch_trains_with_the_budget() {
        let kept: Vec<u64> = (1..=5).map(|epoch| kept_after(epoch, 5, 1000, 200)).collect();
        assert_eq!(kept, [800, 600, 400, 200, 200]);
        assert_eq!(kept_after(1, 1, 1000, 200), 200);
    }
}
