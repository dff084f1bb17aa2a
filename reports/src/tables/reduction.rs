//! Accuracy against the reduction, and where it falls.

use super::by_branch::READ;
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{ADVA, CA, NPA, REDUCTION, RELUS};
use crate::metrics::reduction::{Knee, MARGIN, Sweep, SweepLine};
use crate::metrics::{BranchPolicy, Measure};
use crate::sections::{Place, Section, Show};

const MEASURES: [Measure; 3] = [Measure::Ca, Measure::Npa, Measure::AdvA];

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "reduction",
    place: Place::Numbers,
    show: Show::Table(points),
    terms: &[CA, NPA, ADVA, REDUCTION, RELUS],
};

/// The section.
pub(crate) const KNEES: Section = Section {
    id: "knees",
    place: Place::Numbers,
    show: Show::Table(knees),
    terms: &[CA, NPA, ADVA],
};

/// One row a network and reading: its share, and the paired difference to the reference.
fn points(analysis: &Analysis) -> Table {
    let mut columns = vec![
        Column::text("sweep", "Sweep"),
        Column::text("model", "Model"),
        Column::text("reading", READ),
        Column::new("reduction", "Reduction", "\u{d7}", Kind::Number(1)),
        Column::new("relus", "ReLUs", "", Kind::Integer),
    ];
    for measure in MEASURES {
        let (key, name) = (measure.name().to_lowercase(), measure.name());
        columns.push(Column::share(key.clone(), name));
        columns.push(Column::new(
            format!("{key}_lost"),
            format!("{name} \u{2212} reference"),
            "points",
            Kind::Points,
        ));
    }
    let mut rows = Vec::new();
    for sweep in &analysis.sweeps {
        for policy in policies(sweep) {
            for (at, point) in sweep.points.iter().enumerate() {
                let branches = &analysis.runs.models[point.model].branches;
                let mut row = vec![
                    Cell::text(&sweep.name),
                    Cell::text(&point.name),
                    Cell::text(policy.on(branches).label()),
                    Cell::of(Value::Number(point.reduction)),
                    Cell::integer(point.kept),
                ];
                for measure in MEASURES {
                    row.extend(cells(sweep, line(sweep, measure, policy), at));
                }
                rows.push(row);
            }
        }
    }
    Table::new(
        "reduction",
        "Accuracy against the reduction in ReLUs",
        "Networks that share their teacher and every setting but the number of ReLUs. The reference is the all-ReLU teacher where it was evaluated, else the network that keeps most; differences to it are paired by image, with 95 % intervals.",
        columns,
        rows,
    )
}

fn cells(sweep: &Sweep, line: Option<&SweepLine>, at: usize) -> [Cell; 2] {
    let absent = |why: &str| Cell::absent(why);
    let found = line.and_then(|line| line.values[at].as_ref());
    let Some((share, difference)) = found else {
        return [
            absent("not measured, or unfinished"),
            absent("not measured, or unfinished"),
        ];
    };
    let lost = match difference {
        Some(difference) => Cell {
            value: Value::Points(difference.clone()),
            trace: format!("{}; against {}", difference.test, sweep.reference),
        },
        None => absent("this is the reference"),
    };
    [Cell::share(&Ok(share.clone()), &sweep.points[at].name), lost]
}

