//! Given a [`Classifier`], perturb inputs inside a budget.
//!
//! Attacks see images in `[0, 1]`, a branch and an objective; never a data set, a file or a
//! parameter gradient.

pub mod classifier;
pub mod objective;
pub mod pgd;

pub use classifier::{Classifier, TorchScript};
pub use objective::Objective;

use crate::error::Result;
use rlnet_suites::{AttackSpec, Branch};
use tch::Tensor;

/// What an attack gives back for a batch.
#[derive(Debug)]
pub struct Adversarial {
    /// `[N, 3, H, W]`, inside the ball and the box.
    pub images: Tensor,
    /// Forward passes spent on each image.
    pub forwards: u32,
    /// Backward passes spent on each image.
    pub backwards: u32,
}

/// Runs an attack on a batch through one branch.
///
/// `images` `[N, 3, H, W]` in `[0, 1]`, `labels` `[N]` int64, `indices` the images'
/// positions in the test set: random draws are keyed by (seed, attack, restart, index), so
/// no image's result depends on the batch it came in.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn run(
    spec: &AttackSpec,
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    labels: &Tensor,
    indices: &[u32],
    seed: u64,
) -> Result<Adversarial> {
    let objective = Objective::CrossEntropy(labels);
    match spec.name() {
        "fgsm" => {
            let eps = spec.size("eps");
            let settings = pgd::Settings {
                eps,
                alpha: eps,
                steps: 1,
            };
            let images = pgd::descend(model, branch, images, images, &objective, settings)?;
            Ok(Adversarial {
                images,
                forwards: 1,
                backwards: 1,
            })
        }
        "pgd" => pgd::restarts(spec, model, branch, images, labels, indices, seed),
        other => unreachable!("the catalogue of attacks has no `{other}`"),
    }
}
