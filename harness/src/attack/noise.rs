//! Random noise of norm eps: the control. An attack that does no better than this finds
//! nothing (Carlini et al. 2019, section 5.3).

use super::active::ActiveRows;
use super::ball::{length, per_image};
use super::pgd::{Settings, start_in_ball};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::noise::{Noise, NoiseKind};
use tch::{Tensor, no_grad_guard};

impl Attack for Noise {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        noise(self, spec.name(), target)
    }
}

/// Draws until the image is fooled or the draws are used up; keeps the draw that fooled, else
/// the last one.
fn noise(attack: &Noise, purpose: &str, target: &Target<'_>) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let settings = Settings::new(attack.norm, attack.eps, 0.0, 0);
    let mut active = ActiveRows::all(target);
    for draw in 0..attack.draws as u64 {
        if active.is_empty() {
            break;
        }
        let points = match attack.kind {
            NoiseKind::Gaussian => {
                let direction = active.normal(purpose, &[draw]);
                let scale = settings.eps / length(&direction, settings.norm).clamp_min(1e-12);
                (&active.images + direction * per_image(&scale)).clamp(0.0, 1.0)
            }
            NoiseKind::Uniform => start_in_ball(&active, &settings, &[draw]),
        };
        active.write(&points);
        let fooled = active.fooled(&active.logits(&points)?);
        active.leave(&fooled, &mut []);
    }
    Ok(active.into_points())
}
