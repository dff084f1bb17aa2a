//! Several trainings of one network, all measured on the same images: a mean with one interval that
//! covers both what other images and what another training would have given.
//!
//! Trainings x images is a two-way layout with random effects and one value a cell. The variance of the mean has
//! a part that more trainings make smaller and a part that more images do; mean squares of the analysis of variance
//! estimate both. The interval adds the squared half-widths of the two parts, Student's t with (trainings - 1) degrees of
//! freedom for the first, normal for the second (Zou and Donner, Statistics in Medicine 2008; Graybill and
//! Wang, JASA 1980). A share, which cannot leave 0 and 1, has Wilson's interval for the number of independent images that
//! would leave one as wide ([`crate::metrics::estimate`]). A simulation below checks that both cover.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::compare::Measure;
use crate::metrics::estimate::{Estimate, Interval, Z95, wilson};
use crate::metrics::natural::Natural;
use crate::metrics::paired_tests::{Difference, normal_quantile, two_sided_normal};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::Condition;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::BTreeMap;

/// One score an image: right (1) or wrong (0), or the image's mean over corruptions.
pub type Scores = BTreeMap<u32, f64>;

/// The mean of several trainings over the same images.
#[derive(Debug, Clone, PartialEq)]
pub struct OverTrainings {
    /// Mean over trainings and images.
    pub mean: f64,
    /// Standard deviation of the trainings' own means.
    pub deviation: f64,
    /// Trainings; at least two.
    pub trainings: usize,
    /// Images that all of them answered; at least two.
    pub images: usize,
    /// Variance of `mean` that more trainings would make smaller.
    pub by_training: f64,
    /// Variance of `mean` that more images would make smaller.
    pub by_image: f64,
}

impl OverTrainings {
    /// From each training's scores; nothing for fewer than two trainings or common images.
    pub fn of(trainings: &[Scores]) -> Option<Self> {
        let (first, others) = trainings.split_first()?;
        let common: Vec<u32> = first
            .keys()
            .filter(|image| others.iter().all(|scores| scores.contains_key(image)))
            .copied()
            .collect();
        let row = |scores: &Scores| common.iter().map(|image| scores[image]).collect::<Vec<f64>>();
        Self::of_rows(&trainings.iter().map(row).collect::<Vec<_>>())
    }

    /// From each training's scores of the same images.
    fn of_rows(rows: &[Vec<f64>]) -> Option<Self> {
        let images = rows.first()?.len();
        if rows.len() < 2 || images < 2 {
            return None;
        }
        let (t, n) = (rows.len() as f64, images as f64);
        let means: Vec<f64> = rows.iter().map(|row| row.iter().sum::<f64>() / n).collect();
        let of_image = |i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / t;
        let columns: Vec<f64> = (0..images).map(of_image).collect();
        let mean = means.iter().sum::<f64>() / t;
        let squares = |values: &[f64]| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let (of_trainings, of_images) = (n * squares(&means) / (t - 1.0), t * squares(&columns) / (n - 1.0));
        let residual = |(row, own): (&Vec<f64>, &f64)| -> f64 {
            let cells = row.iter().zip(&columns);
            cells
                .map(|(value, column)| (value - own - column + mean).powi(2))
                .sum()
        };
        let of_both = rows.iter().zip(&means).map(residual).sum::<f64>() / ((t - 1.0) * (n - 1.0));
        Some(Self {
            mean,
            deviation: (squares(&means) / (t - 1.0)).sqrt(),
            trainings: rows.len(),
            images,
            by_training: (of_trainings - of_both).max(0.0) / (t * n),
            by_image: ((of_images - of_both).max(0.0) + of_both) / (t * n),
        })
    }

    /// Half of the interval at a level, 0.05 for 95 %.
    fn half(&self, level: f64) -> f64 {
        let upper = 1.0 - level / 2.0;
        let normal = normal_quantile(upper);
        let t = quantile(self.trainings as f64 - 1.0, upper);
        (t * t * self.by_training + normal * normal * self.by_image).sqrt()
    }

    /// The 95 % interval.
    pub fn interval(&self) -> (f64, f64) {
        let half = self.half(0.05);
        (self.mean - half, self.mean + half)
    }

