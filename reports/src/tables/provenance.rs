//! Where the numbers come from: how networks were trained, and every finished cell.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::sections::{Place, Section, Show};
use polars::prelude::*;
use rlnet_suites::train::{Dialect, Select, Stage};
use rlnet_suites::{CellRecord, CellSpec, Quirk};
use std::collections::BTreeMap;

/// The section.
pub(crate) const TRAINING: Section = Section {
    id: "training",
    place: Place::Provenance,
    show: Show::Table(training),
    terms: &[],
};

/// The section.
pub(crate) const IDENTITIES: Section = Section {
    id: "identities",
    place: Place::Provenance,
    show: Show::Table(identities),
    terms: &[],
};

/// The section.
pub(crate) const CELLS: Section = Section {
    id: "cells",
    place: Place::Provenance,
    show: Show::Table(cells),
    terms: &[],
};

/// One row a finished training cell.
fn training(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("name", "Network"),
        Column::text("stage", "Stage"),
        Column::text("views", "Images of a step"),
        Column::text("dialect", "Dialect"),
        Column::integer("epochs", "Epochs"),
        Column::new("epoch", "Kept", "epoch", Kind::Integer),
        Column::new("select", "Chosen by", "", Kind::Text),
        Column::new("batch", "Batch", "", Kind::Integer),
        Column::new("lr", "Rate", "", Kind::Text),
        Column::text("attack", "Inner attack"),
        Column::new("seed", "Seed", "", Kind::Integer),
        Column::new("seconds", "Time", "s", Kind::Number(1)),
    ];
    let mut rows = Vec::new();
    for (_, record) in analysis.runs.records() {
        let CellSpec::Train(spec) = &record.cell.spec else {
            continue;
        };
        let views: Vec<&str> = spec.views.iter().map(|view| view.name()).collect();
        let dialect = match (spec.dialect, spec.quirks.as_slice()) {
            (Dialect::Reference, _) => "reference".to_owned(),
            (Dialect::Paper, []) => "paper".to_owned(),
            (Dialect::Paper, some) => {
                let numbers: Vec<&str> = some.iter().map(|quirk| quirk.number()).collect();
                format!("paper with {}", numbers.join(", "))
            }
        };
        let on_test = spec.has(Quirk::SelectOnTest);
        let select = match spec.select {
            Select::Last => "last",
            _ if on_test => "test CA",
            Select::Clean => "held-out CA",
            Select::Mean => "held-out CA and AdvA",
            Select::Adversarial => "held-out AdvA",
        };
        rows.push(vec![
            Cell::text(&record.cell.name),
            Cell::text(spec.stage.name()),
            Cell::text(views.join(", ")),
            Cell::text(dialect),
            Cell::integer(spec.epochs),
            match &record.model {
                Some(model) => Cell::integer(model.epoch),
                None => Cell::absent("not recorded"),
            },
            Cell::text(match record.model.as_ref().and_then(|model| model.overfitted) {
                Some(epoch) => format!("{select}, before overfitting in epoch {epoch}"),
                None => select.to_owned(),
            }),
            Cell::integer(spec.batch as u64),
            Cell::text(spec.lr.to_string()),
            Cell::text(if spec.is_robust() {
                spec.attack.to_string()
            } else {
                "none".to_owned()
            }),
            Cell::integer(spec.seed),
            Cell::of(Value::Number(record.provenance.seconds)),
        ]);
    }
    Table::new(
        "training",
        "Training",
        "Dialect `paper` does what the paper describes, `reference` what its published code does. Epochs are chosen on training images held out, never on test images, unless switch B4 of the reference dialect is on (`test CA`).",
        columns,
        rows,
    )
}

/// One row a model: what identifies its weights, its images and its evaluation.
fn identities(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("cell", "Trained by cell"),
        Column::text("weights", "Weights (blake3)"),
        Column::text("dataset", "Data set"),
        Column::text("data", "Checksum of the data"),
        Column::text("seeds", "Seeds of evaluation"),
        Column::text("versions", "Algorithm versions"),
    ];
    let rows = analysis.runs.models.iter().map(|model| {
        let run = &analysis.runs.runs[model.run];
        let mut own = run.plan.cells.iter().filter(|cell| cell.model == model.name);
        let data = own.clone().next().map(|cell| &cell.data);
        let record = run
            .records
            .iter()
            .find(|record| record.cell.name == model.name && matches!(record.cell.spec, CellSpec::Train(_)));
        let weights = record.and_then(|record| record.provenance.files.get("model.safetensors"));
        let absent = |why: &str| Cell::absent(why);
        let mut seeds: BTreeMap<u64, ()> = BTreeMap::new();
        let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
        for cell in own.by_ref() {
            versions.extend(
                cell.versions
                    .iter()
                    .map(|(name, version)| (name.as_str(), *version)),
            );
            if let CellSpec::Evaluate(spec) = &cell.spec {
                seeds.insert(spec.seed, ());
            }
        }
        let seeds: Vec<String> = seeds.keys().map(u64::to_string).collect();
        let versions: Vec<String> = versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        vec![
            Cell::text(&model.name),
            match &model.trained {
                Some(cell) => Cell::text(&cell.id.0),
                None => absent("imported"),
            },
            match weights {
                Some(checksum) => Cell {
                    value: Value::Text(checksum.chars().take(16).collect()),
                    trace: checksum.clone(),
                },
                None => Cell::of(Value::Absent(model.without_record())),
            },
            Cell::text(data.map_or("", |data| data.dataset.as_str())),
            Cell::text(data.map_or("", |data| data.checksum.as_str())),
            Cell::text(seeds.join(", ")),
            Cell::text(versions.join(", ")),
        ]
    });
    Table::new(
        "identities",
        "What identifies each model and its evaluation",
        "Two runs in which all of this is equal must give equal rows on one machine; `rlnet compare` looks at these first.",
        columns,
        rows.collect(),
    )
}

