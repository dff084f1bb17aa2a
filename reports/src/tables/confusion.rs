//! The pairs of classes that are mixed up most.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::metrics::confusion::{Confusion, share};
use crate::model::Model;

/// Pairs shown for a model.
const PAIRS: usize = 5;

/// For each model the pairs that corruption (where there is none, the attack) mixes up most, with
/// the same pairs under the other kinds of images.
pub fn confusion(analysis: &Analysis) -> Table {
    let kinds = super::calibration::kinds(analysis);
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("true", "Images of", "", Kind::Text),
        Column::new("given", "taken for", "", Kind::Text),
    ];
    columns.extend(
        kinds
            .iter()
            .map(|(name, _)| Column::new(*name, *name, "%", Kind::Share)),
    );
    let sought = kinds
        .iter()
        .find(|(name, _)| *name == "corrupted")
        .or(kinds.last());
    let mut rows = Vec::new();
    for (model, grid) in analysis.runs.models.iter().zip(&analysis.matrices) {
        let Some(matrix) = sought.and_then(|(_, conditions)| Confusion::of(grid, conditions)) else {
            continue;
        };
        for (from, to) in matrix.pairs().into_iter().take(PAIRS) {
            let mut row = vec![
                Cell::text(&model.name),
                Cell::text(class(model, from)),
                Cell::text(class(model, to)),
            ];
            row.extend(
                kinds
                    .iter()
                    .map(|(name, conditions)| match share(grid, conditions, from, to) {
                        Some(estimate) => {
                            Cell::share(&Ok(estimate), &format!("{name}, given the second class"))
                        }
                        None => Cell::of(Value::Absent("unfinished".into())),
                    }),
            );
            rows.push(row);
        }
    }
    Table {
        id: "confusions",
        whole: None,
        title: "What is taken for what".to_owned(),
        caption: format!(
            "The {PAIRS} pairs of classes that each network mixes up most on corrupted images (where there are none, under attack): of all answers to images of the first class, the share that gives the second, with 95 % intervals; each kind of image through the branch trained for it. The worst of many pairs is bad by chance, too: its interval is that of a pair chosen beforehand."
        ),
        columns,
        rows,
    }
}

fn class(model: &Model, label: usize) -> String {
    let names = model.record.as_ref().map(|record| &record.classes);
    let name = names.and_then(|names| names.get(label));
    name.cloned().unwrap_or_else(|| format!("class {label}"))
}
