//! The pairs of classes that are mixed up most.

use super::calibration::{ImageKind, kinds};
use super::{Cell, Column, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::INTERVAL;
use crate::metrics::Unknown;
use crate::metrics::confusion::{Confusion, share};
use crate::sections::{Place, Section, Show};

/// Pairs shown for a model.
const PAIRS: usize = 5;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "confusions",
    place: Place::Numbers,
    show: Show::Table(confusion),
    terms: &[INTERVAL],
};

/// For each model the pairs that corruption (where there is none, the attack) mixes up most, with
/// the same pairs under the other kinds of images.
fn confusion(analysis: &Analysis) -> Table {
    let kinds = kinds(analysis);
    let mut columns = vec![
        Column::text("model", "Model"),
        Column::text("true", "Images of"),
        Column::text("given", "taken for"),
    ];
    columns.extend(
        kinds
            .iter()
            .map(|(kind, _)| Column::share(kind.name(), kind.name())),
    );
    let sought = kinds
        .iter()
        .find(|(kind, _)| *kind == ImageKind::Corrupted)
        .or(kinds.last());
    let mut rows = Vec::new();
    for (model, grid) in analysis.comparable() {
        let Some(matrix) = sought.and_then(|(_, conditions)| Confusion::of(grid, conditions)) else {
            continue;
        };
        for (from, to) in matrix.pairs().into_iter().take(PAIRS) {
            let mut row = vec![
                Cell::text(&model.name),
                Cell::text(model.class(from)),
                Cell::text(model.class(to)),
            ];
            row.extend(
                kinds
                    .iter()
                    .map(|(kind, conditions)| match share(grid, conditions, from, to) {
                        Some(estimate) => {
                            Cell::share(&Ok(estimate), &format!("{}, given the second class", kind.name()))
                        }
                        None => Cell::of(Value::Absent(Unknown::Unfinished(
                            "not every condition is measured".to_owned(),
                        ))),
                    }),
            );
            rows.push(row);
        }
    }
    Table::new(
        "confusions",
        "What is taken for what",
        format!(
            "The {PAIRS} pairs of classes that each network mixes up most on corrupted images (where there are none, under attack): of all answers to images of the first class, the share that gives the second, with 95 % intervals‹; each kind of image through the branch trained for it›. The worst of many pairs is bad by chance, too: its interval is that of a pair chosen beforehand."
        ),
        columns,
        rows,
    )
}
