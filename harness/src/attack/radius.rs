//! The smallest radius that breaks each image: the nearest adversarial of minimum-norm
//! attacks, then a search with attacks of a given radius for a nearer one.
//!
//! What counts is the distance of an adversarial that was really found. So the accuracy at
//! any radius, the share of images whose distance is beyond it, can only fall with the radius,
//! and no image is called broken on the strength of an interpolation.

use super::Objective;
use super::ball::{Ball, ascent, length, per_image};
use super::fmn;
use super::nearest::Nearest;
use super::target::Target;
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// FMN's pace inside this attack: its authors' defaults.
const ALPHA: f64 = 1.0;
const GAMMA: f64 = 0.05;

/// An attack inside balls of given radii `[N]`, one an image, in a numbered round (the key of
/// its random draws): points `[N, 3, H, W]`, adversarial where it succeeded.
pub(super) type Within<'a> = &'a dyn Fn(&Target<'_>, &Tensor, u64) -> Result<Tensor>;

/// While nothing is known to hold, the next radius tried is this share of the best distance:
/// minimum-norm attacks are seldom further off, and a failure there is the closest bracket.
const SHORTER: f64 = 0.9;

/// An image whose bracket is narrower than this share of its distance is left alone.
const NARROW: f64 = 1e-3;

/// The attack of a specification.
pub(super) fn radius(spec: &AttackSpec, target: &Target<'_>) -> Result<Tensor> {
    let (norm, steps) = (spec.norm(), spec.count("steps"));
    let (mut nearest, rows) = Nearest::of_clean(target, norm)?;
    let settings = fmn::Settings {
        norm,
        steps,
        alpha: ALPHA,
        gamma: GAMMA,
    };
    fmn::search(target, &rows, &settings, &mut nearest)?;
    let within = |target: &Target<'_>, radii: &Tensor, round: u64| descend(target, radii, norm, steps, round);
    narrow(target, rows, norm, spec.count("brackets"), &within, &mut nearest)?;
    Ok(nearest.points)
}

/// Bisects each image's radius: an adversarial inside it lowers the upper end to its
/// distance, a failure raises the lower end.
pub(super) fn narrow(
    target: &Target<'_>,
    rows: Tensor,
    norm: Norm,
    rounds: usize,
    within: Within<'_>,
    nearest: &mut Nearest,
) -> Result<()> {
    let mut rows = rows;
    let images = target.images.index_select(0, &rows);
    let mut high = length(&images.maximum(&(1.0 - &images)), norm);
    let mut low = high.zeros_like();
    for round in 0..rounds as u64 {
        let known = nearest.distance.index_select(0, &rows);
        high = high.minimum(&known);
        let going = (&high - &low)
            .gt_tensor(&(&high * NARROW))
            .nonzero()
            .squeeze_dim(1);
        rows = rows.index_select(0, &going);
        high = high.index_select(0, &going);
        low = low.index_select(0, &going);
        let active = target.take(&rows);
        if active.is_empty() {
            return Ok(());
        }
        let found = nearest.distance.index_select(0, &rows).isfinite();
        let middle = (&low + &high) * 0.5;
        let radii = middle.maximum(&(&high * SHORTER)).where_self(&found, &middle);
        let points = within(&active, &radii, round)?;
        let fooled = active.fooled(&active.logits(&points)?);
        let _ = nearest.offer(&rows, &active.images, &points, &fooled);
        low = low.where_self(&fooled, &radii);
    }
    Ok(())
}

/// Projected gradient ascent of the margin from a random start, a ball an image; an image
/// leaves at its first adversarial.
fn descend(target: &Target<'_>, radii: &Tensor, norm: Norm, steps: usize, round: u64) -> Result<Tensor> {
    let mut rows = Tensor::arange(target.len() as i64, (Kind::Int64, radii.device()));
    let ball = Ball::each(&target.images, radii, norm);
    let drawn = match norm {
        Norm::Linf => target.uniform(1.0, "radius", &[round]),
        _ => target.normal("radius", &[round]),
    };
    let unit = &drawn / per_image(&length(&drawn, norm).clamp_min(1e-12));
    let mut points = ball.project(&(&target.images + unit * per_image(radii)));
    let kept = points.copy();
    // A path of 2.5 radii (Madry et al., ICLR 2018, appendix).
    let sizes = radii * (2.5 / steps as f64);
    for _ in 0..steps {
        let active = target.take(&rows);
        if active.is_empty() {
            break;
        }
        let slope = active.slope(&points, &Objective::Margin(active.labels.shallow_clone()))?;
        let _guard = no_grad_guard();
        let going = active
            .fooled(&slope.logits)
            .logical_not()
            .nonzero()
            .squeeze_dim(1);
        let along = ascent(&slope.gradient, norm) * per_image(&sizes.index_select(0, &rows));
        let ball = Ball::each(&active.images, &radii.index_select(0, &rows), norm);
        points = ball.project(&(&points + along)).index_select(0, &going);
        rows = rows.index_select(0, &going);
        let _ = kept.shallow_clone().index_copy_(0, &rows, &points);
    }
    Ok(kept)
}
