//! Projected gradient descent (Madry et al., ICLR 2018), as RLNet trains and evaluates with
//! it, and BIM, which starts at the image.

use super::active::ActiveRows;
use super::ball::{Ball, ascent, length, per_image};
use super::draws::uniform;
use super::gradient::gradient;
use super::target::Target;
use super::{Attack, Classifier, Objective};
use crate::error::Result;
use rlnet_suites::attack::fgsm::Nfgsm;
use rlnet_suites::attack::pgd::{Bim, Pgd};
use rlnet_suites::attack::{Norm, Start};
use rlnet_suites::{AttackSpec, Branch};
use tch::{Kind, Tensor, no_grad_guard};

/// Ball, step size and number of steps.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Norm of the ball and of a step.
    pub norm: Norm,
    /// Radius of the ball, images in `[0, 1]`.
    pub eps: f64,
    /// Size of a step.
    pub alpha: f64,
    /// Number of steps.
    pub steps: usize,
    /// Radius of the ball that a uniform start is drawn from.
    pub start: f64,
    /// Whether steps are projected to the ball, or to the box `[0, 1]` only.
    pub projected: bool,
}

impl Settings {
    /// Steps in a ball, from a start in it.
    pub fn new(norm: Norm, eps: f64, alpha: f64, steps: usize) -> Self {
        Self {
            norm,
            eps,
            alpha,
            steps,
            start: eps,
            projected: true,
        }
    }

    /// Those of an attack that training can use; one without a number of steps makes one.
    pub fn of(spec: &AttackSpec) -> Self {
        let eps = spec.eps().unwrap_or_default();
        let alpha = spec.step_size().unwrap_or_default();
        let plain = Self::new(spec.norm(), eps, alpha, spec.steps().unwrap_or(1));
        spec.read::<Nfgsm>()
            .map_or(plain, |own| Self::from_noise(own.eps, own.alpha, own.noise))
    }

    /// N-FGSM's step in training.
    pub(super) fn from_noise(eps: f64, alpha: f64, noise: f64) -> Self {
        Self {
            start: noise * eps,
            projected: false,
            ..Self::new(Norm::Linf, eps, alpha, 1)
        }
    }

    /// The same within the ball: what an attack is where it judges a model.
    pub fn in_ball(self) -> Self {
        Self {
            start: self.start.min(self.eps),
            projected: true,
            ..self
        }
    }

    /// One step from points `[N, 3, H, W]` along the loss's gradient, projected.
    pub fn step(&self, points: &Tensor, gradient: &Tensor, ball: &Ball) -> Tensor {
        let _guard = no_grad_guard();
        let moved = points + ascent(gradient, self.norm) * self.alpha;
        match self.projected {
            true => ball.project(&moved),
            false => moved.clamp(0.0, 1.0),
        }
    }
}

/// `x <- project(x + alpha * direction(gradient))`, `steps` times, from `start`: the inner
/// attack of training, of a whole batch at once.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn descend(
    model: &dyn Classifier,
    branch: Branch,
    images: &Tensor,
    start: &Tensor,
    objective: &Objective,
    settings: Settings,
) -> Result<Tensor> {
    let ball = Ball::new(images, settings.eps, settings.norm);
    let mut points = start.detach();
    for _ in 0..settings.steps {
        let variable = points.detach().set_requires_grad(true);
        let logits = model.logits(&variable, branch)?;
        // A sum, not a mean: each image's gradient is its own whatever the batch.
        let loss = objective.per_image(&logits).sum(Kind::Float);
        let gradient = gradient(&loss, &variable, false)?;
        points = settings.step(&variable.detach(), &gradient, &ball);
    }
    Ok(points)
}

/// A start uniform in the Linf ball around each image and clipped to the box, keyed by
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
    (images + uniform(images, eps, seed, purpose, key, indices)).clamp(0.0, 1.0)
}

