//! What the networks are: size and ReLUs.

use super::{Cell, Column, Kind, Table, Value, accuracy};
use crate::analysis::Analysis;
use crate::glossary::{MACS, REDUCTION, RELUS};
use crate::model::Model;
use crate::sections::{Place, Section, Show};

/// The section.
pub(crate) const MODELS: Section = Section {
    id: "models",
    place: Place::Numbers,
    show: Show::Table(models),
    terms: &[RELUS, REDUCTION, MACS],
};

/// The section.
pub(crate) const LAYERS: Section = Section {
    id: "layers",
    place: Place::Numbers,
    show: Show::Table(layers),
    terms: &[RELUS],
};

/// One row a model.
fn models(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("arch", "Architecture"),
        Column::text("norm", "Norm banks"),
        Column::integer("parameters", "Parameters"),
        Column::integer("macs", "MACs"),
        Column::integer("relus", "ReLUs kept"),
        Column::integer("relus_all", "ReLUs in all"),
        Column::new("reduction", "Reduction", "\u{d7}", Kind::Number(1)),
    ];
    let rows = analysis.runs.models.iter().map(|model| {
        let (kept, reduction) = accuracy::relus(model);
        let mut row = vec![
            Cell::text(&model.name),
            Cell::text(architecture(model)),
            Cell::text(banks(model)),
        ];
        match &model.record {
            Some(record) => {
                row.extend([
                    Cell::integer(record.parameters),
                    Cell::integer(record.macs),
                    kept,
                    Cell::integer(record.total()),
                    reduction,
                ]);
            }
            None => row.extend((0..5).map(|_| kept.clone())),
        }
        row
    });
    Table::new(
        "models",
        "The networks and their ReLUs",
        "MACs: multiply-accumulates of one forward pass.",
        columns,
        rows.collect(),
    )
}

/// One row a ReLU layer of a model that keeps only some.
fn layers(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("layer", "Layer"),
        Column::new("shape", "Output", "C \u{d7} H \u{d7} W", Kind::Text),
        Column::integer("all", "ReLUs"),
        Column::integer("kept", "Kept"),
        Column::new("share", "Share", "%", Kind::Number(1)),
    ];
    let partial = analysis.runs.models.iter().filter(|model| model.is_partial());
    let rows = partial.flat_map(|model| {
        let layers = model.record.iter().flat_map(|record| &record.layers);
        layers.map(|layer| {
            let [c, h, w] = layer.shape;
            let share = 100.0 * layer.kept as f64 / layer.total().max(1) as f64;
            vec![
                Cell::text(&model.name),
                Cell::text(&layer.name),
                Cell::text(format!("{c} \u{d7} {h} \u{d7} {w}")),
                Cell::integer(layer.total()),
                Cell::integer(layer.kept),
                Cell::of(Value::Number(share)),
            ]
        })
    });
    Table::new(
        "layers",
        "ReLUs kept per layer",
        "In execution order. Models that keep every ReLU are left out.",
        columns,
        rows.collect(),
    )
}

fn architecture(model: &Model) -> String {
    let planned = model.spec().map(|spec| spec.arch.clone());
    model
        .record
        .as_ref()
        .map(|record| record.arch.clone())
        .or(planned)
        .unwrap_or_else(|| "imported".to_owned())
}

fn banks(model: &Model) -> String {
    match model.branches.len() {
        2 => "2 (clean, adversarial)".to_owned(),
        3 => "3 (clean, natural, adversarial)".to_owned(),
        n => n.to_string(),
    }
}
