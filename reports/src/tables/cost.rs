//! What the networks are: size, ReLUs, and what these would cost under private inference.

use super::{Cell, Column, Kind, Table, Value, accuracy};
use crate::analysis::Analysis;
use crate::glossary::{MACS, PI, REDUCTION, RELUS};
use crate::metrics::PrivateCost;
use crate::metrics::cost::ASSUMPTIONS;
use crate::model::Model;
use crate::sections::{Place, Section, Show};

/// The section.
pub(crate) const MODELS: Section = Section {
    id: "models",
    place: Place::Numbers,
    show: Show::Table(models),
    terms: &[RELUS, REDUCTION, MACS, PI],
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
        Column::new("pi_seconds", "PI latency", "s", Kind::Number(2)),
        Column::new("pi_online_mb", "PI online", "MB", Kind::Number(1)),
        Column::new("pi_offline_gb", "PI offline", "GB", Kind::Number(2)),
        Column::new("pi_storage_gb", "PI stored", "GB", Kind::Number(2)),
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
                let cost = PrivateCost::of(record.kept(), analysis.link);
                row.extend([
                    Cell::integer(record.parameters),
                    Cell::integer(record.macs),
                    kept,
                    Cell::integer(record.total()),
                    reduction,
                    Cell::of(Value::Number(cost.seconds)),
                    Cell::of(Value::Number(cost.online_bytes as f64 / 1e6)),
                    Cell::of(Value::Number(cost.offline_bytes as f64 / 1e9)),
                    Cell::of(Value::Number(cost.storage_bytes as f64 / 1e9)),
                ]);
            }
            None => row.extend((0..9).map(|_| kept.clone())),
        }
        row
    });
    Table::new(
        "models",
        "The networks, and their ReLUs under private inference (PI)",
        format!(
            "MACs: multiply-accumulates of one forward pass. {ASSUMPTIONS} Link: {}.",
            analysis.link.said()
        ),
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
