//! What is left when the attacker may choose the norm: accuracy under the union of balls (Tramer and Boneh,
//! NeurIPS 2019; Maini et al., ICML 2020), from rows that are there.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::metrics::smallest_perturbation::{Distances, beyond, distances};
use rlnet_suites::attack::{Norm, usual_radius};
use rlnet_suites::{AttackSpec, Condition};

/// The balls of a union and what is left in each and in all.
#[derive(Debug, Clone)]
pub struct Union {
    /// Norm, radius, and what is right there.
    pub balls: Vec<(Norm, f64, Estimate)>,
    /// What is right in every ball.
    pub all: Estimate,
}

/// The union of the balls of the usual radii in the norms in which the model was attacked at that radius or
/// with an attack that looks for the smallest perturbation. Nothing with fewer than two norms.
pub fn union(matrix: &PredictionMatrix, policy: BranchPolicy) -> Option<Union> {
    let conditions = matrix.conditions();
    let attacks = || {
        conditions.iter().filter_map(|condition| match condition {
            Condition::Attack(attack) if attack.base().is_none() => Some(attack),
            _ => None,
        })
    };
    let mut balls = Vec::new();
    let mut left: Option<Vec<Option<bool>>> = None;
    for &norm in Norm::ALL {
        let Some(radius) = usual_radius(norm) else {
            continue;
        };
        let judges = |attack: &AttackSpec| {
            let at = attack
                .radius()
                .is_some_and(|size| !beyond(size, radius) && !beyond(radius, size));
            attack.norm() == norm && (at || attack.is_minimum_norm())
        };
        if !attacks().any(judges) {
            continue;
        }
        let taking_part = attacks().filter(|attack| {
            attack.norm() == norm && (attack.radius().is_some() || attack.is_minimum_norm())
        });
        let attacks: Vec<AttackSpec> = taking_part.map(|attack| (*attack).clone()).collect();
        let stands = standing(&distances(matrix, policy, &attacks)?, radius);
        balls.push((norm, radius, share(&stands)));
        let both = |before: Vec<Option<bool>>| {
            let pairs = before.into_iter().zip(&stands);
            pairs.map(|(before, here)| Some(before? && (*here)?)).collect()
        };
        left = Some(left.map_or_else(|| stands.clone(), both));
    }
    (balls.len() > 1).then(|| Union {
        all: share(&left.unwrap_or_default()),
        balls,
    })
}

fn standing(distances: &Distances, radius: f64) -> Vec<Option<bool>> {
    distances
        .iter()
        .map(|size| Some(beyond((*size)?, radius)))
        .collect()
}

fn share(standing: &[Option<bool>]) -> Estimate {
    let known = standing.iter().flatten();
    Estimate::of_images(
        known.clone().filter(|stands| **stands).count() as u64,
        known.count() as u64,
    )
}
