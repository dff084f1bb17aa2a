//! Projected gradient descent (Madry et al., ICLR 2018), as RLNet trains and evaluates with
//! it, and its relatives with one step, without a random start or with momentum.

use super::ball::{Ball, ascent, length, per_image};
use super::draws::uniform;
use super::gradient::gradient;
use super::target::Target;
use super::{Classifier, Objective};
use crate::error::Result;
use rlnet_suites::attack::Norm;
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
}

impl Settings {
    /// The settings of a `pgd` specification.
    pub fn of(spec: &AttackSpec) -> Self {
        Self {
            norm: spec.norm(),
            eps: spec.size("eps"),
            alpha: spec.size("alpha"),
            steps: spec.count("steps"),
        }
    }

    /// One step from points `[N, 3, H, W]` along the loss's gradient, projected.
    pub fn step(&self, points: &Tensor, gradient: &Tensor, ball: &Ball) -> Tensor {
        let _guard = no_grad_guard();
        ball.project(&(points + ascent(gradient, self.norm) * self.alpha))
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
        Norm::Linf => target.uniform(settings.eps, "pgd", key),
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
pub(super) fn restarts(spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
    let settings = Settings::of(spec);
    let restarts = spec.count("restarts");
    let first = spec.word("early_stop") == "true";
    let zero = spec.word("start") == "zero" || spec.name() == "bim";
    let kept = target.images.copy();
    let mut rows = Tensor::arange(target.len() as i64, (Kind::Int64, target.images.device()));
    for restart in 0..restarts as u64 {
        let active = target.take(&rows);
        if active.is_empty() {
            break;
        }
        let start = if zero && restart == 0 {
            active.images.shallow_clone()
        } else {
            start_in_ball(&active, &settings, &[restart])
        };
        let objective = objective.select(&rows);
        let points = if first {
            until_fooled(&active, start, &objective, &settings)?
        } else {
            to_the_end(&active, start, &objective, &settings)?
        };
        let _ = kept.shallow_clone().index_copy_(0, &rows, &points);
        if restart + 1 < restarts as u64 {
            let fooled = active.fooled(&active.logits(&points)?);
            rows = rows.index_select(0, &fooled.logical_not().nonzero().squeeze_dim(1));
        }
    }
    Ok(kept)
}

fn to_the_end(
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
    objective: &Objective,
    settings: &Settings,
) -> Result<Tensor> {
    let kept = start.copy();
    let mut rows = Tensor::arange(target.len() as i64, (Kind::Int64, start.device()));
    let mut points = start;
    for _ in 0..settings.steps {
        let active = target.take(&rows);
        if active.is_empty() {
            break;
        }
        let slope = active.slope(&points, &objective.select(&rows))?;
        let going = active
            .fooled(&slope.logits)
            .logical_not()
            .nonzero()
            .squeeze_dim(1);
        let ball = Ball::new(&active.images, settings.eps, settings.norm);
        let all = settings.step(&points, &slope.gradient, &ball);
        rows = rows.index_select(0, &going);
        points = all.index_select(0, &going);
        let _ = kept.shallow_clone().index_copy_(0, &rows, &points);
    }
    Ok(kept)
}

/// One step of eps from the image (Goodfellow et al., ICLR 2015), from a random sign step of
/// alpha with the rest of eps (R-FGSM, Tramer et al., ICLR 2018), or from a uniform start with
/// a step of alpha beyond eps (Wong et al., ICLR 2020).
pub(super) fn one_step(spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
    let (norm, eps, alpha) = (spec.norm(), spec.size("eps"), spec.size("alpha"));
    let whole = Settings {
        norm,
        eps,
        alpha: eps,
        steps: 1,
    };
    let (start, settings) = match spec.name() {
        "rfgsm" => {
            let signs = target.uniform(1.0, "rfgsm", &[]).sign();
            let start = (&target.images + signs * alpha).clamp(0.0, 1.0);
            let alpha = (eps - alpha).max(0.0);
            (start, Settings { alpha, ..whole })
        }
        "ffgsm" => {
            let start = start_in_ball(target, &whole, &[0]);
            (start, Settings { alpha, ..whole })
        }
        _ => (target.images.shallow_clone(), whole),
    };
    to_the_end(target, start, objective, &settings)
}

/// MI-FGSM (Dong et al., CVPR 2018): `g <- mu g + grad / mean|grad|`, a sign step along `g`.
pub(super) fn momentum(spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
    let settings = Settings::of(spec);
    let decay = spec.number("momentum");
    let mut points = target.images.shallow_clone();
    let mut accumulated = points.zeros_like();
    let ball = Ball::new(&target.images, settings.eps, settings.norm);
    for _ in 0..settings.steps {
        let gradient = target.slope(&points, objective)?.gradient;
        let size = gradient
            .abs()
            .mean_dim([1_i64, 2, 3].as_slice(), true, Kind::Float)
            .clamp_min(1e-30);
        accumulated = accumulated * decay + gradient / size;
        points = settings.step(&points, &accumulated, &ball);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::run;
    use crate::attack::toy::{Linear, images, target};
    use tch::Device;

    fn list(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.to_kind(Kind::Double).reshape([-1]);
        Vec::try_from(flat).expect("values")
    }

    /// Two classes and a linear model: the sign of the gradient is that of the weights' difference,
    /// everywhere, so each step is known.
    #[test]
    fn one_step_attacks_by_hand() {
        let model = Linear::random(2, 12);
        let (images, labels) = images(&model, 5, 2, 2);
        let target = target(&model, &images, &labels, 0, 5);
        let upwards = list(&(model.weights.get(1) - model.weights.get(0)).sign());
        let labels: Vec<i64> = Vec::try_from(&labels).expect("labels");
        let sign = |i: usize| {
            if labels[i / 12] == 0 {
                upwards[i % 12]
            } else {
                -upwards[i % 12]
            }
        };
        let clean = list(&images);
        let steps = 1.0 / 255.0;

        let signs = list(&target.uniform(1.0, "rfgsm", &[]).sign());
        let made = run(
            &"rfgsm:eps=8/255,alpha=3/255".parse().expect("rfgsm"),
            &target,
            None,
        );
        for (i, made) in list(&made.expect("rfgsm")).into_iter().enumerate() {
            let random = (clean[i] + 3.0 * steps * signs[i]).clamp(0.0, 1.0);
            let expected = (random + 5.0 * steps * sign(i)).clamp(0.0, 1.0);
            assert!(
                (made - expected).abs() < 1e-6,
                "rfgsm, value {i}: {made}, {expected}"
            );
        }

        let whole = Settings {
            norm: Norm::Linf,
            eps: 8.0 * steps,
            alpha: 0.0,
            steps: 1,
        };
        let start = list(&start_in_ball(&target, &whole, &[0]));
        let made = run(
            &"ffgsm:eps=8/255,alpha=10/255".parse().expect("ffgsm"),
            &target,
            None,
        );
        for (i, made) in list(&made.expect("ffgsm")).into_iter().enumerate() {
            let stepped = start[i] + 10.0 * steps * sign(i);
            let inside = stepped.clamp(clean[i] - 8.0 * steps, clean[i] + 8.0 * steps);
            let expected = inside.clamp(0.0, 1.0);
            assert!(
                (made - expected).abs() < 1e-6,
                "ffgsm, value {i}: {made}, {expected}"
            );
        }
    }

    /// `logits = (a x^2, 0)`: a gradient that shrinks and turns with the point, so that momentum
    /// goes on where the gradient would turn back.
    struct Bowl;

    const BOWL: [f64; 3] = [40.0, -25.0, 90.0];

    impl Classifier for Bowl {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            let flat = images.flatten(1, -1) - 0.5;
            let weights = Tensor::from_slice(&BOWL.map(|a| a as f32));
            let first = (flat.square() * weights).sum_dim_intlist(1, true, Kind::Float);
            Ok(Tensor::cat(&[&first, &first.zeros_like()], 1))
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    #[test]
    fn momentum_by_hand() {
        let clean = [0.52, 0.47, 0.51];
        let images = Tensor::from_slice(&clean.map(|x| x as f32)).reshape([1, 3, 1, 1]);
        let labels = Tensor::from_slice(&[0_i64]);
        let target = Target::new(&Bowl, Branch::Single, &images, &labels, &[0], 0);
        let made = run(
            &"mifgsm:eps=16/255,alpha=3/255,steps=6,momentum=0.9"
                .parse()
                .expect("mifgsm"),
            &target,
            None,
        );
        let (mut x, mut g) = (clean, [0.0; 3]);
        let (mut turned, alpha, eps) = (false, 3.0 / 255.0, 16.0 / 255.0);
        for _ in 0..6 {
            let first: f64 = (0..3).map(|i| BOWL[i] * (x[i] - 0.5_f64).powi(2)).sum();
            // Cross entropy of class 0 of (z, 0) has the slope -sigmoid(-z).
            let slope = -1.0 / (1.0 + first.exp());
            let gradient: Vec<f64> = (0..3).map(|i| slope * 2.0 * BOWL[i] * (x[i] - 0.5)).collect();
            let size = gradient.iter().map(|g| g.abs()).sum::<f64>() / 3.0;
            for i in 0..3 {
                g[i] = 0.9 * g[i] + gradient[i] / size;
                turned |= g[i] * gradient[i] < 0.0;
                x[i] = (x[i] + alpha * g[i].signum()).clamp(clean[i] - eps, clean[i] + eps);
            }
        }
        assert!(turned, "the momentum never went against the gradient");
        for (made, expected) in list(&made.expect("mifgsm")).into_iter().zip(x) {
            assert!((made - expected).abs() < 1e-5, "{made}, {expected}");
        }
    }
}
