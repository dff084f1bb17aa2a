//! Whether another attack of the run leaves fewer images right than the one called AdvA, without
//! being allowed more: the same norm, the same images, a radius no larger. What any attack finds
//! inside the ball is inside the ball, so the lower number is the one to quote.

use crate::format::{self, AttackNames};
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::paired_tests::sign_test;
use crate::metrics::prediction_matrix::{PredictionMatrix, Right, both_right};
use rlnet_suites::attack::is_inside;
use rlnet_suites::{AttackSpec, Condition};
use serde::Serialize;

/// The attack that leaves fewest images right, where that is not the headline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stronger {
    /// The attack.
    pub attack: AttackSpec,
    /// What it leaves, of the images that both saw.
    pub left: Estimate,
    /// What the headline leaves of the same images.
    pub headline: Estimate,
    /// Whether the headline saw more images.
    pub on_some: bool,
    /// Whether its radius is smaller than the headline's.
    pub smaller_radius: bool,
    /// McNemar's exact p-value of the difference.
    pub p: f64,
}

impl Stronger {
    /// The attack that beats the headline by most on the images that both saw; nothing when none
    /// does, or when the headline was not measured or has no radius.
    pub fn find(headline: &AttackSpec, matrix: &PredictionMatrix, policy: BranchPolicy) -> Option<Self> {
        let eps = headline.radius()?;
        let own = left_at(matrix, policy, headline, eps)?;
        let mut best: Option<Self> = None;
        for condition in matrix.conditions() {
            let Condition::Attack(attack) = condition else {
                continue;
            };
            let allowed =
                attack.is_minimum_norm() || attack.radius().is_some_and(|size| is_inside(size, eps));
            let same_ball = attack.norm() == headline.norm() && attack.base() == headline.base();
            if attack == headline || !allowed || !same_ball {
                continue;
            }
            let Some(other) = left_at(matrix, policy, attack, eps) else {
                continue;
            };
            let found = Self::of(attack, eps, &own, &other);
            let gain = |found: &Self| found.headline.value - found.left.value;
            if gain(&found) > best.as_ref().map_or(0.0, gain) {
                best = Some(found);
            }
        }
        best
    }

    fn of(attack: &AttackSpec, eps: f64, own: &Right, other: &Right) -> Self {
        let (mut right, mut left, mut n) = (0, 0, 0);
        let (mut only_own, mut only_other) = (0, 0);
        for (own, other) in own.iter().zip(other) {
            if let (Some(own), Some(other)) = (*own, *other) {
                n += 1;
                right += u64::from(own);
                left += u64::from(other);
                only_own += u64::from(own && !other);
                only_other += u64::from(other && !own);
            }
        }
        let seen = own.iter().flatten().count() as u64;
        Self {
            attack: attack.clone(),
            left: Estimate::of_images(left, n),
            headline: Estimate::of_images(right, n),
            on_some: n < seen,
            smaller_radius: attack.radius().is_some_and(|size| !is_inside(eps, size)),
            p: sign_test(only_own, only_other),
        }
    }

    /// `at the same radius APGD-CE-100, 8/255, leaves 25.0 % [...]: that is the number to quote`.
    pub fn said(&self, names: &AttackNames) -> String {
        let [value, low, high] = [self.left.value, self.left.low, self.left.high].map(format::percent);
        let of = match self.on_some {
            true => format!(
                " of the {} images that it saw, of which AdvA's leaves {}\u{a0}%",
                format::thousands(self.left.images),
                format::percent(self.headline.value)
            ),
            false => String::new(),
        };
        format!(
            "at {} radius {} leaves {value}\u{a0}% [{low},\u{a0}{high}]{of}: that is the number to quote",
            if self.smaller_radius {
                "a smaller"
            } else {
                "the same"
            },
            names.get(&self.attack),
        )
    }

    /// For a table: `25.0 % under APGD-CE-100, 8/255`.
    pub fn short(&self, names: &AttackNames) -> String {
        format!(
            "{}\u{a0}% under {}",
            format::percent(self.left.value),
            names.get(&self.attack)
        )
    }
}

/// Whether each image is still right under an attack that may use this radius: of one without a
/// radius, what it broke farther away counts as right.
fn left_at(matrix: &PredictionMatrix, policy: BranchPolicy, attack: &AttackSpec, eps: f64) -> Option<Right> {
    let bounded = !attack.is_minimum_norm();
    let each = matrix.predictions(policy, &Condition::Attack(attack.clone()))?;
    let each = each.into_iter().map(|seen| -> Right {
        let outside = |norm: f32| !bounded && !is_inside(f64::from(norm), eps);
        let own = seen.right.iter().zip(&seen.norm);
        own.map(|(right, norm)| right.map(|right| right || outside(*norm)))
            .collect()
    });
    each.reduce(both_right)
}
