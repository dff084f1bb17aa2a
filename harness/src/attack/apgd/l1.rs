//! What Auto-PGD does otherwise in L1 (Croce and Hein, ICML 2021, arXiv 2103.01208, section
//! 3): sparse steps whose sparsity follows the best point's, and a radius that starts three
//! times too large.

use super::alike;
use super::search::search;
use crate::attack::Objective;
use crate::attack::active::ActiveRows;
use crate::attack::ball::Ball;
use crate::attack::draws::RowKey;
use crate::attack::target::Target;
use crate::error::Result;
use rlnet_suites::attack::Norm;
use tch::{Tensor, no_grad_guard};

/// Three searches, in balls of radius 3, 2 and 1 eps with 30, 30 and 40 % of the steps, each
/// from the best point of the one before; only the last can fool, and its best points are given.
pub(super) fn shrinking(
    purpose: &str,
    active: &mut ActiveRows<'_>,
    objective: &Objective,
    eps: f64,
    steps: usize,
    key: RowKey<'_>,
) -> Result<Tensor> {
    let mut points = start(purpose, active, 3.0 * eps, key);
    let part = ((0.3 * steps as f64).ceil() as usize).min((steps - 1) / 2);
    for (radius, steps) in [(3.0, part), (2.0, part), (1.0, steps - 2 * part)] {
        if active.replays() {
            // The reference draws a start for each phase and throws it away.
            let _ = active.normal_each(purpose, key);
        }
        let inside = inside(active, radius * eps, &points);
        let radii = alike(active, radius * eps);
        points = search(active, objective, Norm::L1, &radii, steps, &inside, radius == 1.0)?;
    }
    Ok(points)
}

fn inside(target: &Target<'_>, radius: f64, points: &Tensor) -> Tensor {
    let _guard = no_grad_guard();
    let ball = Ball::new(&target.images, radius, Norm::L1);
    if target.replays() {
        return (points + ball.change_l1(&(points - &target.images))).clamp(0.0, 1.0);
    }
    ball.project(points).clamp(0.0, 1.0)
}

/// A normal perturbation, projected. The reference takes the image for a part of the
/// perturbation and then the projected perturbation for the point, which its replay repeats.
fn start(purpose: &str, target: &Target<'_>, radius: f64, key: RowKey<'_>) -> Tensor {
    let _guard = no_grad_guard();
    let images = &target.images;
    let noisy = images + target.normal_each(purpose, key);
    if target.replays() {
        let change = Ball::new(images, radius, Norm::L1).change_l1(&noisy);
        noisy + change
    } else {
        noisy
    }
}
