//! The smallest radius that breaks each image: the nearest adversarial of minimum-norm
//! attacks, then a search with attacks of a given radius for a nearer one.
//!
//! What counts is the distance of an adversarial that was really found. So the accuracy at
//! any radius, the share of images whose distance is beyond it, can only fall with the radius,
//! and no image is called broken on the strength of an interpolation.

use super::active::ActiveRows;
use super::apgd;
use super::ball::length;
use super::nearest::Nearest;
use super::target::Target;
use super::{Attack, Objective, fab, fmn, superdeepfool};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::fmn::Fmn;
use rlnet_suites::attack::radius::Radius;
use rlnet_suites::attack::{Norm, TargetOrder};
use tch::Tensor;

/// FMN's pace inside this attack: its authors' defaults.
const ALPHA: f64 = 1.0;
const GAMMA: f64 = 0.05;

/// FAB-T's target classes, as in AutoAttack: where the nearest boundary is not the one with the
/// likeliest wrong class, a search that follows the margin ends at the wrong one.
const TARGETS: usize = 9;

/// SuperDeepFool's way back to the image (its authors' number).
const BISECTIONS: usize = 10;

/// An attack inside balls of given radii `[N]`, one an image, told the nearest adversarials
/// known (`[N, 3, H, W]`; the clean image where there is none) and the round (the key of its
/// random draws): points `[N, 3, H, W]` in ball and box, adversarial where it succeeded.
pub(super) type Within<'a> = &'a dyn Fn(&Target<'_>, &Tensor, &Tensor, u64) -> Result<Tensor>;

/// While nothing is known to hold, the next radius tried is this share of the best distance:
/// minimum-norm attacks are seldom further off, and a failure there is the closest bracket.
const SHORTER: f64 = 0.9;

/// An image whose bracket is narrower than this share of its distance is left alone.
const NARROW: f64 = 1e-3;

impl Attack for Radius {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        let (norm, steps) = (self.norm, self.steps);
        Nearest::search(target, norm, |active, nearest| {
            let settings = Fmn {
                norm,
                steps,
                alpha: ALPHA,
                gamma: GAMMA,
            };
            fmn::search(active, &settings, nearest)?;
            let settings = fab::Settings {
                norm,
                steps,
                restarts: 1,
                targets: Some((TARGETS, TargetOrder::Logits)),
                enough: None,
            };
            let clean = active.spread(&active.logits(&active.images)?);
            fab::search(active, &clean, settings, nearest)?;
            if norm == Norm::L2 {
                superdeepfool::search(active, nearest, steps, BISECTIONS)?;
            }
            let within = |target: &Target<'_>, radii: &Tensor, guides: &Tensor, round: u64| {
                auto_pgd(target, radii, guides, norm, steps, round)
            };
            narrow(active.again(), norm, self.brackets, &within, nearest)
        })
    }
}

/// Bisects each image's radius: an adversarial inside it lowers the upper end to its
/// distance, a failure raises the lower end.
pub(super) fn narrow(
    mut active: ActiveRows<'_>,
    norm: Norm,
    rounds: usize,
    within: Within<'_>,
    nearest: &mut Nearest,
) -> Result<()> {
    let mut high = length(&active.images.maximum(&(1.0 - &active.images)), norm);
    let mut low = high.zeros_like();
    for round in 0..rounds as u64 {
        high = high.minimum(&nearest.known(&active));
        let done = (&high - &low).le_tensor(&(&high * NARROW));
        active.leave(&done, &mut [&mut high, &mut low]);
        if active.is_empty() {
            return Ok(());
        }
        let found = nearest.known(&active).isfinite();
        let middle = (&low + &high) * 0.5;
        let radii = middle.maximum(&(&high * SHORTER)).where_self(&found, &middle);
        let guides = active.gather(&nearest.points);
        let points = within(&active, &radii, &guides, round)?;
        let fooled = active.surely_fooled(&active.logits(&points)?);
        let _ = nearest.offer(&active, &points, &fooled);
        low = low.where_self(&fooled, &radii);
    }
    Ok(())
}

/// Auto-PGD on the probability margin, and where it fails on targeted DLR: the target is the likeliest
/// wrong class at the nearest adversarial known (`guides`), the boundary to be approached.
/// With fewer than four classes DLR is not defined, and the logit margin takes its place.
fn auto_pgd(
    target: &Target<'_>,
    radii: &Tensor,
    guides: &Tensor,
    norm: Norm,
    steps: usize,
    round: u64,
) -> Result<Tensor> {
    let mut active = ActiveRows::all(target);
    let first = Objective::ProbabilityMargin(target.labels.shallow_clone());
    let key = |_: usize| vec![round];
    let _ = apgd::within("radius pm", &mut active, &first, norm, radii, steps, &key)?;
    if active.is_empty() {
        return Ok(active.into_points());
    }
    let labels = active.labels.shallow_clone();
    let logits = active.logits(&active.gather(guides))?;
    let objective = if logits.size()[1] < 4 {
        Objective::Margin(labels)
    } else {
        let wrong = logits.scatter_value(1, &labels.unsqueeze(1), f64::NEG_INFINITY);
        let targets = wrong.sort_stable(true, 1, true).1.select(1, 0);
        Objective::TargetedDlr { labels, targets }
    };
    let radii = active.gather(radii);
    let _ = apgd::within("radius dlr", &mut active, &objective, norm, &radii, steps, &key)?;
    Ok(active.into_points())
}
