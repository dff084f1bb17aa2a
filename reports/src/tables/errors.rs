//! Corruption errors under every definition, side by side.

use super::by_branch::READ;
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{self, ACCURACY};
use crate::metrics::BranchPolicy;
use crate::metrics::anchors::ANCHORS;
use crate::metrics::mce::{Definition, Measured, Over};
use crate::sections::{Place, Section, Show};
use rlnet_suites::corruption;

/// The section.
pub(crate) const MCE: Section = Section {
    id: "mce",
    place: Place::Numbers,
    show: Show::Table(mce),
    terms: ACCURACY,
};

/// The section.
pub(crate) const CE: Section = Section {
    id: "ce",
    place: Place::Numbers,
    show: Show::Table(ce),
    terms: &[glossary::CE],
};

/// One row a model and reading, one column a definition of mCE.
fn mce(analysis: &Analysis) -> Table {
    let definitions = Definition::all();
    let name = analysis.runs.baseline.as_deref();
    let mut columns = vec![Column::text("model", "Model"), Column::text("reading", READ)];
    columns.extend(
        definitions
            .iter()
            .map(|definition| Column::new(definition.key(), definition.title(name), "%", Kind::Ratio)),
    );
    let measured = analysis.measured.iter().filter(|found| has_errors(found));
    let rows = measured.map(|found| {
        let baseline = theirs(analysis, found);
        let mut row = vec![Cell::text(&found.model), Cell::text(found.policy.label())];
        row.extend(definitions.iter().map(|definition| {
            Cell::of(match found.mce(definition, baseline) {
                Ok(ratio) => Value::Ratio(ratio),
                Err(unknown) => Value::Absent(unknown),
            })
        }));
        row
    });
    Table::new(
        "mce",
        "Mean corruption error, in every definition",
        format!(
            "Less is better; intervals by bootstrap over images. Only numbers of one column can be compared, and an anchor is meant for its own data set. {}‹ The baseline is read in the same way as the row, through its only branch if it has one.›",
            sources()
        ),
        columns,
        rows.collect(),
    )
}

/// One row a model and corruption, one column a definition of CE.
fn ce(analysis: &Analysis) -> Table {
    let name = analysis.runs.baseline.as_deref();
    let plain = |definition: &Definition| definition.over == Over::Benchmark;
    let definitions: Vec<Definition> = Definition::all().into_iter().filter(plain).collect();
    let mut columns = vec![
        Column::text("model", "Model"),
        Column::text("corruption", "Corruption"),
    ];
    columns.extend(definitions.iter().map(|definition| {
        let title = definition.title(name).replace("mCE over 15", "CE");
        Column::new(
            definition.key().replace("mce15", "ce"),
            title,
            "%",
            Kind::Number(1),
        )
    }));
    let mut rows = Vec::new();
    for model in &analysis.runs.models {
        let Some(found) = analysis.errors(&model.name, BranchPolicy::Oracle) else {
            continue;
        };
        let baseline = theirs(analysis, found);
        for (at, corruption) in corruption::ALL.into_iter().enumerate() {
            if found.profile.errors[at].is_none() {
                continue;
            }
            let mut row = vec![
                Cell::text(&model.name),
                Cell::text(format::corruption(corruption)),
            ];
            row.extend(
                definitions
                    .iter()
                    .map(|definition| match found.ce(definition, at, baseline) {
                        Ok(ce) => Cell::of(Value::Number(100.0 * ce)),
                        Err(unknown) => Cell::of(Value::Absent(unknown)),
                    }),
            );
            rows.push(row);
        }
    }
    Table::new(
        "ce",
        "Corruption error per corruption, in every definition",
        format!(
            "Mean error over severities, as it is and divided by a base network's‹; each kind of image is read through the branch trained for it›. {}",
            sources()
        ),
        columns,
        rows,
    )
}

fn has_errors(found: &Measured) -> bool {
    found.profile.errors.iter().any(Option::is_some)
}

/// The baseline's errors, read as this row is.
fn theirs<'a>(analysis: &'a Analysis, found: &Measured) -> Option<&'a Measured> {
    let baseline = analysis.runs.baseline.as_deref()?;
    analysis
        .errors(baseline, found.policy)
        .or_else(|| analysis.errors(baseline, BranchPolicy::Oracle))
}

fn sources() -> String {
    let anchors = ANCHORS.map(|anchor| {
        format!(
            "{}: {} on {}, {}",
            anchor.name, anchor.network, anchor.dataset, anchor.source
        )
    });
    format!("Anchors: {}.", anchors.join(". "))
}
