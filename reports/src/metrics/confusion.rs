//! What is taken for what: how often images of one class are given another, clean, corrupted and
//! attacked. Two networks of one accuracy can be wrong in different ways.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::PredictionMatrix;
use rlnet_suites::Condition;

/// Answers by true class (first) and given class (second), each kind of image through the branch
/// trained for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Counts answers under some conditions together; nothing when one of them is not measured.
    pub fn of(grid: &PredictionMatrix, conditions: &[Condition]) -> Option<Self> {
        let mut counts: Vec<Vec<u64>> = Vec::new();
        for (_, label, given) in answers(grid, conditions)? {
            let classes = counts.len().max(label.max(given) + 1);
            counts.resize_with(classes, Vec::new);
            counts.iter_mut().for_each(|row| row.resize(classes, 0));
            counts[label][given] += 1;
        }
        (!counts.is_empty()).then_some(Self { counts })
    }

    /// Number of classes seen.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Answers in which images of class `from` were taken for class `to`.
    pub fn count(&self, from: usize, to: usize) -> u64 {
        let row = self.counts.get(from);
        row.and_then(|row| row.get(to)).copied().unwrap_or(0)
    }

    /// The share of a class's answers that say another; 0 without answers.
    pub fn share(&self, from: usize, to: usize) -> f64 {
        let answers: u64 = self.counts.get(from).map_or(0, |row| row.iter().sum());
        self.count(from, to) as f64 / answers.max(1) as f64
    }

    /// Pairs of different classes that were mixed up at all, the most mixed up first.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let mut all: Vec<(usize, usize)> = (0..self.classes())
            .flat_map(|from| (0..self.classes()).map(move |to| (from, to)))
            .filter(|(from, to)| from != to && self.count(*from, *to) > 0)
            .collect();
        all.sort_by(|a, b| self.share(b.0, b.1).total_cmp(&self.share(a.0, a.1)));
        all
    }
}

/// How often images of class `from` are taken for class `to`, images being the clusters of
/// answers under several conditions.
pub fn share(grid: &PredictionMatrix, conditions: &[Condition], from: usize, to: usize) -> Option<Estimate> {
    let mut own = vec![(0_u64, 0_u64); grid.images.len()];
    for (place, label, given) in answers(grid, conditions)? {
        if label == from {
            own[place] = (own[place].0 + u64::from(given == to), own[place].1 + 1);
        }
    }
    own.retain(|(_, answers)| *answers > 0);
    let (taken, answers) = own.iter().fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    if answers == 0 {
        return None;
    }
    if conditions.len() == 1 {
        return Some(Estimate::of_images(taken, answers));
    }
    let shares: Vec<f64> = own.iter().map(|(taken, n)| *taken as f64 / *n as f64).collect();
    Some(Estimate::of_clusters(&shares, taken, answers))
}

/// Place of the image, its class and the class given, of every answer.
fn answers(grid: &PredictionMatrix, conditions: &[Condition]) -> Option<Vec<(usize, usize, usize)>> {
    let mut all = Vec::new();
    for condition in conditions {
        let predictions = grid.predictions(BranchPolicy::Oracle, condition)?;
        let seen = predictions.first()?;
        for (place, given) in seen.given.iter().enumerate() {
            if seen.right[place].is_some() {
                all.push((place, grid.labels[place] as usize, *given as usize));
            }
        }
    }
    Some(all)
}
