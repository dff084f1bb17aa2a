//! Classes: who pays for robustness.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::metrics::classes;
use crate::metrics::{BranchPolicy, Estimate, Unknown};
use crate::model::Model;
use rlnet_suites::Condition;
use std::collections::{BTreeMap, BTreeSet};

/// What classes are judged by: name and conditions.
fn kinds(analysis: &Analysis) -> Vec<(&'static str, Vec<Condition>)> {
    let name = |kind| match kind {
        "clean" => "CA",
        "corrupted" => "NPA",
        _ => "AdvA",
    };
    let kinds = super::calibration::kinds(analysis).into_iter();
    kinds.map(|(kind, conditions)| (name(kind), conditions)).collect()
}

/// One row a model and reading: the class with the lowest CA, NPA and AdvA.
pub fn worst(analysis: &Analysis) -> Table {
    let kinds = kinds(analysis);
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Read through", "", Kind::Text),
    ];
    for (name, _) in &kinds {
        let key = name.to_lowercase();
        columns.push(Column::new(
            format!("{key}_class"),
            format!("{name}, worst class"),
            "",
            Kind::Text,
        ));
        columns.push(Column::new(key, format!("its {name}"), "%", Kind::Share));
    }
    let mut rows = Vec::new();
    for (model, matrix) in analysis.runs.models.iter().zip(&analysis.matrices) {
        for policy in model.policies() {
            let mut row = vec![Cell::text(&model.name), Cell::text(policy.label())];
            for (_, conditions) in &kinds {
                let found = classes::by_class(matrix, policy, conditions);
                match found.as_ref().and_then(classes::worst) {
                    Some((label, estimate)) => {
                        row.push(Cell::text(name(model, label)));
                        row.push(share(estimate, policy));
                    }
                    None => row.extend((0..2).map(|_| Cell::of(Value::Absent("unfinished".into())))),
                }
            }
            rows.push(row);
        }
    }
    Table {
        id: "worst_class",
        whole: None,
        title: "The class that is worst off".to_owned(),
        caption: "The class with the lowest accuracy, of equals the first. The lowest of several is low by chance too: its interval is that of one class chosen beforehand.".to_owned(),
        columns,
        rows,
    }
}

/// One row a class, columns a model and measure, read as papers do.
pub fn classes(analysis: &Analysis) -> Table {
    let kinds = kinds(analysis);
    let mut columns = vec![Column::new("class", "Class", "", Kind::Text)];
    let mut found: Vec<Option<BTreeMap<u32, Estimate>>> = Vec::new();
    let mut labels: BTreeSet<u32> = BTreeSet::new();
    for (model, matrix) in analysis.runs.models.iter().zip(&analysis.matrices) {
        labels.extend(&matrix.labels);
        for (name, conditions) in &kinds {
            columns.push(Column::new(
                format!("{}_{}", model.name, name.to_lowercase()),
                format!("{}, {name}", model.name),
                "%",
                Kind::Share,
            ));
            found.push(classes::by_class(matrix, BranchPolicy::Oracle, conditions));
        }
    }
    let first = analysis.runs.models.first();
    let rows = labels.into_iter().map(|label| {
        let mut row = vec![Cell::text(
            first.map_or_else(String::new, |model| name(model, label)),
        )];
        row.extend(found.iter().map(|by_class| {
            let estimate = by_class.as_ref().and_then(|classes| classes.get(&label));
            match estimate {
                Some(estimate) => share(estimate, BranchPolicy::Oracle),
                None => Cell::share(&Err(Unknown::because("unfinished")), ""),
            }
        }));
        row
    });
    Table {
        id: "classes",
        whole: None,
        title: "Accuracy per class".to_owned(),
        caption: "Percent right, with 95 % intervals; each kind of image through the branch trained for it."
            .to_owned(),
        columns,
        rows: rows.collect(),
    }
}

fn share(estimate: &Estimate, policy: BranchPolicy) -> Cell {
    Cell::share(&Ok(estimate.clone()), &policy.label())
}

fn name(model: &Model, label: u32) -> String {
    let names = model.record.as_ref().map(|record| &record.classes);
    let name = names.and_then(|names| names.get(label as usize));
    name.cloned().unwrap_or_else(|| format!("class {label}"))
}
