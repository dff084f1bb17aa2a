//! Accuracies: the main table, and the full matrices behind it.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{corruption_set, headline, images};
use crate::metrics::{BranchPolicy, DiagnosisVerdict, Known, Stronger, Triple, Unknown};
use crate::model::Model;
use rlnet_suites::corruption::{BENCHMARK, EXTRA};
use rlnet_suites::{CellId, Condition};
use std::collections::BTreeSet;

/// One row a model and reading: what it keeps, and CA, NPA, mCE, AdvA.
pub fn main(analysis: &Analysis) -> Table {
    let runs = &analysis.runs;
    let attack = headline(runs).unwrap_or_else(|| "no attack".to_owned());
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Read through", "", Kind::Text),
        Column::new("relus", "ReLUs", "", Kind::Integer),
        Column::new("reduction", "Reduction", "\u{d7}", Kind::Number(1)),
        Column::new("ca", "CA", "%", Kind::Share),
        Column::new("npa", "NPA", "%", Kind::Share),
        Column::new("mce", "mCE", "%", Kind::Share),
        Column::new("adva", "AdvA", "%", Kind::Share),
    ];
    let diagnosed = analysis.diagnoses.iter().any(|diagnosis| diagnosis.was_asked());
    if diagnosed {
        columns.push(Column::new("trust", "AdvA is", "", Kind::Text));
    }
    let mut rows = Vec::new();
    for triple in &analysis.triples {
        let Some(model) = runs.model(&triple.model) else {
            continue;
        };
        let (relus, reduction) = relus(model);
        let through = triple.policy.label();
        let natural = format!(
            "{}, {through}, {}",
            corruption_set(runs),
            cells(model, is_benchmark)
        );
        let adva = match &runs.headline {
            Some(spec) => source(model, triple.policy, &Condition::Attack(spec.clone())),
            None => String::new(),
        };
        let mut row = vec![
            Cell::text(&model.name),
            Cell::text(through),
            relus,
            reduction,
            Cell::share(&triple.ca, &source(model, triple.policy, &Condition::Clean)),
            Cell::share(&triple.natural.npa, &natural),
            errors(&triple.natural.mce(), &natural),
            Cell::share(&triple.adva, &adva),
        ];
        if diagnosed {
            row.push(match analysis.verdict(&model.name, triple.policy) {
                Some(verdict) => Cell::text(trust(analysis, triple, verdict)),
                None => Cell::of(Value::Absent("this reading was not diagnosed".into())),
            });
        }
        rows.push(row);
    }
    Table {
        id: "main",
        whole: None,
        title: "Accuracy, corruption and attack".to_owned(),
        caption: format!(
            "Shares of {} test images, with 95 % intervals. NPA and mCE (not normalised): {}. AdvA: {attack}.",
            format::thousands(images(analysis)),
            corruption_set(runs)
        ),
        columns,
        rows,
    }
}

/// The verdict on a reading's AdvA, and what is lower where something is.
fn trust(analysis: &Analysis, triple: &Triple, verdict: DiagnosisVerdict) -> String {
    let headline = analysis.runs.headline.as_ref();
    let found = headline.zip(analysis.matrix(&triple.model));
    match found.and_then(|(headline, matrix)| Stronger::find(headline, matrix, triple.policy)) {
        Some(lower) => format!("{}; {}", verdict.name(), lower.short(&analysis.names)),
        None => verdict.name().to_owned(),
    }
}

/// One row a corruption, one column a model and reading.
pub fn corruptions(analysis: &Analysis) -> Table {
    let triples: Vec<_> = analysis
        .triples
        .iter()
        .filter(|t| t.policy != BranchPolicy::Oracle)
        .collect();
    let mut columns = vec![Column::new("corruption", "Corruption", "", Kind::Text)];
    columns.extend(
        triples
            .iter()
            .map(|triple| column_of(&triple.model, triple.policy)),
    );
    let planned = analysis.runs.conditions();
    let named = |name: &str| {
        planned
            .iter()
            .any(|c| matches!(c, Condition::Corruption { name: known, .. } if known == name))
    };
    let mut rows = Vec::new();
    for name in BENCHMARK.iter().chain(&EXTRA).filter(|name| named(name)) {
        let mut row = vec![Cell::text(format::corruption(name))];
        for triple in &triples {
            let of_this = |condition: &Condition| matches!(condition, Condition::Corruption { name: known, .. } if known == name);
            let Some(model) = analysis.runs.model(&triple.model) else {
                continue;
            };
            let ids = cells(model, of_this);
            let known = triple.natural.corruptions.get(*name).cloned();
            let known = known.ok_or_else(|| Unknown::because(format!("unfinished: {ids}")));
            let condition = format!("{name}, {}, {ids}", triple.policy.label());
            row.push(Cell::share(&known, &condition));
        }
        rows.push(row);
    }
    if !rows.is_empty() {
        let mut row = vec![Cell::text("mean of the benchmark (NPA)")];
        for triple in &triples {
            let Some(model) = analysis.runs.model(&triple.model) else {
                continue;
            };
            let from = format!("{}, {}", triple.policy.label(), cells(model, is_benchmark));
            row.push(Cell::share(&triple.natural.npa, &from));
        }
        rows.push(row);
    }
    Table {
        id: "corruptions",
        whole: None,
        title: "Accuracy per corruption".to_owned(),
        caption: format!(
            "Percent right, mean over severities, with 95 % intervals. Planned: {}.",
            corruption_set(&analysis.runs)
        ),
        columns,
        rows,
    }
}

