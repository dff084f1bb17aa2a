//! How near attacks come to the best that any attack of the run found: AttackBench's yardstick (Cinà et
//! al., AAAI 2025, arXiv 2404.19460).

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::metrics::smallest_perturbation::{Distances, distances};
use rlnet_suites::attack::Norm;
use rlnet_suites::{AttackSpec, Condition};
use std::collections::BTreeMap;

/// Distances that differ by less than this share of the farthest are the same (own choice: searches end
/// about so near to each other).
const EQUAL: f64 = 1e-3;

/// Minimum-norm attacks of a norm beside the smallest distances that all of its attacks found.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The norm.
    pub norm: Norm,
    /// The smallest distance of each image that some attack broke; 0 for one that is wrong when clean.
    pub distances: Vec<f64>,
    /// Images that nothing broke, which take no part.
    pub held: usize,
    /// The minimum-norm attacks, the best first.
    pub attacks: Vec<Optimality>,
}

/// One attack beside the envelope.
#[derive(Debug, Clone)]
pub struct Optimality {
    /// The attack.
    pub attack: AttackSpec,
    /// Its distances of the envelope's images, infinite where it found nothing.
    pub distances: Vec<f64>,
    /// 1 for an attack that is the envelope, 0 for one that finds nothing; nothing where all images are
    /// as far away, so that this scale has no length.
    pub local: Option<f64>,
    /// The same by the trapezoid rule of AttackBench's code, for comparison with its tables.
    pub trapezoid: Option<f64>,
    /// Share of the images that it breaks and the best attack does not.
    pub gain: Estimate,
}

/// One envelope a norm in which there is a minimum-norm attack.
pub fn envelopes(matrix: &PredictionMatrix, policy: BranchPolicy) -> Vec<Envelope> {
    let mut by_norm: BTreeMap<Norm, Vec<AttackSpec>> = BTreeMap::new();
    for condition in matrix.conditions() {
        if let Condition::Attack(attack) = condition
            && attack.base().is_none()
            && (attack.radius().is_some() || attack.is_minimum_norm())
        {
            by_norm.entry(attack.norm()).or_default().push(attack.clone());
        }
    }
    let envelope = |(norm, attacks): (Norm, Vec<AttackSpec>)| {
        let all = distances(matrix, policy, &attacks)?;
        let broken = |found: &Distances| -> Vec<f64> {
            let both = all.iter().zip(found);
            let both = both.filter_map(|(best, own)| Some(((*best)?, (*own)?)));
            both.filter(|(best, _)| best.is_finite())
                .map(|(_, own)| own)
                .collect()
        };
        let best = broken(&all);
        if best.iter().all(|size| *size == 0.0) {
            return None;
        }
        let mut measured: Vec<Optimality> = (attacks.into_iter())
            .filter(AttackSpec::is_minimum_norm)
            .filter_map(|attack| {
                let own = broken(&distances(matrix, policy, std::slice::from_ref(&attack))?);
                Some(Optimality {
                    local: local_optimality(&own, &best),
                    trapezoid: trapezoid(&own, &best),
                    gain: Estimate::of_images(0, own.len() as u64),
                    distances: own,
                    attack,
                })
            })
            .collect();
        let near = |attack: &Optimality| attack.local.unwrap_or(f64::NEG_INFINITY);
        measured.sort_by(|a, b| near(b).total_cmp(&near(a)));
        let first = measured.first()?.distances.clone();
        for attack in &mut measured {
            let pairs = first.iter().zip(&attack.distances);
            let alone = pairs.filter(|(best, own)| best.is_infinite() && own.is_finite());
            attack.gain = Estimate::of_images(alone.count() as u64, first.len() as u64);
        }
        Some(Envelope {
            norm,
            held: all.iter().flatten().filter(|size| size.is_infinite()).count(),
            distances: best,
            attacks: measured,
        })
    };
    by_norm.into_iter().filter_map(envelope).collect()
}

/// `1 - (A - A*) / (share * farthest - A*)`: `A` and `A*` are the areas under the curves of accuracy against
/// radius of the attack and of the envelope, up to the envelope's farthest image; `share` is the accuracy at
/// radius 0. Nothing where no attack moved any image, and where all images are as far away: what the
/// worst attack loses is then a rounding error, and so is any share of it.
pub fn local_optimality(own: &[f64], envelope: &[f64]) -> Option<f64> {
    beside(own, envelope, |distances| {
        distances.iter().sum::<f64>() / distances.len() as f64
    })
}

/// The same with areas by the trapezoid rule over the distances that occur, from the smallest on.
pub fn trapezoid(own: &[f64], envelope: &[f64]) -> Option<f64> {
    beside(own, envelope, |distances| {
        let mut sorted = distances.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        let beyond = |size: f64| sorted.iter().filter(|other| **other > size).count() as f64 / n;
        let pairs = sorted.windows(2);
        let pairs = pairs.filter(|pair| pair[0] < pair[1]);
        pairs
            .map(|pair| (pair[1] - pair[0]) * (beyond(pair[0]) + beyond(pair[1])) / 2.0)
            .sum()
    })
}

fn beside(own: &[f64], envelope: &[f64], area: impl Fn(&[f64]) -> f64) -> Option<f64> {
    let farthest = envelope.iter().copied().fold(0.0, f64::max);
    let share = envelope.iter().filter(|size| **size > 0.0).count() as f64 / envelope.len() as f64;
    let clipped: Vec<f64> = own.iter().map(|size| size.min(farthest)).collect();
    let best = area(envelope);
    let scale = share * farthest - best;
    (scale > EQUAL * farthest).then(|| 1.0 - (area(&clipped) - best) / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three images at 0 (wrong when clean), 1 and 3: areas by hand.
    #[test]
    fn optimality_worked_by_hand() {
        let envelope = [0.0, 1.0, 3.0];
        assert_eq!(local_optimality(&envelope, &envelope), Some(1.0));
        let nothing = [0.0, f64::INFINITY, f64::INFINITY];
        let worst = local_optimality(&nothing, &envelope).expect("a number");
        assert!(worst.abs() < 1e-12, "{worst}");
        // A = (0 + 2 + 3) / 3, A* = 4 / 3, the worst 2.
        let half = local_optimality(&[0.0, 2.0, 3.0], &envelope).expect("a number");
        assert!((half - 0.5).abs() < 1e-12, "{half}");
        // By trapezoids: envelope (2/3 + 1/3) / 2 + 2 (1/3 + 0) / 2 = 5/6; attack 2 (2/3 + 1/3) / 2 + 1/6 = 7/6.
        let sum = trapezoid(&[0.0, 2.0, 3.0], &envelope).expect("a number");
        assert!(
            (sum - (1.0 - (7.0 / 6.0 - 5.0 / 6.0) / (2.0 - 5.0 / 6.0))).abs() < 1e-12,
            "{sum}"
        );
        assert_eq!(local_optimality(&[0.0], &[0.0]), None);
        // All as far away, to the last digits: no share of nothing.
        for farthest in [0.326, 0.326_000_1] {
            assert_eq!(local_optimality(&[0.33, 0.326], &[0.326, farthest]), None);
        }
    }
}
