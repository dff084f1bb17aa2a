//! Networks of two sweeps with as many ReLUs, side by side: what the sweep's own baseline (often
//! the teacher, which keeps every ReLU) does not say.

use crate::analysis::Analysis;
use crate::format;
use crate::metrics::BranchPolicy;
use crate::metrics::compare::{Measure, compare};
use crate::metrics::reduction::{Sweep, SweepPoint};

/// ReLUs that may be apart: a hundredth (budgets are rounded to whole channels or units).
const APART: f64 = 0.01;

/// The pair with the largest common reduction up to a network's own, else with the smallest.
fn pair<'a>(own: &'a Sweep, other: &'a Sweep, upto: f64) -> Option<(&'a SweepPoint, &'a SweepPoint)> {
    let mut pairs: Vec<(&SweepPoint, &SweepPoint)> = Vec::new();
    for a in own.points.iter().skip(usize::from(own.from_teacher)) {
        let mut theirs = other.points.iter().skip(usize::from(other.from_teacher));
        let close = |b: &&SweepPoint| a.kept.abs_diff(b.kept) as f64 <= APART * a.kept as f64;
        pairs.extend(theirs.find(close).map(|b| (a, b)));
    }
    let within = pairs
        .iter()
        .rev()
        .find(|(a, _)| a.reduction <= upto * (1.0 + APART));
    within.or(pairs.first()).copied()
}

/// `With as many ReLUs (5.0x), rlnet-5x against senet-5x: ...`, a sentence for every other sweep.
pub fn sentences(analysis: &Analysis, own: &Sweep, subject: &str) -> Vec<String> {
    let about = own.points.iter().find(|point| point.name == subject);
    let upto = about.map_or(f64::INFINITY, |point| point.reduction);
    let others = analysis.sweeps.iter().filter(|other| other.name != own.name);
    others
        .filter_map(|other| sentence(analysis, pair(own, other, upto)?))
        .collect()
}

fn sentence(analysis: &Analysis, (own, other): (&SweepPoint, &SweepPoint)) -> Option<String> {
    let of = |point: &SweepPoint| {
        Some((
            analysis.runs.models.get(point.model)?,
            analysis.matrices.get(point.model)?,
        ))
    };
    let found = compare(
        &analysis.runs,
        &analysis.triples,
        BranchPolicy::Oracle,
        of(own)?,
        of(other)?,
    );
    let parts = found.iter().filter_map(|found| {
        let what = match found.measure {
            Measure::AdvA => "under attack",
            Measure::Ca => "on clean images",
            Measure::Npa => "on corrupted images",
            Measure::AugMix => return None,
        };
        let [value, low, high] = [
            found.difference.value,
            found.difference.low,
            found.difference.high,
        ]
        .map(format::points);
        Some(format!("{value} points [{low},\u{a0}{high}] {what}"))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| {
        format!(
            "With as many ReLUs ({:.1}\u{d7} fewer), {} against {}: {}.",
            own.reduction,
            own.name,
            other.name,
            format::list(&parts)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(name: &str, kept: &[u64]) -> Sweep {
        let points = kept.iter().map(|kept| SweepPoint {
            model: 0,
            name: format!("{name}-{kept}"),
            reduction: 1000.0 / *kept as f64,
            kept: *kept,
        });
        Sweep {
            name: name.to_owned(),
            reference: String::new(),
            from_teacher: true,
            points: points.collect(),
            lines: Vec::new(),
        }
    }

    #[test]
    fn rivals_keep_as_many_relus_and_are_no_smaller_than_the_subject() {
        let own = sweep("a", &[1000, 500, 200, 100, 50]);
        let other = sweep("b", &[1000, 499, 101, 50]);
        let names = |upto| pair(&own, &other, upto).map(|(a, b)| (a.name.clone(), b.name.clone()));
        assert_eq!(names(12.0), Some(("a-100".into(), "b-101".into())));
        assert_eq!(names(5.0), Some(("a-500".into(), "b-499".into())));
        // None at or before 1x: the first there is. The teachers, at 1x, are no pair.
        assert_eq!(names(1.0), Some(("a-500".into(), "b-499".into())));
        assert_eq!(
            pair(&own, &sweep("c", &[1000, 300]), 12.0).map(|(a, _)| a.kept),
            None
        );
    }
}
