//! How steady answers are along a perturbation sequence (Hendrycks and Dietterich, ICLR 2019).
//!
//! Frames are compared in pairs: noise with the first frame, which is the image itself; anything else
//! with the frame before (or `stride` frames before, in as many interleaved sequences). A metric is the
//! mean over the comparisons of a sequence, then over images.
//!
//! Labels play no part: a network that always says the same has no flips, so clean error belongs beside
//! every number here.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::measured_on::{Columns, Quantity};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use rlnet_suites::{Condition, Sequence};

/// The pairs of frames that are compared, the earlier one first.
pub fn comparisons(frames: usize, is_noise: bool, stride: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = if is_noise { 1 } else { stride.max(1) };
    (step..frames).map(move |at| (if is_noise { 0 } else { at - step }, at))
}

/// Mean over comparisons of a distance between two frames' answers.
pub fn mean_distance<T>(
    frames: &[T],
    is_noise: bool,
    stride: usize,
    distance: impl Fn(&T, &T) -> f64,
) -> f64 {
    let pairs = comparisons(frames.len(), is_noise, stride);
    let (sum, count) = pairs.fold((0.0, 0_u32), |(sum, count), (a, b)| {
        (sum + distance(&frames[a], &frames[b]), count + 1)
    });
    sum / f64::from(count.max(1))
}

/// Whether two answers differ: 1 or 0. Its mean is the flip probability.
pub fn flip<T: PartialEq>(a: &T, b: &T) -> f64 {
    f64::from(u8::from(a != b))
}

/// The rank of every class, from 1 for the largest logit; of equal ones the lower class comes first.
pub fn ranks(logits: &[f32]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // A negative zero equals a positive one.
    order.sort_by(|&a, &b| (logits[b] + 0.0).total_cmp(&(logits[a] + 0.0)));
    let mut ranks = vec![0; logits.len()];
    for (rank, class) in (1..).zip(order) {
        ranks[class] = rank;
    }
    ranks
}

/// The top-5 distance of two rankings, from 0 (the same five in the same order) to 15.
pub fn top5_distance(a: &[u32], b: &[u32]) -> f64 {
    let moved = a.iter().zip(b).filter(|(rank, _)| **rank <= 5);
    moved
        .map(|(&rank, &other)| f64::from(rank.abs_diff(other.min(6))))
        .sum()
}

/// The Zipf distance of two rankings: the change of every inverse rank, weighted by the inverse rank.
pub fn zipf_distance(a: &[u32], b: &[u32]) -> f64 {
    let inverse = |rank: u32| 1.0 / f64::from(rank);
    let changes = a.iter().zip(b);
    changes
        .map(|(&rank, &other)| (inverse(rank) - inverse(other)).abs() * inverse(rank))
        .sum()
}

