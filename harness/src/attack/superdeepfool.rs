//! SuperDeepFool (Abdollahpoor et al., arXiv 2303.12481): after each DeepFool the step is turned towards
//! the normal of the boundary that it reached; at the end a bisection of the way back to the image.

use super::active::ActiveRows;
use super::ball::{length, per_image};
use super::deepfool;
use super::nearest::Nearest;
use super::objective::{class, true_class_last};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::deepfool::DeepFool;
use rlnet_suites::attack::superdeepfool::SuperDeepFool;
use tch::{Kind, Tensor, no_grad_guard};

/// Steps of each DeepFool, at most, and its overshoot (the authors' constants).
const STEPS: usize = 100;
const OVERSHOOT: f64 = 0.02;

/// A normal shorter than this is none.
const TINY: f64 = 1e-6;

impl Attack for SuperDeepFool {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::L2, |active, nearest| {
            search(active, nearest, self.steps, self.bisections)
        })
    }
}

/// Offers `nearest` what the attack finds from images that the model gets right.
pub(super) fn search(
    rows: &ActiveRows<'_>,
    nearest: &mut Nearest,
    steps: usize,
    bisections: usize,
) -> Result<()> {
    let inner = DeepFool {
        norm: Norm::L2,
        steps: STEPS,
        candidates: i32::MAX as usize,
        overshoot: OVERSHOOT,
    };
    let mut active = ActiveRows::all(rows);
    let mut points = active.images.shallow_clone();
    for _ in 0..steps {
        let (reached, _) = deepfool::path(&inner, &active, &points)?;
        let logits = active.logits(&reached)?;
        let taken = true_class_last(&logits, &active.labels).argmax(1, false);
        let gap = |logits: &Tensor| class(logits, &taken) - class(logits, &active.labels);
        let slope = active.slope_of(&reached, gap)?;
        let normal = {
            let _guard = no_grad_guard();
            let normal = slope.gradient.nan_to_num(0.0, 0.0, 0.0);
            &normal / per_image(&length(&normal, Norm::L2).clamp_min(TINY))
        };
        let along = ((reached - &active.images) * &normal).sum_dim_intlist(
            [1_i64, 2, 3].as_slice(),
            false,
            Kind::Float,
        );
        points = (points + normal * per_image(&along)).clamp(0.0, 1.0);
        let fooled = active.fooled(&active.logits(&points)?);
        active.write_where(&fooled, &points);
        active.leave(&fooled, &mut [&mut points]);
        if active.is_empty() {
            break;
        }
    }
    let stands = active.flags();
    let mut found = active.into_points();
    let mut ways = rows.again();
    ways.leave(&stands, &mut [&mut found]);
    bisect(&ways, &found, nearest, bisections)
}

/// Halves the way from each image to its adversarial, keeping the half that crosses the boundary.
fn bisect(rows: &ActiveRows<'_>, found: &Tensor, nearest: &mut Nearest, rounds: usize) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let way = found - &rows.images;
    let _ = nearest.offer(rows, found, &rows.verdict(found)?);
    let mut high = nearest.known(rows).ones_like();
    let mut low = high.zeros_like();
    for _ in 0..rounds {
        let middle = (&low + &high) * 0.5;
        let points = &rows.images + &way * per_image(&middle);
        let fooled = rows.fooled(&rows.logits(&points)?);
        let _ = nearest.offer(rows, &points, &fooled);
        high = middle.where_self(&fooled, &high);
        low = low.where_self(&fooled, &middle);
    }
    Ok(())
}
