//! Which questions of a gate have a bad answer: paired tests over the same images, the whole
//! gate at one level (Holm), and a smallest effect that is worth stopping for.

use super::check::{Check, Question};
use crate::metrics::paired_tests::{Difference, McNemar, holm, paired_means, sign_test};

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
                tests: 1,
                causes: Vec::new(),
            })
        })
        .collect();
    let raw: Vec<f64> = checks.iter().map(|check| check.difference.p).collect();
    for (check, adjusted) in checks.iter_mut().zip(holm(&raw)) {
        (check.adjusted, check.tests) = (adjusted, raw.len());
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
