//! Networks of two sweeps with as many ReLUs, side by side: what the sweep's own baseline (often
//! the teacher, which keeps every ReLU) does not say.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::COMPARED;
use crate::metrics::BranchPolicy;
use crate::metrics::reduction::{Sweep, SweepPoint};
use crate::sections::{Place, Section, Show};

/// ReLUs that may be apart: a hundredth (budgets are rounded to whole channels or units).
const APART: f64 = 0.01;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "matched_pairs",
    place: Place::Numbers,
    show: Show::Table(matched_pairs),
    terms: COMPARED,
};

/// Networks of two sweeps that keep as many ReLUs.
fn pairs<'a>(own: &'a Sweep, other: &'a Sweep) -> Vec<(&'a SweepPoint, &'a SweepPoint)> {
    let students = |sweep: &'a Sweep| sweep.points.iter().skip(usize::from(sweep.from_teacher));
    students(own)
        .filter_map(|a| {
            let close = |b: &&SweepPoint| a.kept.abs_diff(b.kept) as f64 <= APART * a.kept as f64;
            Some((a, students(other).find(close)?))
        })
        .collect()
}

/// One row a pair and measure.
fn matched_pairs(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("other", "Against"),
        Column::new("reduction", "Reduction", "\u{d7}", Kind::Number(1)),
        Column::text("measure", "Measure"),
        Column::share("value", "Its own"),
        Column::share("other_value", "The other's"),
        Column::new("difference", "Difference", "points", Kind::Points),
        Column::new("p", "p", "", Kind::P),
    ];
    let mut rows = Vec::new();
    for (at, own) in analysis.sweeps.iter().enumerate() {
        for (a, b) in analysis.sweeps[at + 1..]
            .iter()
            .flat_map(|other| pairs(own, other))
        {
            let found = analysis.compare(BranchPolicy::Oracle, a.model, b.model);
            rows.extend(found.iter().map(|found| {
                vec![
                    Cell::text(&a.name),
                    Cell::text(&b.name),
                    Cell::of(Value::Number(a.reduction)),
                    Cell::text(found.measure.name()),
                    Cell::share(&Ok(found.this.clone()), &a.name),
                    Cell::share(&Ok(found.baseline.clone()), &b.name),
                    Cell {
                        value: Value::Points(found.difference.clone()),
                        trace: found.difference.test.clone(),
                    },
                    Cell::of(Value::P(found.difference.p)),
                ]
            }));
        }
    }
    Table::new(
        "matched_pairs",
        "Networks with as many ReLUs",
        "Networks of two sweeps whose numbers of ReLUs are at most 1 % apart, each kind of image through its own branch. Differences in points are paired by image, with 95 % intervals; p-values are not adjusted.",
        columns,
        rows,
    )
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
    fn a_pair_keeps_as_many_relus_and_teachers_are_no_pair() {
        let own = sweep("a", &[1000, 500, 200, 100, 50]);
        let names = |other: &Sweep| -> Vec<(String, String)> {
            (pairs(&own, other).iter())
                .map(|(a, b)| (a.name.clone(), b.name.clone()))
                .collect()
        };
        let found = names(&sweep("b", &[1000, 499, 101, 50]));
        let expected = [("a-500", "b-499"), ("a-100", "b-101"), ("a-50", "b-50")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(names(&sweep("c", &[1000, 300])), []);
    }
}
