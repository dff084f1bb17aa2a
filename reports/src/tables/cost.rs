//! What the networks are: size, ReLUs, and what these would cost under private inference.

use super::{Cell, Column, Kind, Table, Value, accuracy};
use crate::analysis::Analysis;
use crate::metrics::PrivateCost;
use crate::metrics::cost::ASSUMPTIONS;
use crate::model::Model;

/// One row a model.
pub fn models(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("arch", "Architecture", "", Kind::Text),
        Column::new("norm", "Norm banks", "", Kind::Text),
        Column::new("parameters", "Parameters", "", Kind::Integer),
        Column::new("macs", "MACs", "", Kind::Integer),
        Column::new("relus", "ReLUs kept", "", Kind::Integer),
        Column::new("relus_all", "ReLUs in all", "", Kind::Integer),
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
                    Cell::of(Value::Integer(record.parameters)),
                    Cell::of(Value::Integer(record.macs)),
                    kept,
                    Cell::of(Value::Integer(record.total())),
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
    Table {
        id: "models",
        whole: None,
        title: "The networks, and their ReLUs under private inference (PI)".to_owned(),
        caption: format!(
            "MACs: multiply-accumulates of one forward pass. {ASSUMPTIONS} Link: {}.",
            analysis.link.said()
        ),
        columns,
        rows: rows.collect(),
    }
}

/// One row a ReLU layer, one column a model that keeps only some.
pub fn layers(analysis: &Analysis) -> Table {
    let partial: Vec<&Model> = analysis
        .runs
        .models
        .iter()
        .filter(|model| model.is_partial())
        .collect();
    let mut columns = vec![
        Column::new("layer", "Layer", "", Kind::Text),
        Column::new("shape", "Output", "C \u{d7} H \u{d7} W", Kind::Text),
        Column::new("all", "ReLUs", "", Kind::Integer),
    ];
    for model in &partial {
        columns.push(Column::new(
            &model.name,
            format!("{}, kept", model.name),
            "",
            Kind::Integer,
        ));
        columns.push(Column::new(
            format!("{}_share", model.name),
            "share",
            "%",
            Kind::Number(1),
        ));
    }
    let mut known: Vec<(String, [u64; 3])> = Vec::new();
    for layer in partial
        .iter()
        .filter_map(|model| model.record.as_ref())
        .flat_map(|record| &record.layers)
    {
        let key = (layer.name.clone(), layer.shape);
        if !known.contains(&key) {
            known.push(key);
        }
    }
    let rows = known.into_iter().map(|(name, shape)| {
        let [c, h, w] = shape;
        let mut row = vec![
            Cell::text(&name),
            Cell::text(format!("{c} \u{d7} {h} \u{d7} {w}")),
            Cell::of(Value::Integer(shape.iter().product())),
        ];
        for model in &partial {
            let layers = model.record.iter().flat_map(|record| &record.layers);
            match layers
                .into_iter()
                .find(|layer| layer.name == name && layer.shape == shape)
            {
                Some(layer) => row.extend([
                    Cell::of(Value::Integer(layer.kept)),
                    Cell::of(Value::Number(
                        100.0 * layer.kept as f64 / layer.total().max(1) as f64,
                    )),
                ]),
                None => row
                    .extend((0..2).map(|_| Cell::of(Value::Absent("this network has no such layer".into())))),
            }
        }
        row
    });
    Table {
        id: "layers",
        whole: None,
        title: "ReLUs kept per layer".to_owned(),
        caption: "In execution order. Models that keep every ReLU are left out.".to_owned(),
        columns,
        rows: rows.collect(),
    }
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
