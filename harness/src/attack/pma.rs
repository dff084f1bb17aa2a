//! PMA (probability margin attack, arXiv 2411.15210): sign steps with a cosine schedule on one term of the
//! difference of probabilities first, then on the difference itself.

use super::active::ActiveRows;
use super::ball::Ball;
use super::pgd::{Settings, start_in_ball};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::pma::Pma;
use std::f64::consts::PI;
use tch::{Kind, Tensor, no_grad_guard};

impl Attack for Pma {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let mut active = ActiveRows::right(target, &target.logits(&target.images)?);
        let settings = Settings::of(spec);
        for restart in 0..self.restarts as u64 {
            // The first stage lowers the true class's probability, or raises the likeliest wrong one's.
            for raise in [false, true] {
                if active.is_empty() {
                    break;
                }
                let start = start_in_ball(&active, &settings, &[restart, u64::from(raise)]);
                ascend(&mut active, start, &settings, raise)?;
            }
        }
        Ok(active.into_points())
    }
}

/// One run; images leave when they are fooled. The first step goes towards the true class, as in the
/// authors' code.
fn ascend(active: &mut ActiveRows<'_>, start: Tensor, settings: &Settings, raise: bool) -> Result<()> {
    let (steps, half) = (settings.steps, settings.steps / 2);
    let mut points = start;
    for step in 0..=steps {
        // Logarithms of 1 - p_y, p_max and 1 + p_max - p_y: their slopes have the directions of the
        // probabilities' own, and do not vanish where a model is sure of its class.
        let loss = |logits: &Tensor| {
            let all = logits.log_softmax(1, Kind::Double);
            let others = all.scatter_value(1, &active.labels.unsqueeze(1), f64::NEG_INFINITY);
            let rest = others.logsumexp([1_i64].as_slice(), false);
            let wrong = || others.amax([1_i64].as_slice(), false);
            let loss = match step {
                0 => -rest,
                _ if step >= half => rest.logaddexp(&wrong()),
                _ if raise => wrong(),
                _ => rest,
            };
            loss.to_kind(logits.kind())
        };
        let (logits, mut gradient) = if step == steps {
            (active.logits(&points)?, points.zeros_like())
        } else {
            let slope = active.slope_of(&points, loss)?;
            (slope.logits, slope.gradient)
        };
        let fooled = active.fooled(&logits);
        active.write_where(&fooled, &points);
        active.leave(&fooled, &mut [&mut points, &mut gradient]);
        if step == steps || active.is_empty() {
            break;
        }
        let _guard = no_grad_guard();
        let since = step as f64 - if step <= half { 1.0 } else { half as f64 + 1.0 };
        let size = settings.eps * (1.0 + (PI * since / (steps - half) as f64).cos());
        let ball = Ball::new(&active.images, settings.eps, settings.norm);
        points = ball.project(&(points + gradient.nan_to_num(0.0, 0.0, 0.0).sign() * size));
    }
    Ok(())
}
