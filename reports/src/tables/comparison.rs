//! Differences: every model against the baseline, and the oracle against one branch.

use super::by_branch::READ;
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{COMPARED, GAP, ORACLE};
use crate::metrics::bootstrap::RESAMPLES;
use crate::metrics::{BranchPolicy, Difference, Measure, bootstrap_comparison};
use crate::sections::{Place, Section, Show};
use std::collections::BTreeSet;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "comparison",
    place: Place::Numbers,
    show: Show::Table(comparison),
    terms: COMPARED,
};

/// The section.
pub(crate) const BOOTSTRAP: Section = Section {
    id: "bootstrap",
    place: Place::Numbers,
    show: Show::Table(resampled),
    terms: COMPARED,
};

/// The section.
pub(crate) const ORACLE_GAP: Section = Section {
    id: "oracle_gap",
    place: Place::Numbers,
    show: Show::Table(oracle_gap),
    terms: &[GAP, ORACLE],
};

/// One row a model, reading and measure, against the baseline.
fn comparison(analysis: &Analysis) -> Table {
    let baseline = analysis.runs.baseline.clone().unwrap_or_default();
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("reading", READ),
        Column::text("measure", "Measure"),
        Column::share("value", "Its own"),
        Column::share("baseline", baseline.as_str()),
        Column::new("difference", "Difference", "points", Kind::Points),
        Column::new("p", "p", "", Kind::P),
        Column::new("p_holm", "p (Holm)", "", Kind::P),
        Column::new("verdict", "In words", "", Kind::Text),
    ];
    let rows = analysis.comparisons.iter().map(|comparison| {
        let (model, policy) = (&comparison.model, comparison.policy);
        let through = |name: &str| match analysis.runs.model(name) {
            Some(model) => policy.on(&model.branches).label(),
            None => policy.label(),
        };
        vec![
            Cell::text(model),
            Cell::text(through(model)),
            Cell::text(comparison.measure.name()),
            Cell::share(&Ok(comparison.this.clone()), &through(model)),
            Cell::share(
                &Ok(comparison.baseline.clone()),
                &format!("{baseline}, {}", through(&baseline)),
            ),
            Cell {
                value: Value::Points(comparison.difference.clone()),
                trace: comparison.difference.test.clone(),
            },
            Cell::of(Value::P(comparison.difference.p)),
            Cell::of(Value::P(comparison.adjusted)),
            Cell::text(comparison.verdict()),
        ]
    });
    let relative: Vec<String> = relative_mce(analysis);
    let relative = if relative.is_empty() {
        String::new()
    } else {
        format!(
            " mCE normalised by `{baseline}` (which has 100 %): {}.",
            relative.join("; ")
        )
    };
    Table::new(
        "comparison",
        format!("Against the baseline {baseline}"),
        format!(
            "Percent right and differences in points, paired by image, with 95 % intervals; p-values raw and after Holm's adjustment.{relative}"
        ),
        columns,
        rows.collect(),
    )
}

/// The same, and normalised errors, by the paired bootstrap.
pub fn resampled(analysis: &Analysis) -> Table {
    let baseline = analysis.runs.baseline.clone().unwrap_or_default();
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("reading", READ),
        Column::text("measure", "Measure"),
        Column::new("value", "Its own", "%", Kind::Number(1)),
        Column::new("baseline", baseline.as_str(), "%", Kind::Number(1)),
        Column::new("difference", "Difference", "points", Kind::Points),
        Column::new("p", "p", "", Kind::P),
        Column::new("p_holm", "p (Holm)", "", Kind::P),
        Column::new("verdict", "In words", "", Kind::Text),
    ];
    let rows = analysis.resampled.iter().map(|found| {
        let through = match analysis.runs.model(&found.model) {
            Some(model) => found.policy.on(&model.branches).label(),
            None => found.policy.label(),
        };
        vec![
            Cell::text(&found.model),
            Cell::text(through),
            Cell::text(&found.measure),
            Cell::of(Value::Number(100.0 * found.this)),
            Cell::of(Value::Number(100.0 * found.baseline)),
            Cell::of(Value::Points(Difference {
                value: found.difference.value,
                low: found.difference.low,
                high: found.difference.high,
                p: found.p,
                images: found.images,
                test: "paired bootstrap over images".to_owned(),
            })),
            Cell::of(Value::P(found.p)),
            Cell::of(Value::P(found.adjusted)),
            Cell::text(found.verdict()),
        ]
    });
    Table::new(
        "bootstrap",
        format!("Against the baseline {baseline}, by bootstrap"),
        format!(
            "{RESAMPLES} resamples of the test images, both models on the same ones; 95 % percentile intervals, two-sided p-values (normal, with the resamples' spread) raw and after Holm's adjustment over this table. mCE is divided by {baseline}'s errors (less is better); the relative form subtracts each network's clean error first.{}",
            refused(analysis, &baseline)
        ),
        columns,
        rows.collect(),
    )
}

/// What is left out of the comparison by bootstrap, and why, where corruptions were measured.
fn refused(analysis: &Analysis, baseline: &str) -> String {
    let measured = analysis.measured.iter().filter(|found| found.model == baseline);
    let measured = measured.filter(|found| !found.resampled.is_empty());
    let why: BTreeSet<String> = measured.flat_map(bootstrap_comparison::refused).collect();
    why.into_iter().map(|why| format!(" No {why}.")).collect()
}

fn relative_mce(analysis: &Analysis) -> Vec<String> {
    let Some(baseline) = &analysis.runs.baseline else {
        return Vec::new();
    };
    let Some(theirs) = analysis.triple(baseline, BranchPolicy::Oracle) else {
        return Vec::new();
    };
    let others = analysis
        .runs
        .models
        .iter()
        .filter(|model| model.name != *baseline);
    others
        .filter_map(|model| {
            let own = analysis.triple(&model.name, BranchPolicy::Oracle)?;
            let ratio = own.natural.mce_relative_to(&theirs.natural).ok()?;
            Some(format!(
                "{} {} % ({})",
                model.name,
                format::percent(ratio),
                own.policy.label()
            ))
        })
        .collect()
}

/// What the printed triple promises beyond one branch.
fn oracle_gap(analysis: &Analysis) -> Table {
    let measures = [Measure::Ca, Measure::Npa, Measure::AdvA];
    let mut columns = vec![
        Column::text("model", "Model"),
        Column::text("best", "Best single branch"),
    ];
    for (key, what, unit) in [("oracle", "oracle", "%"), ("gap", "gap", "points")] {
        for measure in measures {
            let name = format!("{key}_{}", measure.name().to_lowercase());
            columns.push(Column::new(
                name,
                format!("{}, {what}", measure.name()),
                unit,
                Kind::Number(1),
            ));
        }
    }
    let rows = analysis.gaps.iter().map(|gap| {
        let mut row = vec![Cell::text(&gap.model), Cell::text(gap.best.label())];
        for values in [gap.oracle, gap.values()] {
            row.extend(values.map(|value| Cell::of(Value::Number(100.0 * value))));
        }
        row
    });
    Table::new(
        "oracle_gap",
        "What one branch cannot keep",
        "The triple that papers print (each kind of image through its own branch) minus the best triple of one branch: the branch with the largest mean of CA, NPA and AdvA. That branch's own numbers, and all intervals, are in the main table.",
        columns,
        rows.collect(),
    )
}