/// Each image's own flip probability along a sequence, as a model is read; absent unless every frame of
/// every image was answered. The worst of branches has no answer of its own.
pub fn flips(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    sequence: Sequence,
    stride: usize,
) -> Option<Vec<f64>> {
    let frames: Vec<_> = Condition::frames(sequence)
        .map(|frame| match matrix.predictions(policy, &frame)?.as_slice() {
            [seen] if seen.right.iter().all(Option::is_some) => Some(*seen),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let of = |image: usize| {
        let given: Vec<u32> = frames.iter().map(|frame| frame.given[image]).collect();
        mean_distance(&given, sequence.is_noise(), stride, flip)
    };
    Some((0..matrix.images.len()).map(of).collect())
}

/// Flip probabilities of one reading of one model.
pub struct Flips {
    /// Of each sequence that is planned, each image's own.
    pub sequences: Vec<(Sequence, Known<Vec<f64>>)>,
}

impl Flips {
    /// Measures the sequences that are planned for a model.
    pub fn of(model: &Model, matrix: &PredictionMatrix, policy: BranchPolicy, columns: &Columns) -> Self {
        let planned = |sequence: &Sequence| {
            let mut conditions = model.planned.iter().map(|(condition, _)| condition);
            conditions.any(|condition| matches!(condition, Condition::Frame { sequence: known, .. } if known == sequence))
        };
        let measure = |sequence: Sequence| {
            columns.admit(model, matrix, &Quantity::Sequence(sequence))?;
            let unfinished = || Unknown::Unfinished(format!("the frames of {sequence}"));
            flips(matrix, policy, sequence, 1).ok_or_else(unfinished)
        };
        let all = Sequence::ALL.into_iter().filter(planned);
        Self {
            sequences: all.map(|sequence| (sequence, measure(sequence))).collect(),
        }
    }

    /// The flip probability of a sequence.
    ///
    /// # Errors
    /// When it is not part of the suite, or not finished.
    pub fn probability(&self, sequence: Sequence) -> Known<Estimate> {
        self.mean(&[sequence])
    }

    /// The mean over sequences of their flip probabilities (mFP), not divided by a base network's.
    ///
    /// # Errors
    /// When one of them is not part of the suite, or not finished.
    pub fn mean(&self, over: &[Sequence]) -> Known<Estimate> {
        let each = over.iter().map(|&sequence| self.per_image(sequence));
        let each: Vec<&Vec<f64>> = each.collect::<Known<_>>()?;
        let images = each.iter().map(|own| own.len()).min().unwrap_or(0);
        let mean = |image: usize| each.iter().map(|own| own[image]).sum::<f64>() / each.len() as f64;
        let means: Vec<f64> = (0..images).map(mean).collect();
        let compared =
            |sequence: &Sequence| comparisons(sequence.frames(), sequence.is_noise(), 1).count() as f64;
        let all: f64 = over.iter().map(compared).sum::<f64>() * images as f64;
        let flipped: f64 = (over.iter().zip(&each))
            .map(|(sequence, own)| compared(sequence) * own.iter().sum::<f64>())
            .sum();
        Ok(Estimate::of_clusters(&means, flipped.round() as u64, all as u64))
    }

    /// The mean over sequences of the flip probability divided by a base network's (mFR); 1 is the base.
    ///
    /// # Errors
    /// As [`Self::mean`], for either network, and when the base never flips.
    pub fn mean_rate(&self, base: &Self, over: &[Sequence]) -> Known<f64> {
        let mut sum = 0.0;
        for &sequence in over {
            let (own, theirs) = (self.probability(sequence)?, base.probability(sequence)?);
            if theirs.value == 0.0 {
                return Err(Unknown::because(format!(
                    "the base never changes its answer along {sequence}"
                )));
            }
            sum += own.value / theirs.value;
        }
        Ok(sum / over.len() as f64)
    }

    fn per_image(&self, sequence: Sequence) -> Known<&Vec<f64>> {
        let found = self.sequences.iter().find(|(known, _)| *known == sequence);
        let absent = || Unknown::because(format!("{sequence} is not part of the suite"));
        found.ok_or_else(absent)?.1.as_ref().map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_compared_with_the_first_frame_and_the_rest_with_the_one_before() {
        let pairs = |noise, stride| comparisons(5, noise, stride).collect::<Vec<_>>();
        assert_eq!(pairs(true, 1), [(0, 1), (0, 2), (0, 3), (0, 4)]);
        assert_eq!(pairs(true, 3), pairs(true, 1));
        assert_eq!(pairs(false, 1), [(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(pairs(false, 3), [(0, 3), (1, 4)]);
    }

    /// By hand: classes 0 and 1 change places, of weights |1 - 1/2| (1 + 1/2); a reversal of ten classes
    /// moves the first five out.
    #[test]
    fn distances_of_rankings_are_those_of_their_definitions() {
        assert_eq!(ranks(&[-0.0, 2.0, 0.0, f32::NEG_INFINITY]), [2, 1, 3, 4]);
        let (straight, reversed): (Vec<u32>, Vec<u32>) = ((1..=10).collect(), (1..=10).rev().collect());
        let mut swapped = straight.clone();
        swapped.swap(0, 1);
        assert_eq!(top5_distance(&straight, &straight), 0.0);
        assert_eq!(top5_distance(&straight, &swapped), 2.0);
        assert_eq!(top5_distance(&straight, &reversed), 15.0);
        assert_eq!(zipf_distance(&straight, &swapped), 0.75);
    }
}
