//! Which questions of a gate have a bad answer: paired tests over the same images, the whole
//! gate at one level (Holm), and a smallest effect that is worth stopping for.

use super::cause::Cause;
use crate::metrics::paired::{Difference, McNemar, holm, paired_means, sign_test};
use crate::metrics::reading::Reading;
use crate::words;
use rlnet_suites::Condition;

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
    pub reading: Reading,
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
            self.question.reading.label(),
            self.question.measure,
            words::percent(old),
            words::percent(new),
            words::points(self.difference.value),
            words::p_value(self.adjusted),
            worse.len(),
            better.len(),
            causes.join("; or ")
        ))
    }
}

/// Answers all questions of a gate together.
pub fn decide(questions: Vec<Question>, level: f64) -> Vec<Check> {
    let mut checks: Vec<Check> = questions
        .into_iter()
        .filter_map(|question| {
            Some(Check {
                difference: difference(&question)?,
                question,
                adjusted: 1.0,
                level,
                causes: Vec::new(),
            })
        })
        .collect();
    let raw: Vec<f64> = checks.iter().map(|check| check.difference.p).collect();
    for (check, adjusted) in checks.iter_mut().zip(holm(&raw)) {
        check.adjusted = adjusted;
    }
    checks
}

/// `McNemar`'s exact test where answers are right or wrong; where they are means over several
/// conditions, a paired z test of the images' own means.
fn difference(question: &Question) -> Option<Difference> {
    let whole = |share: &f64| *share == 0.0 || *share == 1.0;
    if question.old.is_empty() {
        return None;
    }
    if question.old.iter().chain(&question.new).all(whole) {
        let steps = question.old.iter().zip(&question.new);
        let (mut gained, mut lost) = (0, 0);
        for (old, new) in steps {
            gained += u64::from(new > old);
            lost += u64::from(new < old);
        }
        let test = McNemar {
            only_this: gained,
            only_other: lost,
            images: question.old.len() as u64,
            p: sign_test(gained, lost),
        };
        return Some(test.difference());
    }
    let keyed = |values: &[f64]| {
        question
            .images
            .iter()
            .copied()
            .zip(values.iter().copied())
            .collect()
    };
    paired_means(&keyed(&question.new), &keyed(&question.old))
}
