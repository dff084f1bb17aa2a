//! What is evaluated, and how.

use super::attack_cache::AttackCache;
use super::corrupted::CorruptedImages;
use super::networks::Networks;
use crate::data::Split;
use rlnet_suites::{Branch, Condition};

/// What is evaluated, and how.
pub struct EvaluationInput<'a> {
    /// The model, and the networks that attacks on it may follow.
    pub networks: &'a Networks,
    /// Test images.
    pub test: &'a Split,
    /// The conditions, in order.
    pub conditions: &'a [Condition],
    /// Branches to go through.
    pub branches: &'a [Branch],
    /// Where corrupted images come from.
    pub corrupted: &'a CorruptedImages,
    /// Images a batch; results do not depend on it.
    pub batch: usize,
    /// Seed of attack starts.
    pub seed: u64,
    /// Whether adversarial images are kept.
    pub save_images: bool,
    /// Images of the attack that are there already; no row depends on it.
    pub made: &'a AttackCache,
}