/// One row a finished cell.
fn cells(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("cell", "Cell"),
        Column::text("name", "Name"),
        Column::integer("rows", "Rows"),
        Column::integer("forwards", "Forward passes"),
        Column::integer("backwards", "Backward passes"),
        Column::integer("teacher_forwards", "Forward passes of the teacher"),
        Column::new("seconds", "Time", "s", Kind::Number(1)),
        Column::new("memory", "Peak memory", "MB", Kind::Integer),
        Column::new("resumed", "Resumed", "times", Kind::Integer),
        Column::new("device", "Device", "", Kind::Text),
        Column::new("threads", "Threads", "", Kind::Integer),
        Column::new("program", "Program", "", Kind::Text),
        Column::text("libtorch", "libtorch"),
        Column::text("allowed", "Allowed by hand"),
    ];
    let passes = passes(analysis);
    let rows = analysis
        .runs
        .records()
        .into_iter()
        .map(|(_, record)| row(record, &passes));
    Table::new(
        "cells",
        "Every finished cell",
        "A cell's id is the hash of everything that can change its result: configuration, data, seed, parents and algorithm versions. A pass is one image through the network once; a training's are its steps, their inner attacks and its validation.",
        columns,
        rows.collect(),
    )
}

fn row(record: &CellRecord, passes: &BTreeMap<String, (u64, u64)>) -> Vec<Cell> {
    let from = &record.provenance;
    let commit = if from.commit.is_empty() {
        String::new()
    } else {
        format!(" ({})", from.commit)
    };
    let trained = match &record.cell.spec {
        CellSpec::Train(spec) => Some(spec),
        CellSpec::Evaluate(_) => None,
    };
    // Of an evaluation the rows say it, of a training its record.
    let counts = match trained {
        Some(_) => (from.forwards > 0).then_some((from.forwards, from.backwards)),
        None => passes.get(&record.cell.id.0).copied(),
    };
    let counted = |pick: fn((u64, u64)) -> u64| match counts {
        Some(counts) => Cell::integer(pick(counts)),
        None => Cell::absent("not counted"),
    };
    let teacher = match trained {
        None => Cell::absent("an evaluation is not taught"),
        Some(spec) if spec.stage == Stage::Teacher => Cell::absent("it has no teacher"),
        Some(_) if counts.is_none() => Cell::absent("not counted"),
        Some(_) => Cell::integer(from.teacher_forwards),
    };
    vec![
        Cell::text(&record.cell.id.0),
        Cell::text(&record.cell.name),
        match record.cell.spec {
            CellSpec::Evaluate(_) => Cell::integer(record.rows),
            CellSpec::Train(_) => Cell::absent("a training cell has no outcome rows"),
        },
        counted(|counts| counts.0),
        counted(|counts| counts.1),
        teacher,
        Cell {
            value: Value::Number(from.seconds),
            trace: format::duration(from.seconds),
        },
        match from.peak_memory {
            0 => Cell::absent("not known"),
            bytes => Cell::integer(bytes / 1_000_000),
        },
        Cell::integer(from.resumed),
        Cell::text(&from.device),
        Cell::integer(from.threads),
        Cell::text(format!("{}{commit}", from.program)),
        Cell::text(&from.libtorch),
        Cell::text(from.allowed.join(", ")),
    ]
}

/// Forward and backward passes per cell. A count that cannot be made is left out: it is
/// a remark, not a result.
fn passes(analysis: &Analysis) -> BTreeMap<String, (u64, u64)> {
    let mut all = BTreeMap::new();
    for run in &analysis.runs.runs {
        let query = || {
            let frame = run
                .outcomes
                .clone()
                .lazy()
                .group_by([col("cell")])
                .agg([
                    col("forwards").cast(DataType::Float64).sum(),
                    col("backwards").cast(DataType::Float64).sum(),
                ])
                .collect()?;
            let forwards = frame.column("forwards")?.f64()?;
            let backwards = frame.column("backwards")?.f64()?;
            let counts = forwards.iter().zip(backwards.iter());
            let counts = counts.map(|(f, b)| (f.unwrap_or(0.0) as u64, b.unwrap_or(0.0) as u64));
            let ids = frame.column("cell")?.str()?.iter().flatten().map(str::to_owned);
            PolarsResult::Ok(ids.zip(counts).collect::<Vec<_>>())
        };
        all.extend(query().unwrap_or_default());
    }
    all
}
