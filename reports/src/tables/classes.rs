//! Classes: who pays for robustness.

use super::by_branch::{READ, columns, views};
use super::calibration::kinds;
use super::{Cell, Column, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::ACCURACY;
use crate::metrics::classes;
use crate::metrics::{BranchPolicy, Estimate, Unknown};
use crate::sections::{Place, Section, Show};
use std::collections::BTreeSet;

/// The section.
pub(crate) const WORST: Section = Section {
    id: "worst_class",
    place: Place::Numbers,
    show: Show::Table(worst),
    terms: ACCURACY,
};

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "classes",
    place: Place::Numbers,
    show: Show::Table(classes),
    terms: ACCURACY,
};

/// One row a model and branch policy: the class with the lowest CA, NPA and AdvA.
fn worst(analysis: &Analysis) -> Table {
    let kinds = kinds(analysis);
    let own = kinds.iter().flat_map(|(kind, _)| {
        let (name, key) = (kind.measure(), kind.measure().to_lowercase());
        [
            Column::text(format!("{key}_class"), format!("{name}, worst class")),
            Column::share(key, format!("its {name}")),
        ]
    });
    let rows = views(analysis).map(|view| {
        view.row(kinds.iter().flat_map(|(_, conditions)| {
            let found = classes::by_class(view.matrix, view.policy, conditions);
            match found.as_ref().and_then(classes::worst) {
                Some((label, estimate)) => [
                    Cell::text(view.model.class(label as usize)),
                    share(estimate, view.policy),
                ],
                None => [unfinished(), unfinished()],
            }
        }))
    });
    Table::new(
        "worst_class",
        "The class with the lowest accuracy",
        "Of equals the first. The lowest of several is low by chance too: its interval is that of one class chosen beforehand.",
        columns(READ, own),
        rows.collect(),
    )
}

/// One row a model and class, one column a measure, each through the branch trained for it.
fn classes(analysis: &Analysis) -> Table {
    let kinds = kinds(analysis);
    let names = [Column::text("model", "Model"), Column::text("class", "Class")];
    let own = (kinds.iter()).map(|(kind, _)| Column::share(kind.measure().to_lowercase(), kind.measure()));
    let mut rows = Vec::new();
    for (model, matrix) in analysis.comparable() {
        let found: Vec<_> = (kinds.iter())
            .map(|(_, conditions)| classes::by_class(matrix, BranchPolicy::Oracle, conditions))
            .collect();
        for label in matrix.labels.iter().collect::<BTreeSet<_>>() {
            let accuracies = found.iter().map(|by_class| {
                let estimate = by_class.as_ref().and_then(|classes| classes.get(label));
                estimate.map_or_else(unfinished, |found| {
                    share(found, BranchPolicy::Oracle.on(&model.branches))
                })
            });
            let named = [Cell::text(&model.name), Cell::text(model.class(*label as usize))];
            rows.push(named.into_iter().chain(accuracies).collect());
        }
    }
    Table::new(
        "classes",
        "Accuracy per class",
        "Percent correct, with 95 % intervals‹; each kind of image through the branch trained for it›.",
        names.into_iter().chain(own).collect(),
        rows,
    )
}

fn unfinished() -> Cell {
    Cell::of(Value::Absent(Unknown::Unfinished(
        "not every condition is measured".to_owned(),
    )))
}

fn share(estimate: &Estimate, policy: BranchPolicy) -> Cell {
    Cell::share(&Ok(estimate.clone()), &format!("one class{}", policy.read()))
}
