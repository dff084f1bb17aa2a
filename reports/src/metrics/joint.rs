//! Accuracy under several conditions or branches at once.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::{PredictionMatrix, Right, both_right};
use rlnet_suites::{AttackSpec, Condition};

/// The share of images right under all of some conditions at once.
pub fn joint(matrix: &PredictionMatrix, policy: BranchPolicy, conditions: &[Condition]) -> Option<Estimate> {
    let each: Option<Vec<Right>> = conditions
        .iter()
        .map(|condition| matrix.right(policy, condition))
        .collect();
    let known: Vec<bool> = each?
        .into_iter()
        .reduce(both_right)?
        .into_iter()
        .flatten()
        .collect();
    let right = known.iter().filter(|right| **right).count();
    Some(Estimate::of_images(right as u64, known.len() as u64))
}

/// Accuracy of a defence that picks a branch at random for every image, under one attack made
/// against all branches: each image counts with the share of branches that are right.
pub fn random_branch(matrix: &PredictionMatrix, attack: &AttackSpec) -> Option<Estimate> {
    let condition = Condition::Attack(attack.clone());
    let predictions = matrix.predictions(BranchPolicy::Worst, &condition)?;
    if predictions.len() < 2 {
        return None;
    }
    let (mut shares, mut right, mut answers) = (Vec::new(), 0, 0);
    for image in 0..matrix.images.len() {
        let known: Option<Vec<bool>> = predictions.iter().map(|seen| seen.right[image]).collect();
        let Some(known) = known else { continue };
        let hits = known.iter().filter(|right| **right).count();
        shares.push(hits as f64 / known.len() as f64);
        right += hits as u64;
        answers += known.len() as u64;
    }
    Some(Estimate::of_clusters(&shares, right, answers))
}