    /// Two-sided p-value of a mean of zero: the level whose interval ends at zero.
    pub fn p(&self) -> f64 {
        if self.by_training == 0.0 {
            return match self.by_image > 0.0 {
                true => two_sided_normal(self.mean / self.by_image.sqrt()),
                false => f64::from(u8::from(self.mean == 0.0)),
            };
        }
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.half(middle) < self.mean.abs() {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// Shares of the variance of the mean: by training, by image.
    pub fn shares(&self) -> Option<(f64, f64)> {
        let all = self.by_training + self.by_image;
        (all > 0.0).then(|| (self.by_training / all, self.by_image / all))
    }

    /// As a share of right answers.
    pub fn estimate(&self) -> Estimate {
        let answers = (self.trainings * self.images) as u64;
        let variance = (self.half(0.05) / Z95).powi(2);
        let independent = match variance > 0.0 {
            true => (self.mean * (1.0 - self.mean) / variance).min(answers as f64),
            // All right, or none: what the images say, once.
            false => self.images as f64,
        };
        let (low, high) = wilson(self.mean, independent);
        Estimate {
            right: (self.mean * answers as f64).round() as u64,
            answers,
            images: self.images as u64,
            value: self.mean,
            low,
            high,
            interval: Interval::Trainings,
        }
    }

    /// As a difference of two networks, trained with the same seeds.
    pub fn difference(&self) -> Difference {
        let (low, high) = self.interval();
        Difference {
            value: self.mean,
            low: low.max(-1.0),
            high: high.min(1.0),
            p: self.p(),
            images: self.images as u64,
            test: format!(
                "{} trainings of each, paired by seed and by image, on {} images",
                self.trainings, self.images
            ),
        }
    }
}

/// A quantile of Student's t.
fn quantile(freedom: f64, at: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(at))
}

/// The places of all trainings of a model, its own first; only its own where it was trained once, and for
/// a model that repeats another.
pub fn trainings_of(runs: &Runs, at: usize) -> Vec<usize> {
    let model = &runs.models[at];
    let Some(own) = model.trained.as_ref().filter(|cell| cell.repeats.is_none()) else {
        return vec![at];
    };
    let repeats = |other: &Model| other.run == model.run && other.repeats() == Some(own.name.as_str());
    let others = (0..runs.models.len()).filter(|other| repeats(&runs.models[*other]));
    std::iter::once(at).chain(others).collect()
}

/// The scores of a model's every training; nothing where one of them has none.
pub fn scores(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    at: usize,
    policy: BranchPolicy,
    measure: Measure,
) -> Option<Vec<Scores>> {
    let of = |at: usize| scores_of(runs, (&runs.models[at], &matrices[at]), policy, measure);
    trainings_of(runs, at).into_iter().map(of).collect()
}

/// The scores of one training, read in one way; nothing where it has none.
pub(crate) fn scores_of(
    runs: &Runs,
    (model, matrix): (&Model, &PredictionMatrix),
    policy: BranchPolicy,
    measure: Measure,
) -> Option<Scores> {
    let policy = policy.on(&model.branches);
    let condition = match measure {
        Measure::Npa => {
            let natural = Natural::of(model, matrix, policy);
            return Some(natural.per_image).filter(|scores| !scores.is_empty());
        }
        Measure::Ca => Condition::Clean,
        Measure::AugMix => Condition::AugMix,
        Measure::AdvA => Condition::Attack(runs.headline.clone()?),
    };
    let right = matrix.right(policy, &condition)?;
    let scores = matrix.images.iter().zip(right);
    let scores: Scores = scores
        .filter_map(|(image, right)| Some((*image, f64::from(u8::from(right?)))))
        .collect();
    Some(scores).filter(|scores| !scores.is_empty())
}

/// A model's mean over its trainings; nothing where it was trained once.
pub fn over_trainings(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    at: usize,
    policy: BranchPolicy,
    measure: Measure,
) -> Option<OverTrainings> {
    if trainings_of(runs, at).len() < 2 {
        return None;
    }
    OverTrainings::of(&scores(runs, matrices, at, policy, measure)?)
}

/// A model minus another, seed by seed and image by image; nothing where one of them was trained once.
pub fn difference(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    (this, other): (usize, usize),
    policy: BranchPolicy,
    measure: Measure,
) -> Option<OverTrainings> {
    let of = |at| scores(runs, matrices, at, policy, measure);
    let minus = |(this, other): (&Scores, &Scores)| -> Scores {
        let both = this
            .iter()
            .filter_map(|(image, score)| Some((*image, score - other.get(image)?)));
        both.collect()
    };
    let steps: Vec<Scores> = of(this)?.iter().zip(&of(other)?).map(minus).collect();
    OverTrainings::of(&steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[f64]]) -> Vec<Scores> {
        rows.iter()
            .map(|row| (0..).zip(row.iter().copied()).collect())
            .collect()
    }

