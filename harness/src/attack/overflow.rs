//! An attack on fixed-point arithmetic: gradient steps that make a layer's largest product larger, relative to the ring
//! it has to fit into. An image stays at the first iterate whose verdict, in the ring, is wrong.

use super::active::ActiveRows;
use super::ball::Ball;
use super::pgd::{Settings, start_in_ball};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Start;
use rlnet_suites::attack::overflow::Overflow;
use tch::Tensor;

impl Attack for Overflow {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let settings = Settings::new(self.norm, self.eps, self.alpha, self.steps);
        let mut active = ActiveRows::all(target);
        for restart in 0..self.restarts as u64 {
            if active.is_empty() {
                break;
            }
            let mut points = match (self.start, restart) {
                (Start::Zero, 0) => active.images.copy(),
                _ => start_in_ball(&active, &settings, &[restart]),
            };
            for _ in 0..settings.steps {
                if active.is_empty() {
                    break;
                }
                let ball = Ball::new(&active.images, settings.eps, settings.norm);
                let (_, gradient) = active.load_slope(&points)?;
                points = settings.step(&points, &gradient, &ball);
                active.write(&points);
                let fooled = active.fooled(&active.logits(&points)?);
                active.leave(&fooled, &mut [&mut points]);
            }
        }
        Ok(active.into_points())
    }
}
