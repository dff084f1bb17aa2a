//! Projected gradient descent in the Linf ball (Madry et al., ICLR 2018), as RLNet trains and
//! evaluates with it: sign steps, projection onto ball and box, last iterate.

use super::{Adversarial, Classifier, Objective};
use crate::error::Result;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::{AttackSpec, Branch};
use tch::{Kind, Tensor, no_grad_guard};

/// Radius, step size and number of steps.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Radius of the ball, in `[0, 1]` pixel units.
    pub eps: f64,
    /// Size of a sign step.
    pub alpha: f64,
    /// Number of steps.
    pub steps: usize,
}

impl Settings {
    /// The settings of a `pgd` specification.
    pub fn of(spec: &AttackSpec) -> Self {
        Self {
            eps: spec.size("eps"),
            alpha: spec.size("alpha"),
            steps: spec.count("steps"),
        }
    }
}

/// `x <- clip01(project(x + alpha * sign(gradient)))`, `steps` times, from `start`.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn descend(
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    start: &Tensor,
    objective: &Objective<'_>,
    settings: Settings,
) -> Result<Tensor> {
    let (lowest, highest) = {
        let _guard = no_grad_guard();
        let lowest = (images - settings.eps).clamp_min(0.0);
        let highest = (images + settings.eps).clamp_max(1.0);
        (lowest, highest)
    };
    let mut xs = start.detach();
    for _ in 0..settings.steps {
        let variable = xs.detach().set_requires_grad(true);
        let logits = model.logits(&variable, branch)?;
        // A sum, not a mean: each image's gradient is its own whatever the batch.
        let loss = objective.per_image(&logits).sum(Kind::Float);
        let gradient = Tensor::f_run_backward(&[&loss], &[&variable], false, false)?.remove(0);
        let _guard = no_grad_guard();
        let stepped = variable.detach() + gradient.sign() * settings.alpha;
        // Ball and box at once: both are boxes around the same image.
        xs = stepped.maximum(&lowest).minimum(&highest);
    }
    Ok(xs)
}

/// A start uniform in the ball around each image and clipped to the box, keyed by
/// `(seed, purpose, key..., image)`.
pub fn uniform_start(
    images: &Tensor,
    eps: f64,
    seed: u64,
    purpose: &str,
    key: &[u64],
    indices: &[u32],
) -> Tensor {
    let _guard = no_grad_guard();
    let per_image = images.numel() / indices.len().max(1);
    let mut noise = Vec::with_capacity(images.numel());
    let mut full_key = key.to_vec();
    for &index in indices {
        full_key.truncate(key.len());
        full_key.push(u64::from(index));
        let mut rng = KeyedRng::new(seed, purpose, &full_key);
        // Two 32-bit draws a word: 24 bits are all an f32 in [-eps, eps] can hold.
        for _ in 0..per_image.div_ceil(2) {
            let word = rng.next_u64();
            for half in [word >> 32, word & 0xffff_ffff] {
                let unit = half as f64 / (1_u64 << 32) as f64;
                noise.push((eps * (2.0 * unit - 1.0)) as f32);
            }
        }
        noise.truncate(noise.len() - per_image % 2);
    }
    let noise = Tensor::from_slice(&noise)
        .reshape(images.size())
        .to_device(images.device());
    (images + noise).clamp(0.0, 1.0)
}

/// PGD at evaluation: every restart runs on every image; an image keeps the first iterate
/// that fools the model, else the last one.
pub(super) fn restarts(
    spec: &AttackSpec,
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    labels: &Tensor,
    indices: &[u32],
    seed: u64,
) -> Result<Adversarial> {
    let settings = Settings::of(spec);
    let restarts = spec.count("restarts");
    let objective = Objective::CrossEntropy(labels);
    let mut kept: Option<(Tensor, Tensor)> = None;
    for restart in 0..restarts {
        let start = match spec.word("start") {
            "zero" => images.shallow_clone(),
            _ => uniform_start(images, settings.eps, seed, "pgd", &[restart as u64], indices),
        };
        let xs = descend(model, branch, images, &start, &objective, settings)?;
        if restarts == 1 {
            kept = Some((xs, Tensor::zeros([0], (Kind::Bool, images.device()))));
            break;
        }
        let _guard = no_grad_guard();
        let fooled = model
            .logits(&xs, branch)?
            .argmax(1, false)
            .not_equal_tensor(labels);
        kept = Some(match kept {
            None => (xs, fooled),
            Some((best, already)) => {
                let keep_old = already.reshape([-1, 1, 1, 1]);
                (best.where_self(&keep_old, &xs), already.logical_or(&fooled))
            }
        });
    }
    let images = kept.map_or_else(|| images.shallow_clone(), |(xs, _)| xs);
    let steps = (settings.steps * restarts) as u32;
    Ok(Adversarial {
        images,
        forwards: steps + if restarts > 1 { restarts as u32 } else { 0 },
        backwards: steps,
    })
}