    #[test]
    fn a_table_by_hand() {
        // Means of trainings 0.75 and 0.25, of images 1, 0.5, 0.5, 0: mean squares 0.5 (4 * 0.125 / 1),
        // 1/3 (2 * 0.5 / 3) and 1/6 (0.5 / 3).
        let found = OverTrainings::of(&table(&[&[1.0, 1.0, 1.0, 0.0], &[1.0, 0.0, 0.0, 0.0]])).expect("two");
        assert_eq!((found.mean, found.trainings, found.images), (0.5, 2, 4));
        assert!((found.deviation - 0.125_f64.sqrt()).abs() < 1e-12);
        assert!((found.by_training - (0.5 - 1.0 / 6.0) / 8.0).abs() < 1e-12);
        assert!((found.by_image - (1.0 / 3.0) / 8.0).abs() < 1e-12);
        // t of one degree of freedom is 12.706.
        let half = (12.706_204_736_f64.powi(2) / 24.0 + Z95 * Z95 / 24.0).sqrt();
        assert!((found.half(0.05) - half).abs() < 1e-6, "{}", found.half(0.05));
    }

    #[test]
    fn equal_trainings_leave_the_images_only_and_p_ends_the_interval_at_zero() {
        let row: &[f64] = &[1.0, 1.0, 0.0, 1.0];
        let same = OverTrainings::of(&table(&[row, row, row])).expect("three");
        assert_eq!((same.by_training, same.deviation), (0.0, 0.0));
        assert_eq!(same.shares(), Some((0.0, 1.0)));
        let some =
            OverTrainings::of(&table(&[&[1.0, 1.0, 0.0, 1.0], &[1.0, 0.0, 0.0, 1.0], row])).expect("three");
        let p = some.p();
        assert!((some.half(p) - some.mean).abs() < 1e-9, "{p}");
        assert_eq!(OverTrainings::of(&table(&[row])), None);
        assert_eq!(OverTrainings::of(&table(&[row, &[1.0]])), None);
    }

    #[test]
    fn a_share_of_nothing_or_all_is_as_uncertain_as_its_images() {
        let zeros: &[f64] = &[0.0; 20];
        let none = OverTrainings::of(&table(&[zeros, zeros]))
            .expect("two")
            .estimate();
        let once = Estimate::of_images(0, 20);
        assert_eq!((none.value, none.low, none.high), (0.0, once.low, once.high));
        let ones: &[f64] = &[1.0; 20];
        let all = OverTrainings::of(&table(&[ones, ones])).expect("two").estimate();
        assert_eq!((all.low, all.high), (1.0 - once.high, 1.0));
        // One right answer more moves both ends up.
        let mut one = [0.0; 20];
        one[3] = 1.0;
        let some = OverTrainings::of(&table(&[zeros, &one])).expect("two").estimate();
        assert!(some.low > 0.0 && some.high > none.high * 0.8, "{some:?}");
    }

    /// Uniform in (0, 1), then normal by Box and Muller.
    fn normal(state: &mut u64) -> f64 {
        let mut uniform = || {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((*state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    /// An image is right where its own ease, the training's quality and their chance add up to more than 0.
    fn simulated(trainings: usize, spread: f64, shift: f64, state: &mut u64) -> OverTrainings {
        const IMAGES: usize = 300;
        let ease: Vec<f64> = (0..IMAGES).map(|_| 1.5 * normal(state)).collect();
        let training = |_| -> Vec<f64> {
            let quality = shift + spread * normal(state);
            let right = |ease: &f64| f64::from(u8::from(ease + quality + normal(state) > 0.0));
            ease.iter().map(right).collect()
        };
        let rows: Vec<Vec<f64>> = (0..trainings).map(training).collect();
        OverTrainings::of_rows(&rows).expect("trainings and images")
    }

    #[test]
    fn the_interval_covers_at_three_and_at_five_trainings() {
        const TIMES: usize = 1500;
        let mut state = 20_261_129;
        for trainings in [3, 5] {
            for spread in [0.0, 0.05, 0.2] {
                // P(N(shift, 1.5^2 + spread^2 + 1) > 0).
                let (shift, deviation) = (0.3, (1.5_f64 * 1.5 + spread * spread + 1.0).sqrt());
                let truth = 1.0 - 0.5 * two_sided_normal(shift / deviation);
                let mut covered = [0.0; 2];
                for _ in 0..TIMES {
                    let found = simulated(trainings, spread, shift, &mut state);
                    let share = found.estimate();
                    for (times, (low, high)) in covered
                        .iter_mut()
                        .zip([found.interval(), (share.low, share.high)])
                    {
                        *times += f64::from(u8::from((low..=high).contains(&truth)));
                    }
                }
                // Three standard errors of a coverage of 0.95 are 0.017.
                for times in covered {
                    let coverage = times / TIMES as f64;
                    assert!(
                        (0.93..=0.975).contains(&coverage),
                        "{trainings} {spread}: {coverage}"
                    );
                }
            }
        }
    }
}