/// One row a line: where it falls.
fn knees(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("sweep", "Sweep"),
        Column::text("measure", "Measure"),
        Column::text("reading", READ),
        Column::new("knee", "Knee", "\u{d7}", Kind::Number(1)),
        Column::new("next", "Fallen at", "\u{d7}", Kind::Number(1)),
        Column::new("low", "Knee at least", "\u{d7}", Kind::Number(1)),
        Column::new("high", "at most", "\u{d7}", Kind::Number(1)),
        Column::new("lost", "Lost there", "points", Kind::Points),
        Column::new("words", "In words", "", Kind::Text),
    ];
    let mut rows = Vec::new();
    for sweep in &analysis.sweeps {
        for line in &sweep.lines {
            let branches = &analysis.runs.models[sweep.points[0].model].branches;
            let (knee, fallen) = match line.knee {
                Knee::Between(at, next) => (Some(at), Some(next)),
                Knee::BeforeFirst(next) => (None, Some(next)),
                Knee::BeyondLast(at) => (Some(at), None),
                Knee::Unknown => (None, None),
            };
            let reduction =
                |at: Option<usize>, why: &str| Cell::number(at.map(|at| sweep.points[at].reduction), why);
            let range = line.knee_range();
            let lost = fallen.and_then(|at| line.values[at].as_ref()?.1.clone());
            rows.push(vec![
                Cell::text(&sweep.name),
                Cell::text(line.measure.name()),
                Cell::text(line.policy.on(branches).label()),
                reduction(knee, "the smallest reduction has fallen, or not all are measured"),
                reduction(fallen, "no reduction has fallen, or not all are measured"),
                reduction(range.map(|(low, _)| low), "not all are measured"),
                reduction(
                    range.and_then(|(_, high)| high),
                    "beyond the last, or not all are measured",
                ),
                match lost {
                    Some(lost) => Cell {
                        trace: lost.test.clone(),
                        value: Value::Points(lost),
                    },
                    None => Cell::absent("no reduction has fallen"),
                },
                Cell::text(knee_in_words(sweep, line)),
            ]);
        }
    }
    Table::new(
        "knees",
        "Where accuracy falls",
        format!(
            "The knee is the last reduction before the first loss of more than {} points against the reference whose paired 95 % interval excludes zero. Knee at least, at most: the last reductions before the 95 % interval of the loss reaches beyond {} points, and before it lies beyond them as a whole.",
            format::percent(MARGIN),
            format::percent(MARGIN)
        ),
        columns,
        rows,
    )
}

/// The knee of a line as a sentence's end; "within" is said of losses that may be chance, too.
pub fn knee_in_words(sweep: &Sweep, line: &SweepLine) -> String {
    in_words(sweep, line, "")
}

/// The same, with the reductions between which the knee lies in the brackets that the page sets
/// intervals in.
pub fn knee_with_range(sweep: &Sweep, line: &SweepLine) -> String {
    let range = match line.knee_range() {
        Some((low, Some(high))) => format!(" [{}, {}]", times(sweep, low), times(sweep, high)),
        Some((low, None)) => format!(" [{}, beyond]", times(sweep, low)),
        None => String::new(),
    };
    in_words(sweep, line, &range)
}

fn times(sweep: &Sweep, at: usize) -> String {
    format!("{:.1}\u{d7}", sweep.points[at].reduction)
}

fn in_words(sweep: &Sweep, line: &SweepLine, range: &str) -> String {
    let margin = format::percent(MARGIN);
    let times = |at: usize| times(sweep, at);
    match line.knee {
        Knee::Between(at, next) => format!(
            "within {margin} points up to {}{range}, more lost at {}",
            times(at),
            times(next)
        ),
        Knee::BeforeFirst(next) => format!("more than {margin} points lower at {} already", times(next)),
        Knee::BeyondLast(at) => {
            format!(
                "within {margin} points up to {}{range}, the largest measured",
                times(at)
            )
        }
        Knee::Unknown => "not every reduction is measured".to_owned(),
    }
}

fn policies(sweep: &Sweep) -> Vec<BranchPolicy> {
    let mut policies: Vec<BranchPolicy> = Vec::new();
    for line in &sweep.lines {
        if !policies.contains(&line.policy) {
            policies.push(line.policy);
        }
    }
    policies
}

fn line(sweep: &Sweep, measure: Measure, policy: BranchPolicy) -> Option<&SweepLine> {
    let mut lines = sweep.lines.iter();
    lines.find(|line| line.measure == measure && line.policy == policy)
}
