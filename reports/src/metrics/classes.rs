//! Accuracy class by class, and the class that is worst off: a mean over classes hides that
//! adversarial training takes from some classes more than from others (Xu et al., ICML 2021).

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::PredictionMatrix;
use rlnet_suites::Condition;
use std::collections::BTreeMap;

/// Accuracy per class over some conditions together; every image weighs the same.
pub fn by_class(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    conditions: &[Condition],
) -> Option<BTreeMap<u32, Estimate>> {
    let mut counts: Vec<(u64, u64)> = vec![(0, 0); matrix.images.len()];
    for condition in conditions {
        for ((right, answers), answer) in counts.iter_mut().zip(matrix.right(policy, condition)?) {
            *right += u64::from(answer == Some(true));
            *answers += u64::from(answer.is_some());
        }
    }
    let mut classes: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for (label, count) in matrix.labels.iter().zip(counts) {
        if count.1 > 0 {
            classes.entry(*label).or_default().push(count);
        }
    }
    let estimate = |counts: &[(u64, u64)]| {
        let (right, answers) = counts
            .iter()
            .fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        if conditions.len() == 1 {
            return Estimate::of_images(right, answers);
        }
        let own: Vec<f64> = counts
            .iter()
            .map(|(right, n)| *right as f64 / *n as f64)
            .collect();
        Estimate::of_clusters(&own, right, answers)
    };
    let classes = classes.iter();
    (!conditions.is_empty()).then(|| {
        classes
            .map(|(label, counts)| (*label, estimate(counts)))
            .collect()
    })
}

/// The class with the lowest accuracy; of equals the first.
pub fn worst(classes: &BTreeMap<u32, Estimate>) -> Option<(u32, &Estimate)> {
    let worst = classes.iter().min_by(|a, b| a.1.value.total_cmp(&b.1.value));
    worst.map(|(label, estimate)| (*label, estimate))
}
