//! One search of Auto-PGD from a given start.

use super::schedule::{History, Windows};
use super::sparsity::Sparsity;
use super::step;
use crate::attack::Objective;
use crate::attack::active::{ActiveRows, per_row};
use crate::attack::ball::{Ball, ascent, per_image};
use crate::attack::target::Target;
use crate::error::Result;
use rlnet_suites::attack::Norm;
use tch::{Tensor, no_grad_guard};

/// Searches balls of radii `eps` (`[N]`), one an image, from `start`: the points of highest loss of the
/// images that stand. With `leave`, an image leaves at its first adversarial; without, every image makes
/// all steps.
pub(super) fn search(
    active: &mut ActiveRows<'_>,
    objective: &Objective,
    norm: Norm,
    eps: &Tensor,
    steps: usize,
    start: &Tensor,
    leave: bool,
) -> Result<Tensor> {
    let mut objective = objective.shallow_clone();
    let replays = active.replays();
    let mut ball = Ball::each(&active.images, eps, norm).replaying(replays);
    let slope = active.slope(start, &objective)?;
    let mut state = State::new(active, start, norm, eps, slope.loss, slope.gradient);
    state.sparsity = (norm == Norm::L1).then(|| Sparsity::new(start, &active.images, steps, replays));
    let mut windows = Windows::new(steps);
    let mut logits = slope.logits;
    for made in 0..=steps {
        if leave {
            let fooled = active.fooled(&logits);
            active.write_where(&fooled, &state.points);
            let before = active.len();
            active.leave(&fooled, &mut [&mut state, &mut objective]);
            if active.len() < before {
                ball = Ball::each(&active.images, &state.eps, norm).replaying(replays);
            }
        }
        if made == steps || active.is_empty() {
            break;
        }
        if made > 0 {
            state.look_back(&active.images, &mut windows);
        }
        state.advance(&ball, made == 0);
        logits = if leave && made + 1 == steps {
            // Nobody asks for more than the verdict at the last point.
            active.logits(&state.points)?
        } else {
            let slope = active.slope(&state.points, &objective)?;
            state.observe(slope.loss, slope.gradient);
            slope.logits
        };
    }
    Ok(state.best)
}

/// Where each image's search stands, all `[N, ...]`.
struct State {
    norm: Norm,
    /// Radius, `[N]`.
    eps: Tensor,
    points: Tensor,
    previous: Tensor,
    gradient: Tensor,
    /// The point of highest loss, its gradient and loss.
    best: Tensor,
    best_gradient: Tensor,
    best_loss: Tensor,
    /// Step size, `[N]`.
    size: Tensor,
    history: History,
    sparsity: Option<Sparsity>,
}

impl State {
    fn new(
        target: &Target<'_>,
        start: &Tensor,
        norm: Norm,
        eps: &Tensor,
        loss: Tensor,
        gradient: Tensor,
    ) -> Self {
        let _guard = no_grad_guard();
        // The first step is as large as the ball (L1: its radius).
        let size = if norm == Norm::L1 { eps.copy() } else { eps * 2.0 };
        Self {
            norm,
            eps: eps.shallow_clone(),
            points: start.copy(),
            previous: start.copy(),
            best: start.copy(),
            best_gradient: gradient.copy(),
            gradient,
            size,
            history: History::new(&loss, target.replays()),
            // Whatever comes after what is no number is better.
            best_loss: loss.nan_to_num(f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY),
            sparsity: None,
        }
    }

    fn advance(&mut self, ball: &Ball, first: bool) {
        let _guard = no_grad_guard();
        let size = per_image(&self.size);
        let next = match &self.sparsity {
            Some(sparsity) => ball.project(&(&self.points + sparsity.step_along(&self.gradient, &size))),
            None => {
                let along = ascent(&self.gradient, self.norm) * size;
                step(&self.points, &self.previous, &along, ball, first)
            }
        };
        self.previous = std::mem::replace(&mut self.points, next);
    }

    fn observe(&mut self, loss: Tensor, gradient: Tensor) {
        let _guard = no_grad_guard();
        let better = loss.gt_tensor(&self.best_loss);
        let images = per_image(&better);
        self.best = self.points.where_self(&images, &self.best);
        self.best_gradient = gradient.where_self(&images, &self.best_gradient);
        self.best_loss = loss.where_self(&better, &self.best_loss);
        self.history.observe(&loss);
        self.gradient = gradient;
    }

    /// At a checkpoint: new step sizes, and back to the best point where the rule says so.
    fn look_back(&mut self, images: &Tensor, windows: &mut Windows) {
        let _guard = no_grad_guard();
        let back = match &mut self.sparsity {
            Some(sparsity) => sparsity.step(&(&self.best - images), &mut self.size, &self.eps),
            None => windows.step().map(|window| {
                let halve = self.history.check(window, &self.best_loss);
                self.size = (&self.size * 0.5).where_self(&halve, &self.size);
                halve
            }),
        };
        if let Some(back) = back {
            let back = per_image(&back);
            self.points = self.best.where_self(&back, &self.points);
            self.gradient = self.best_gradient.where_self(&back, &self.gradient);
        }
    }
}

per_row!(State: eps, points, previous, gradient, best, best_gradient, best_loss, size, history, sparsity);
