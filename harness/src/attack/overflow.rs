//! An attack on fixed-point arithmetic: gradient steps that make a layer's largest product larger, relative to the ring
//! it has to fit into. An image stays at the first iterate whose verdict, in the ring, is wrong.

use super::ball::Ball;
use super::pgd::{Settings, start_in_ball};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Start;
use rlnet_suites::attack::overflow::Overflow;
use tch::{Kind, Tensor};

impl Attack for Overflow {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let settings = Settings {
            norm: self.norm,
            eps: self.eps,
            alpha: self.alpha,
            steps: self.steps,
        };
        let kept = target.images.copy();
        let mut rows = Tensor::arange(target.len() as i64, (Kind::Int64, target.images.device()));
        for restart in 0..self.restarts as u64 {
            let mut active = target.take(&rows);
            if active.is_empty() {
                break;
            }
            let mut points = match (self.start, restart) {
                (Start::Zero, 0) => active.images.copy(),
                _ => start_in_ball(&active, &settings, &[restart]),
            };
            for _ in 0..settings.steps {
                let ball = Ball::new(&active.images, settings.eps, settings.norm);
                let (_, gradient) = active.load_slope(&points)?;
                points = settings.step(&points, &gradient, &ball);
                let _ = kept.shallow_clone().index_copy_(0, &rows, &points);
                let held = active.fooled(&active.logits(&points)?).logical_not();
                let going = held.nonzero().squeeze_dim(1);
                rows = rows.index_select(0, &going);
                points = points.index_select(0, &going);
                active = active.take(&going);
                if active.is_empty() {
                    break;
                }
            }
        }
        Ok(kept)
    }
}
