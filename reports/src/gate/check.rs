//! A question of a gate and its answer.

use crate::format;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::paired_tests::{Difference, normal_quantile};
use rlnet_suites::Condition;
use serde::Serialize;

/// A kind of cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Other images or labels.
    Data,
    /// Other weights.
    Model,
    /// Another attack, or the same behaving otherwise.
    Attack,
    /// Another machine, library, thread count or program.
    Numerics,
    /// Nothing that identifies a run differs.
    Unknown,
}

impl Cause {
    /// In words, given whether accuracy rose.
    pub fn said(self, rose: bool) -> &'static str {
        match (self, rose) {
            (Self::Data, _) => "drifted data",
            (Self::Model, true) => "stronger model",
            (Self::Model, false) => "weaker model",
            (Self::Attack, true) => "weaker attack",
            (Self::Attack, false) => "stronger attack",
            (Self::Numerics, _) => "changed numerics",
            (Self::Unknown, _) => "unknown cause",
        }
    }
}

/// What a rule allows, in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Smallest drop that trips.
    pub drop: Option<f64>,
    /// Smallest rise that trips.
    pub rise: Option<f64>,
}

/// One number of both runs, image by image.
#[derive(Debug, Clone)]
pub struct Question {
    /// The model.
    pub model: String,
    /// How it is read.
    pub policy: BranchPolicy,
    /// What is measured, in words.
    pub measure: String,
    /// Conditions behind it, in the older and in the newer run.
    pub conditions: (Vec<Condition>, Vec<Condition>),
    /// Images that both answered.
    pub images: Vec<u32>,
    /// Share of right answers per image, older run.
    pub old: Vec<f64>,
    /// The same, newer run.
    pub new: Vec<f64>,
    /// What is allowed.
    pub limits: Limits,
}

/// One answered question.
#[derive(Debug, Clone)]
pub struct Check {
    /// The question.
    pub question: Question,
    /// Newer minus older.
    pub difference: Difference,
    /// p-value after Holm's adjustment over the gate.
    pub adjusted: f64,
    /// The gate's level.
    pub level: f64,
    /// How many questions share the level.
    pub tests: usize,
    /// What may have moved it, most likely first.
    pub causes: Vec<(Cause, String)>,
}

impl Check {
    /// Whether the two runs differ beyond chance.
    pub fn moved(&self) -> bool {
        self.adjusted < self.level
    }

    /// Whether it stops the run.
    pub fn tripped(&self) -> bool {
        let points = 100.0 * self.difference.value;
        // A minimum of 0.5 points is met by 0.5, whatever binary fractions make of it.
        let beyond =
            |limit: Option<f64>, size: f64| limit.is_some_and(|limit| size > 0.0 && size + 1e-9 >= limit);
        self.moved()
            && (beyond(self.question.limits.drop, -points) || beyond(self.question.limits.rise, points))
    }

    /// Mean of the older and of the newer run.
    pub fn means(&self) -> (f64, f64) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        (mean(&self.question.old), mean(&self.question.new))
    }

    /// Images that got worse, and images that got better.
    pub fn flipped(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut worse, mut better) = (Vec::new(), Vec::new());
        let answers = self.question.old.iter().zip(&self.question.new);
        for (image, (old, new)) in self.question.images.iter().zip(answers) {
            if new < old {
                worse.push(*image);
            } else if new > old {
                better.push(*image);
            }
        }
        (worse, better)
    }

    /// The smallest change of this number, a share, on which the gate would have tripped with probability 0.8, had it been
    /// there. A change by `d` flips at least a share `d` of the images, which adds to the variance of the images' own changes
    /// (normal approximation; Holm's first step, as if nothing else had changed).
    pub fn smallest_effect(&self) -> f64 {
        let n = self.question.images.len() as f64;
        let steps = self
            .question
            .new
            .iter()
            .zip(&self.question.old)
            .map(|(new, old)| new - old);
        let variance = steps
            .map(|step| (step - self.difference.value).powi(2))
            .sum::<f64>()
            / n;
        let power = normal_quantile(0.8);
        let reach = (normal_quantile(1.0 - self.level / (2.0 * self.tests as f64)) + power).powi(2) / n;
        let significant = f64::midpoint(reach, (reach * reach + 4.0 * reach * variance).sqrt());
        let Limits { drop, rise } = self.question.limits;
        let limit = [drop, rise].into_iter().flatten().fold(f64::INFINITY, f64::min) / 100.0;
        let beyond = limit + power * ((variance + limit) / n).sqrt();
        significant.max(beyond).min(1.0)
    }

    /// Why the gate tripped on it, in one line.
    pub fn reason(&self) -> Option<String> {
        if !self.tripped() {
            return None;
        }
        let (old, new) = self.means();
        let (worse, better) = self.flipped();
        let rose = self.difference.value > 0.0;
        let causes: Vec<String> = self
            .causes
            .iter()
            .map(|(cause, what)| format!("{}: {what}", cause.said(rose)))
            .collect();
        Some(format!(
            "{}, {}, {}: {} % to {} % ({} points, p {}; {} images worse, {} better); {}",
            self.question.model,
            self.question.policy.label(),
            self.question.measure,
            format::percent(old),
            format::percent(new),
            format::points(self.difference.value),
            format::p_value(self.adjusted),
            worse.len(),
            better.len(),
            causes.join("; or ")
        ))
    }
}
