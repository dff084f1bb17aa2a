//! Fast adaptive boundary attack (Croce and Hein, ICML 2020, arXiv 1907.02044): the nearest
//! adversarial, by steps onto the linearised boundary that are pulled towards the image.
//!
//! `fab` steps towards the boundary that looks nearest; `fab-t` makes one run for each of the
//! likeliest wrong classes and needs one gradient a step.

mod plane;

use super::active::ActiveRows;
use super::ball::{dual, length, per_image};
use super::nearest::Nearest;
use super::objective::class;
use super::scale;
use super::stream::TorchStream;
use super::target::Target;
use super::targets::Targets;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::fab::{Fab, FabTargeted};
use rlnet_suites::attack::{Norm, TargetOrder};
use tch::{Kind, Tensor};

/// Share of the step that starts at the image, at most (the reference's alpha_max).
const PULL: f64 = 0.1;
/// How far a step goes beyond the linearised boundary (eta).
const OVERSHOOT: f64 = 1.05;
/// What is kept of a perturbation that fools, before the search goes on (beta).
const BACKWARD: f64 = 0.9;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The norm that is made small.
    pub(super) norm: Norm,
    /// Iterations of a run.
    pub(super) steps: usize,
    /// Runs; the first starts at the image, others at half the radius known so far.
    pub(super) restarts: usize,
    /// Target classes and their order; none for the untargeted attack.
    pub(super) targets: Option<(usize, TargetOrder)>,
    /// An image is done, and leaves, when its perturbation is no longer than this.
    pub(super) enough: Option<f64>,
}

impl Attack for Fab {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let settings = Settings {
            norm: self.norm,
            steps: self.steps,
            restarts: self.restarts,
            targets: None,
            enough: Some(self.eps),
        };
        within(target, settings, self.eps)
    }
}

impl Attack for FabTargeted {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let settings = Settings {
            norm: self.norm,
            steps: self.steps,
            restarts: self.restarts,
            targets: Some((self.targets, self.order)),
            enough: Some(self.eps),
        };
        within(target, settings, self.eps)
    }
}

/// Inside a ball: the adversarial where one was found within eps, else the clean image.
fn within(target: &Target<'_>, settings: Settings, eps: f64) -> Result<Tensor> {
    let nearest = nearest(target, settings)?;
    let near = nearest.distance.le(eps).reshape([-1, 1, 1, 1]);
    Ok(nearest.points.where_self(&near, &target.images))
}

/// The nearest adversarial that the runs find, at any distance.
///
/// # Errors
/// When the model has one class only, or libtorch refuses an operation.
fn nearest(target: &Target<'_>, settings: Settings) -> Result<Nearest> {
    let (mut best, active, clean) = Nearest::of_clean(target, settings.norm)?;
    if !active.is_empty() {
        search(&active, &clean, settings, &mut best)?;
    }
    Ok(best)
}

/// Offers `best` what the runs find, from images that are classified rightly; `clean` are the batch's logits
/// `[N, classes]`.
pub(super) fn search(
    rows: &ActiveRows<'_>,
    clean: &Tensor,
    settings: Settings,
    best: &mut Nearest,
) -> Result<()> {
    let mut active = rows.again();
    let mut stream = rows.stream();
    let aims = match settings.targets {
        Some((count, order)) => Some(Targets::of(rows, clean, settings.norm, order, count)?),
        None => None,
    };
    for place in 0..aims.as_ref().map_or(1, |aims| aims.classes.size()[1]) {
        let aims = aims.as_ref().map(|aims| aims.at(place));
        for restart in 0..settings.restarts {
            let mut part = active.again();
            if let Some([_, _, fresh]) = &aims {
                part.leave(&active.gather(fresh).logical_not(), &mut []);
            }
            if part.is_empty() {
                break;
            }
            let start = match restart {
                0 => part.images.shallow_clone(),
                _ => {
                    let key = [place as u64, restart as u64];
                    random_start(&part, &settings, &best.known(&part), key, &mut stream)
                }
            };
            let classes = aims.as_ref().map(|[classes, ..]| part.gather(classes));
            run(&part, classes, start, &settings, best)?;
            if let Some(enough) = settings.enough {
                active.leave(&best.known(&active).le(enough), &mut []);
            }
        }
    }
    Ok(())
}

/// A random point at half the distance known so far, or at half of eps where that is less.
fn random_start(
    target: &Target<'_>,
    settings: &Settings,
    known: &Tensor,
    key: [u64; 2],
    stream: &mut Option<TorchStream>,
) -> Tensor {
    let (size, device) = (target.images.size(), target.images.device());
    let direction = match (settings.norm, stream) {
        (Norm::Linf, Some(stream)) => stream.rand(&size, device) * 2.0 - 1.0,
        (_, Some(stream)) => stream.randn(&size, device),
        (Norm::Linf, None) => target.uniform(1.0, "fab", &key),
        (_, None) => target.normal("fab", &key),
    };
    // Without an eps, the reference's default radii bound the starts.
    let most = settings.enough.unwrap_or(match settings.norm {
        Norm::Linf => 0.3,
        Norm::L2 => 1.0,
        Norm::L1 | Norm::L0 => 5.0,
    });
    let radius = known.clamp_max(most) * 0.5 / length(&direction, settings.norm);
    (&target.images + direction * per_image(&radius)).clamp(0.0, 1.0)
}