/// One row a model and reading, one column a severity.
pub fn severities(analysis: &Analysis) -> Table {
    let levels: BTreeSet<u32> = analysis
        .triples
        .iter()
        .flat_map(|t| t.natural.severities.keys().copied())
        .collect();
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Read through", "", Kind::Text),
        Column::new("clean", "clean", "%", Kind::Share),
    ];
    columns.extend(levels.iter().map(|level| {
        Column::new(
            format!("severity_{level}"),
            format!("severity {level}"),
            "%",
            Kind::Share,
        )
    }));
    let mut rows = Vec::new();
    for triple in analysis.triples.iter().filter(|_| !levels.is_empty()) {
        let Some(model) = analysis.runs.model(&triple.model) else {
            continue;
        };
        let mut row = vec![
            Cell::text(&model.name),
            Cell::text(triple.policy.label()),
            Cell::share(&triple.ca, &source(model, triple.policy, &Condition::Clean)),
        ];
        for level in &levels {
            // A mean over fewer corruptions than the others' would not be comparable.
            let known = match (&triple.natural.npa, triple.natural.severities.get(level)) {
                (Ok(_), Some(estimate)) => Ok(estimate.clone()),
                (Err(unknown), _) => Err(unknown.clone()),
                (_, None) => Err(Unknown::because("not part of the suite")),
            };
            let from = format!(
                "severity {level} of every corruption, {}, {}",
                triple.policy.label(),
                cells(model, is_benchmark)
            );
            row.push(Cell::share(&known, &from));
        }
        rows.push(row);
    }
    Table {
        id: "severities",
        whole: None,
        title: "Accuracy per severity".to_owned(),
        caption: "Percent right, mean over the benchmark's corruptions, with 95 % intervals.".to_owned(),
        columns,
        rows,
    }
}

pub(super) fn relus(model: &Model) -> (Cell, Cell) {
    match &model.record {
        Some(record) => (
            Cell {
                value: Value::Integer(record.kept()),
                trace: format!(
                    "{} of {} ReLUs",
                    format::thousands(record.kept()),
                    format::thousands(record.total())
                ),
            },
            Cell::of(Value::Number(record.total() as f64 / record.kept().max(1) as f64)),
        ),
        None => {
            let why = || Cell::of(Value::Absent(model.without_record().into()));
            (why(), why())
        }
    }
}

fn column_of(model: &str, policy: BranchPolicy) -> Column {
    let key = format!("{model}_{}", policy.short());
    let head = match policy {
        BranchPolicy::Fixed(rlnet_suites::Branch::Single) => model.to_owned(),
        _ => format!("{model}, {}", policy.short()),
    };
    Column::new(key, head, "%", Kind::Share)
}

/// Where a cell's number comes from.
pub(super) fn source(model: &Model, policy: BranchPolicy, condition: &Condition) -> String {
    let id = model
        .cell_of(condition)
        .map(CellId::to_string)
        .unwrap_or_default();
    format!("condition {condition}, {}, cell {id}", policy.label())
}

fn is_benchmark(condition: &Condition) -> bool {
    matches!(condition, Condition::Corruption { name, .. } if BENCHMARK.contains(&name.as_str()))
}

fn cells(model: &Model, wanted: impl Fn(&Condition) -> bool) -> String {
    let mut ids: Vec<&str> = Vec::new();
    for (condition, id) in &model.planned {
        if wanted(condition) && !ids.contains(&id.0.as_str()) {
            ids.push(&id.0);
        }
    }
    format!(
        "{} {}",
        if ids.len() == 1 { "cell" } else { "cells" },
        ids.join(", ")
    )
}

/// A share of wrong answers: its counts are of what is wrong.
fn errors(known: &Known<crate::metrics::Estimate>, source: &str) -> Cell {
    let mut cell = Cell::share(known, source);
    if known.is_ok() {
        cell.trace = format!("wrong: {}", cell.trace);
    }
    cell
}
