//! How steady answers are along a perturbation sequence (Hendrycks and Dietterich, ICLR 2019).
//!
//! Frames are compared in pairs: noise with the first frame, which is the image itself; anything else
//! with the frame before (or `stride` frames before, in as many interleaved sequences). A metric is the
//! mean over the comparisons of a sequence, then over images.
//!
//! Labels play no part: a network that always says the same has no flips, so clean error belongs beside
//! every number here.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::{Estimate, Known, Unknown, Z95};
use crate::metrics::measured_on::{Columns, Quantity};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use rlnet_suites::{Condition, Ranking, Sequence};

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

/// The top-5 distance of two orders of classes, or of their first five: from 0 (the same five in the same order) to 15.
pub fn top5_distance(a: &[u16], b: &[u16]) -> f64 {
    let places = a.iter().take(Ranking::FIRST).enumerate();
    let moved = places.map(|(place, class)| {
        let first = b.iter().take(Ranking::FIRST);
        let now = first
            .clone()
            .position(|other| other == class)
            .unwrap_or(Ranking::FIRST);
        place.abs_diff(now) as f64
    });
    moved.sum()
}

/// The Zipf distance of two orders of all classes: the change of every class's inverse rank, weighted by its inverse
/// rank.
pub fn zipf_distance(a: &[u16], b: &[u16]) -> f64 {
    let mut now = vec![0.0; b.len()];
    for (rank, &class) in (1..).zip(b) {
        now[usize::from(class)] = 1.0 / f64::from(rank);
    }
    let each = (1..).zip(a).map(|(rank, &class)| {
        let before = 1.0 / f64::from(rank);
        (before - now[usize::from(class)]).abs() * before
    });
    each.sum()
}

/// What is compared of the answers to two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// The class given: 1 where it differs.
    Flip,
    /// The order of the first five classes.
    TopFive,
    /// The order of all classes.
    Zipf,
}

/// Each image's own mean distance along a sequence, as a model is read. The worst of branches has no answer of its
/// own.
///
/// # Errors
/// Unless every frame of every image was answered, and its row keeps what is compared.
fn along(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    sequence: Sequence,
    distance: Distance,
) -> Known<Vec<f64>> {
    let frames: Option<Vec<_>> = Condition::frames(sequence)
        .map(|frame| match matrix.predictions(policy, &frame)?.as_slice() {
            [seen] if seen.right.iter().all(Option::is_some) => Some(*seen),
            _ => None,
        })
        .collect();
    let frames = frames.ok_or_else(|| Unknown::Unfinished(format!("the frames of {sequence}")))?;
    let images = 0..matrix.images.len();
    let noise = sequence.is_noise();
    if distance == Distance::Flip {
        let of = |image: usize| {
            let given: Vec<u32> = frames.iter().map(|frame| frame.given[image]).collect();
            mean_distance(&given, noise, 1, flip)
        };
        return Ok(images.map(of).collect());
    }
    let kept = frames.iter().flat_map(|frame| match frame.ranking.as_slice() {
        [] => &NO_RANKING[..],
        all => all,
    });
    let fewest = kept.map(|ranking| ranking.classes().len()).min().unwrap_or(0);
    match (distance, fewest) {
        (_, 0) => {
            return Err(Unknown::because(
                "rows of an earlier version keep no order of classes",
            ));
        }
        (Distance::Zipf, Ranking::FIRST) => {
            return Err(Unknown::because(format!(
                "of more than {} classes rows keep the first {}",
                Ranking::MOST,
                Ranking::FIRST
            )));
        }
        _ => {}
    }
    let of = |image: usize| {
        let orders: Vec<&[u16]> = (frames.iter())
            .map(|frame| frame.ranking[image].classes())
            .collect();
        mean_distance(&orders, noise, 1, |a, b| match distance {
            Distance::Zipf => zipf_distance(a, b),
            _ => top5_distance(a, b),
        })
    };
    Ok(images.map(of).collect())
}

/// Whether a mean over images can be told from zero: its 95 % interval lies above it. What is divided by another
/// mean would be of any size.
fn is_told_from_zero(each: &[f64]) -> bool {
    let n = each.len() as f64;
    let mean = each.iter().sum::<f64>() / n;
    let variance = each.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    mean > Z95 * (variance / n).sqrt()
}

/// What a condition without rankings keeps.
static NO_RANKING: [Ranking; 1] = [Ranking::NONE];

/// How far answers change along the sequences that are planned for one reading of one model.
pub struct Changes {
    /// Of each sequence, each image's own mean distance.
    pub sequences: Vec<(Sequence, Known<Vec<f64>>)>,
}

impl Changes {
    /// Measures the sequences that are planned for a model.
    pub fn of(
        model: &Model,
        matrix: &PredictionMatrix,
        policy: BranchPolicy,
        columns: &Columns,
        distance: Distance,
    ) -> Self {
        let planned = |sequence: &Sequence| {
            let mut conditions = model.planned.iter().map(|(condition, _)| condition);
            conditions.any(|condition| matches!(condition, Condition::Frame { sequence: known, .. } if known == sequence))
        };
        let measure = |sequence: Sequence| {
            columns.admit(model, &Quantity::Sequence(sequence))?;
            along(matrix, policy, sequence, distance)
        };
        let all = Sequence::ALL.into_iter().filter(planned);
        Self {
            sequences: all.map(|sequence| (sequence, measure(sequence))).collect(),
        }
    }