/// One run from `start`. All images are classified rightly; `aims` are their target classes. An image
/// leaves at the first adversarial that is near enough.
fn run(
    rows: &ActiveRows<'_>,
    mut aims: Option<Tensor>,
    start: Tensor,
    settings: &Settings,
    best: &mut Nearest,
) -> Result<()> {
    let mut active = rows.again();
    let mut points = start;
    for _ in 0..settings.steps {
        if active.is_empty() {
            break;
        }
        let next = step(&active, aims.as_ref(), &points, settings.norm)?;
        let logits = active.logits(&next)?;
        let fooled = active.fooled(&logits);
        let sure = match settings.enough {
            Some(_) => fooled.shallow_clone(),
            None => active.surely_fooled(&logits),
        };
        let _ = best.offer(&active, &next, &sure);
        let back = &active.images + (&next - &active.images) * BACKWARD;
        points = back.where_self(&fooled.reshape([-1, 1, 1, 1]), &next);
        // A replay keeps the reference's batches as they are (see `Target::pass`).
        if let Some(enough) = settings.enough.filter(|_| !active.replays()) {
            active.leave(&best.known(&active).le(enough), &mut [&mut points, &mut aims]);
        }
    }
    Ok(())
}

/// The points `[N, 3, H, W]` after a step onto the linearised boundary, pulled towards the images.
fn step(target: &Target<'_>, aims: Option<&Tensor>, points: &Tensor, norm: Norm) -> Result<Tensor> {
    let images = &target.images;
    let (gap, normal) = match aims {
        Some(aims) => {
            let slope = target.slope_of(points, |logits| {
                class(logits, aims) - class(logits, &target.labels)
            })?;
            (slope.loss, slope.gradient)
        }
        None => nearest_boundary(target, points, norm)?,
    };
    // Where a model gives NaN the point stays: it counts as fooled already.
    let normal = scale::finite(&normal);
    let by = scale::of(&normal);
    let gap = (gap / &by).nan_to_num(0.0, 0.0, 0.0);
    let w = (normal / per_image(&by)).flatten(1, -1);
    let (origin, here) = (images.flatten(1, -1), points.flatten(1, -1));
    let from_origin = &gap + dot(&w, &(&origin - &here));
    let step = plane::onto(&here, &w, &gap, norm);
    let direct = plane::onto(&origin, &w, &from_origin, norm);
    let a = length(&step, norm).clamp_min(1e-8);
    let b = length(&direct, norm).clamp_min(1e-8);
    let pull = (&a / (&a + b)).clamp_max(PULL).unsqueeze(1);
    let moved: Tensor = (here + step * OVERSHOOT) * (1.0 - &pull) + (&origin + direct * OVERSHOOT) * pull;
    Ok(moved.clamp(0.0, 1.0).reshape(images.size()))
}

/// Of the linearised boundaries with the other classes the nearest one: logit difference
/// `[N]` and its gradient `[N, 3, H, W]`.
fn nearest_boundary(target: &Target<'_>, points: &Tensor, norm: Norm) -> Result<(Tensor, Tensor)> {
    let mut made = target.in_batches(&[points], |part, rows| {
        let (gap, gradient) = nearest_boundary_at_once(part, &rows[0], norm)?;
        Ok(vec![gap, gradient])
    })?;
    let gradient = made.remove(1);
    Ok((made.remove(0), gradient))
}

fn nearest_boundary_at_once(target: &Target<'_>, points: &Tensor, norm: Norm) -> Result<(Tensor, Tensor)> {
    let mut nearest: Option<(Tensor, Tensor, Tensor)> = None;
    target.slopes_of(
        points,
        |logits| {
            let classes = logits.size()[1];
            let others = (1..classes).map(|shift| {
                let other = (&target.labels + shift).remainder(classes);
                class(logits, &other) - class(logits, &target.labels)
            });
            others.collect()
        },
        |gap, gradient| {
            let gradient = scale::finite(&gradient);
            let by = scale::of(&gradient);
            let away = gap.abs() / &by / length(&(&gradient / per_image(&by)), dual(norm));
            let distance = away.nan_to_num(f64::INFINITY, f64::INFINITY, 0.0);
            nearest = Some(match nearest.take() {
                None => (distance, gap, gradient),
                Some((least, old_gap, old_gradient)) => {
                    let nearer = distance.lt_tensor(&least);
                    (
                        distance.where_self(&nearer, &least),
                        gap.where_self(&nearer, &old_gap),
                        gradient.where_self(&nearer.reshape([-1, 1, 1, 1]), &old_gradient),
                    )
                }
            });
        },
    )?;
    let (_, gap, gradient) = nearest.unwrap_or_else(|| unreachable!("there are two classes or more"));
    Ok((gap, gradient))
}

fn dot(a: &Tensor, b: &Tensor) -> Tensor {
    (a * b).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
}

#[cfg(test)]
mod tests;
