//! What Auto-PGD does otherwise in L1 (Croce and Hein, ICML 2021, arXiv 2103.01208, section
//! 3): sparse steps whose sparsity follows the best point's, and a radius that starts three
//! times too large.

use super::alike;
use super::search::{Found, search};
use crate::attack::Objective;
use crate::attack::ball::Ball;
use crate::attack::target::Target;
use crate::error::Result;
use rlnet_suites::attack::Norm;
use tch::{Tensor, no_grad_guard};

/// Three searches, in balls of radius 3, 2 and 1 eps with 30, 30 and 40 % of the steps, each
/// from the best point of the one before; only the last can fool.
pub(super) fn shrinking(
    purpose: &str,
    target: &Target<'_>,
    objective: &Objective,
    eps: f64,
    steps: usize,
    key: &[u64],
) -> Result<Found> {
    let mut points = start(purpose, target, 3.0 * eps, key);
    let part = ((0.3 * steps as f64).ceil() as usize).min((steps - 1) / 2);
    for radius in [3.0 * eps, 2.0 * eps] {
        let inside = inside(target, radius, &points);
        points = search(
            target,
            objective,
            Norm::L1,
            &alike(target, radius),
            part,
            &inside,
            false,
        )?
        .best;
    }
    let inside = inside(target, eps, &points);
    search(
        target,
        objective,
        Norm::L1,
        &alike(target, eps),
        steps - 2 * part,
        &inside,
        true,
    )
}

fn inside(target: &Target<'_>, radius: f64, points: &Tensor) -> Tensor {
    let _guard = no_grad_guard();
    Ball::new(&target.images, radius, Norm::L1)
        .project(points)
        .clamp(0.0, 1.0)
}

/// A normal perturbation, projected. The reference takes the image for a part of the
/// perturbation and then the projected perturbation for the point, which its replay repeats.
fn start(purpose: &str, target: &Target<'_>, radius: f64, key: &[u64]) -> Tensor {
    let _guard = no_grad_guard();
    let images = &target.images;
    let noisy = images + target.normal(purpose, key);
    if target.replays() {
        inside(target, radius, &(images + noisy)) - images
    } else {
        noisy
    }
}
