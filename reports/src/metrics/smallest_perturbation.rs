//! For each image the size of the smallest perturbation that any attack found, and what follows
//! from it.
//!
//! A perturbation that breaks an image inside a small ball lies inside every larger ball, so
//! accuracy read off these sizes can only fall as the radius grows: the curve is monotone
//! by construction, where separate attacks at separate radii need not be. It is an upper
//! bound of the true curve, as every attack's result is.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::metrics::quantile::quantile;
use rlnet_suites::attack::radius::RADIUS;
use rlnet_suites::attack::{Norm, is_inside, is_same_radius};
use rlnet_suites::{AttackSpec, Condition};
use std::collections::BTreeMap;

/// Whether a perturbation is longer than a radius.
pub(super) fn beyond(size: f64, radius: f64) -> bool {
    !is_inside(size, radius)
}

/// Per image, the smallest breaking perturbation found: 0 when the clean image is wrong,
/// infinite when nothing broke it, absent when a row is missing.
pub type Distances = Vec<Option<f64>>;

/// The smallest breaking perturbations that these attacks found.
pub fn distances(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    attacks: &[AttackSpec],
) -> Option<Distances> {
    let clean = matrix.right(policy, &Condition::Clean)?;
    let mut found: Distances = clean
        .into_iter()
        .map(|right| right.map(|right| if right { f64::INFINITY } else { 0.0 }))
        .collect();
    for attack in attacks {
        for seen in matrix.predictions(policy, &Condition::Attack(attack.clone()))? {
            for (i, known) in found.iter_mut().enumerate() {
                *known = match (*known, seen.right[i]) {
                    (Some(best), Some(false)) => Some(best.min(f64::from(seen.norm[i]))),
                    (Some(best), Some(true)) => Some(best),
                    _ => None,
                };
            }
        }
    }
    Some(found)
}

/// The share of images that nothing of at most this size broke.
pub fn accuracy_at(distances: &Distances, radius: f64) -> Estimate {
    let known: Vec<f64> = distances.iter().copied().flatten().collect();
    let right = known.iter().filter(|size| beyond(**size, radius)).count();
    Estimate::of_images(right as u64, known.len() as u64)
}

/// A monotone curve of accuracy against radius.
#[derive(Debug, Clone)]
pub struct Curve {
    /// The norm of all attacks that took part.
    pub norm: Norm,
    /// The attacks.
    pub attacks: Vec<AttackSpec>,
    /// Radii (0 first) with the accuracy there.
    pub points: Vec<(f64, Estimate)>,
    /// Median over images of the smallest breaking perturbation found, images wrong when
    /// clean counted as 0; absent when half the images or more were never broken.
    pub median: Option<f64>,
}

/// One curve a norm.
pub fn curves(matrix: &PredictionMatrix, policy: BranchPolicy) -> Vec<Curve> {
    let mut by_norm: BTreeMap<&str, Vec<AttackSpec>> = BTreeMap::new();
    for condition in matrix.conditions() {
        if let Condition::Attack(attack) = condition
            && attack.base().is_none()
            && (attack.radius().is_some() || attack.is_minimum_norm())
        {
            by_norm
                .entry(attack.norm().name())
                .or_default()
                .push(attack.clone());
        }
    }
    let curve = |attacks: Vec<AttackSpec>| {
        let found = distances(matrix, policy, &attacks)?;
        let mut radii: Vec<f64> = attacks.iter().filter_map(AttackSpec::radius).collect();
        if attacks.iter().any(AttackSpec::is_minimum_norm) {
            // A minimum-norm attack says something of every radius: eight up to the largest.
            let finite = found.iter().copied().flatten().filter(|size| size.is_finite());
            let largest = radii.iter().copied().chain(finite).fold(0.0, f64::max);
            radii.extend((1..=8).map(|i| largest * f64::from(i) / 8.0));
        }
        radii.push(0.0);
        radii.sort_by(f64::total_cmp);
        radii.dedup_by(|a, b| is_same_radius(*a, *b));
        Some(Curve {
            norm: attacks[0].norm(),
            attacks,
            points: radii
                .into_iter()
                .map(|radius| (radius, accuracy_at(&found, radius)))
                .collect(),
            median: quantile(found.into_iter().flatten().collect(), 0.5).filter(|size| size.is_finite()),
        })
    };
    by_norm.into_values().filter_map(curve).collect()
}

/// What a minimum-norm attack found.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// The attack.
    pub attack: AttackSpec,
    /// Images broken by it or wrong when clean.
    pub found: Estimate,
    /// Quartiles of the size over all images, in the attack's norm: images wrong when clean
    /// count as 0; absent where the quartile was never broken.
    pub quartiles: [Option<f64>; 3],
}

/// Every minimum-norm attack on its own.
pub fn minima(matrix: &PredictionMatrix, policy: BranchPolicy) -> Vec<Minimum> {
    let attacks = matrix
        .conditions()
        .into_iter()
        .filter_map(|condition| match condition {
            Condition::Attack(attack) if attack.is_minimum_norm() => Some(attack.clone()),
            _ => None,
        });
    let curves = curves(matrix, policy);
    attacks
        .filter_map(|attack| {
            // No radius above one at which another attack of the run broke the image.
            let all = curves.iter().find(|curve| curve.norm == attack.norm());
            let taking_part = match all {
                Some(all) if attack.name() == RADIUS.name && attack.base().is_none() => &all.attacks[..],
                _ => std::slice::from_ref(&attack),
            };
            let sizes: Vec<f64> = distances(matrix, policy, taking_part)?
                .into_iter()
                .flatten()
                .collect();
            let broken = sizes.iter().filter(|size| size.is_finite()).count();
            Some(Minimum {
                found: Estimate::of_images(broken as u64, sizes.len() as u64),
                quartiles: [0.25, 0.5, 0.75]
                    .map(|share| quantile(sizes.clone(), share).filter(|size| size.is_finite())),
                attack,
            })
        })
        .collect()
}