    /// Of flips, the flip probability of a sequence.
    ///
    /// # Errors
    /// When it is not part of the suite, or not finished.
    pub fn probability(&self, sequence: Sequence) -> Known<Estimate> {
        self.mean_probability(&[sequence])
    }

    /// Of flips, the mean over sequences of their probabilities (mFP), not divided by a base network's.
    ///
    /// # Errors
    /// When one of them is not part of the suite, or not finished.
    pub fn mean_probability(&self, over: &[Sequence]) -> Known<Estimate> {
        let (each, means) = self.means(over)?;
        let compared =
            |sequence: &Sequence| comparisons(sequence.frames(), sequence.is_noise(), 1).count() as f64;
        let all: f64 = over.iter().map(compared).sum::<f64>() * means.len() as f64;
        let flipped: f64 = (over.iter().zip(&each))
            .map(|(sequence, own)| compared(sequence) * own.iter().sum::<f64>())
            .sum();
        Ok(Estimate::of_clusters(&means, flipped.round() as u64, all as u64))
    }

    /// The mean over sequences and images of a distance.
    ///
    /// # Errors
    /// As [`Self::mean_probability`], and when rows do not keep what is compared.
    pub fn mean(&self, over: &[Sequence]) -> Known<f64> {
        let (_, means) = self.means(over)?;
        Ok(means.iter().sum::<f64>() / means.len().max(1) as f64)
    }

    /// The mean over sequences of the distance divided by a base network's (of flips mFR, of the top five mT5D); 1 is the
    /// base.
    ///
    /// # Errors
    /// As [`Self::mean`], for either network, and when it cannot be told that anything changes with the base.
    pub fn mean_rate(&self, base: &Self, over: &[Sequence]) -> Known<f64> {
        let mut sum = 0.0;
        for &sequence in over {
            let (own, theirs) = (self.mean(&[sequence])?, base.mean(&[sequence])?);
            if !is_told_from_zero(base.per_image(sequence)?) {
                return Err(Unknown::because(format!(
                    "how often the base changes its answer along {sequence} cannot be told from never"
                )));
            }
            sum += own / theirs;
        }
        Ok(sum / over.len() as f64)
    }

    /// Each sequence's distances, and each image's mean over them.
    fn means(&self, over: &[Sequence]) -> Known<(Vec<&Vec<f64>>, Vec<f64>)> {
        let each = over.iter().map(|&sequence| self.per_image(sequence));
        let each: Vec<&Vec<f64>> = each.collect::<Known<_>>()?;
        let images = each.iter().map(|own| own.len()).min().unwrap_or(0);
        let mean = |image: usize| each.iter().map(|own| own[image]).sum::<f64>() / each.len() as f64;
        let means = (0..images).map(mean).collect();
        Ok((each, means))
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

    /// One image of forty that flips once cannot be told from none: 0.025 against 1.96 times 0.025. Ten of forty can.
    #[test]
    fn a_rate_is_of_a_base_that_changes_beyond_chance() {
        let flips =
            |count: usize| -> Vec<f64> { (0..40).map(|image| f64::from(u8::from(image < count))).collect() };
        assert!(!is_told_from_zero(&flips(0)) && !is_told_from_zero(&flips(1)));
        assert!(is_told_from_zero(&flips(10)) && is_told_from_zero(&flips(40)));
        let changes = |count: usize| Changes {
            sequences: vec![(Sequence::Snow, Ok(flips(count)))],
        };
        let rate = |own: usize, base: usize| changes(own).mean_rate(&changes(base), &[Sequence::Snow]);
        assert_eq!(rate(20, 10), Ok(2.0));
        let why = rate(20, 1).expect_err("noise").to_string();
        assert!(why.contains("snow cannot be told from never"), "{why}");
    }

    /// By hand: classes 0 and 1 change places, of weights |1 - 1/2| (1 + 1/2); a reversal of ten classes
    /// moves the first five out.
    #[test]
    fn distances_of_orders_are_those_of_their_definitions() {
        assert_eq!(Ranking::order(&[-0.0, 2.0, 0.0, f32::NEG_INFINITY]), [1, 0, 2, 3]);
        let (straight, reversed): (Vec<u16>, Vec<u16>) = ((0..10).collect(), (0..10).rev().collect());
        let mut swapped = straight.clone();
        swapped.swap(0, 1);
        assert_eq!(top5_distance(&straight, &straight), 0.0);
        assert_eq!(top5_distance(&straight, &swapped), 2.0);
        assert_eq!(top5_distance(&straight, &reversed), 15.0);
        assert_eq!(top5_distance(&straight[..5], &swapped[..5]), 2.0);
        assert_eq!(zipf_distance(&straight, &swapped), 0.75);
    }
}