/// A start drawn uniformly from the ball of any norm, clipped to the box.
///
/// L2: a normal direction, its length `eps u^(1/d)` with `u` uniform. L1: exponential sizes
/// with random signs, scaled the same way (both exact; Calafiore et al. 1998).
pub(super) fn start_in_ball(target: &Target<'_>, settings: &Settings, key: &[u64]) -> Tensor {
    let _guard = no_grad_guard();
    let delta = match settings.norm {
        Norm::Linf => target.uniform(settings.start, "pgd", key),
        norm => {
            let direction = match norm {
                Norm::L1 => {
                    let drawn = target.uniform(1.0, "pgd", key);
                    // 1 - |u| is uniform in (0, 1]: its logarithm is never infinite.
                    (-drawn.abs()).log1p() * drawn.sign()
                }
                _ => target.normal("pgd", key),
            };
            let values = target.images.numel() / target.len().max(1);
            let share: Vec<f32> = (0..target.len())
                .map(|row| {
                    let unit = target.rng("pgd radius", key, row).uniform();
                    unit.powf(1.0 / values as f64) as f32
                })
                .collect();
            let share = Tensor::from_slice(&share).to_device(direction.device());
            let scale = share * settings.eps / length(&direction, norm).clamp_min(1e-12);
            direction * per_image(&scale)
        }
    };
    (&target.images + delta).clamp(0.0, 1.0)
}

/// PGD at evaluation. An image that a restart fooled takes no part in the next ones; with
/// `early_stop=true` it leaves at the first iterate that fools.
fn restarts(attack: &Pgd, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
    let settings = Settings::new(attack.norm, attack.eps, attack.alpha, attack.steps);
    let restarts = attack.restarts;
    let zero = attack.start == Start::Zero;
    let mut active = ActiveRows::all(target);
    for restart in 0..restarts as u64 {
        if active.is_empty() {
            break;
        }
        let start = if zero && restart == 0 {
            active.images.shallow_clone()
        } else {
            start_in_ball(&active, &settings, &[restart])
        };
        let objective = objective.select(active.rows());
        let points = if attack.early_stop {
            until_fooled(&active, start, objective, &settings)?
        } else {
            to_the_end(&active, start, &objective, &settings)?
        };
        active.write(&points);
        if restart + 1 < restarts as u64 {
            active.leave(&active.verdict(&points)?, &mut []);
        }
    }
    Ok(active.into_points())
}

pub(super) fn to_the_end(
    target: &Target<'_>,
    start: Tensor,
    objective: &Objective,
    settings: &Settings,
) -> Result<Tensor> {
    let ball = Ball::new(&target.images, settings.eps, settings.norm);
    let mut points = start;
    for _ in 0..settings.steps {
        let slope = target.slope(&points, objective)?;
        points = settings.step(&points, &slope.gradient, &ball);
    }
    Ok(points)
}

/// Each image stops at the first iterate that fools the model: its gradient pass shows it.
fn until_fooled(
    target: &Target<'_>,
    start: Tensor,
    mut objective: Objective,
    settings: &Settings,
) -> Result<Tensor> {
    let mut active = ActiveRows::all(target);
    let mut points = start;
    for _ in 0..settings.steps {
        if active.is_empty() {
            break;
        }
        let mut slope = active.slope(&points, &objective)?;
        let fooled = active.fooled(&slope.logits);
        active.write_where(&fooled, &points);
        active.leave(&fooled, &mut [&mut points, &mut slope.gradient, &mut objective]);
        let ball = Ball::new(&active.images, settings.eps, settings.norm);
        points = settings.step(&points, &slope.gradient, &ball);
    }
    active.write(&points);
    Ok(active.into_points())
}

impl Attack for Pgd {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        restarts(self, target, objective)
    }
}

impl Attack for Bim {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let from_the_image = Pgd {
            norm: self.norm,
            eps: self.eps,
            alpha: self.alpha,
            steps: self.steps,
            restarts: 1,
            start: Start::Zero,
            early_stop: false,
        };
        restarts(&from_the_image, target, objective)
    }
}
