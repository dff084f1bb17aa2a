//! One search of Auto-PGD from a given start.

use super::schedule::{History, Windows};
use super::sparsity::Sparsity;
use super::{steepest, step};
use crate::attack::Objective;
use crate::attack::ball::{Ball, per_image};
use crate::attack::target::Target;
use crate::error::Result;
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// What a search found.
pub(in crate::attack) struct Found {
    /// Which images it fooled, `[N]` bool.
    pub(in crate::attack) fooled: Tensor,
    /// The first adversarial of each of these, `[N, 3, H, W]`; the start of the others.
    pub(in crate::attack) adversarial: Tensor,
    /// The points of highest loss, `[N, 3, H, W]`; only of a search that nobody leaves.
    pub(super) best: Tensor,
}

/// Searches balls of radii `eps` (`[N]`), one an image, from `start`. With `leave`, an image
/// leaves at its first adversarial; without, every image makes all steps and only `best`
/// counts.
pub(super) fn search(
    target: &Target<'_>,
    objective: &Objective,
    norm: Norm,
    eps: &Tensor,
    steps: usize,
    start: &Tensor,
    leave: bool,
) -> Result<Found> {
    let adversarial = start.copy();
    let mut rows = Tensor::arange(target.len() as i64, (Kind::Int64, start.device()));
    let fooled = rows.zeros_like().to_kind(Kind::Bool);
    let all = rows.copy();
    let (mut active, mut objective) = (target.take(&all), objective.select(&all));
    let mut ball = Ball::each(&active.images, eps, norm);
    let slope = active.slope(start, &objective)?;
    let mut state = State::new(&active, start, norm, eps, slope.loss, slope.gradient);
    state.sparsity = (norm == Norm::L1).then(|| Sparsity::new(start, &active.images, steps));
    let mut windows = Windows::new(steps);
    let mut logits = slope.logits;
    for made in 0..=steps {
        if leave {
            let now = active.fooled(&logits);
            let hit = now.nonzero().squeeze_dim(1);
            if hit.numel() > 0 {
                let places = rows.index_select(0, &hit);
                let _ =
                    adversarial
                        .shallow_clone()
                        .index_copy_(0, &places, &state.points.index_select(0, &hit));
                let _ = fooled.shallow_clone().index_fill_(0, &places, 1);
                let going = now.logical_not().nonzero().squeeze_dim(1);
                rows = rows.index_select(0, &going);
                active = active.take(&going);
                objective = objective.select(&going);
                state.select(&going);
                ball = Ball::each(&active.images, &state.eps, norm);
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
    Ok(Found {
        fooled,
        adversarial,
        best: state.best,
    })
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
            best_loss: loss,
            sparsity: None,
        }
    }

    fn select(&mut self, rows: &Tensor) {
        for tensor in [
            &mut self.eps,
            &mut self.points,
            &mut self.previous,
            &mut self.gradient,
            &mut self.best,
            &mut self.best_gradient,
            &mut self.best_loss,
            &mut self.size,
        ] {
            *tensor = tensor.index_select(0, rows);
        }
        self.history.select(rows);
        if let Some(sparsity) = &mut self.sparsity {
            sparsity.select(rows);
        }
    }

    fn advance(&mut self, ball: &Ball, first: bool) {
        let _guard = no_grad_guard();
        let size = per_image(&self.size);
        let next = match &self.sparsity {
            Some(sparsity) => ball.project(&(&self.points + sparsity.direction(&self.gradient) * size)),
            None => {
                let along = steepest(&self.gradient, self.norm) * size;
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
