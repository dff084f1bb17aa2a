//! How alike students' activations are to their teachers'.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::model::Model;

/// One row a ReLU layer, two columns a model and branch: cosine and relative distance.
pub fn similarity(analysis: &Analysis) -> Table {
    let compared: Vec<&Model> = analysis
        .runs
        .models
        .iter()
        .filter(|model| !model.similarity.is_empty())
        .collect();
    let mut columns = vec![Column::new("layer", "Layer", "", Kind::Text)];
    let mut sources: Vec<(&Model, String)> = Vec::new();
    for model in &compared {
        for branch in &model.branches {
            for (metric, head) in [("cosine", "cosine"), ("distance", "distance")] {
                let metric = format!("{metric}/{branch}");
                let head = format!("{}, {branch}, {head}", model.name);
                columns.push(Column::new(
                    format!("{}_{metric}", model.name),
                    head,
                    "",
                    Kind::Number(3),
                ));
                sources.push((model, metric));
            }
        }
    }
    let mut layers: Vec<String> = Vec::new();
    for layer in compared.iter().flat_map(|model| layer_names(model)) {
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    let rows = layers.into_iter().map(|layer| {
        let values = sources.iter().map(|(model, metric)| {
            let place = layer_names(model).iter().position(|name| *name == layer);
            let mut points = model.similarity.iter();
            let value = place.and_then(|place| {
                points.find(|point| point.metric == *metric && point.layer as usize == place + 1)
            });
            Cell::number(value.map(|point| point.value), "this network has no such layer")
        });
        std::iter::once(Cell::text(&layer)).chain(values).collect()
    });
    let mut rows: Vec<Vec<Cell>> = rows.collect();
    if !rows.is_empty() {
        let means = sources.iter().map(|(model, metric)| {
            let points = model.similarity.iter().filter(|point| point.metric == *metric);
            let values: Vec<f64> = points.map(|point| point.value).collect();
            Cell::of(Value::Number(
                values.iter().sum::<f64>() / values.len().max(1) as f64,
            ))
        });
        rows.push(
            std::iter::once(Cell::text("mean over layers"))
                .chain(means)
                .collect(),
        );
    }
    Table {
        id: "similarity",
        whole: None,
        title: "Activations beside the teacher's".to_owned(),
        caption: "Output of each ReLU layer of a student beside its teacher's on the same clean test images, through the same branch: the cosine of the angle between them (1: the same direction) and the length of their difference over that of the teacher's (0: the same), means over images.".to_owned(),
        columns,
        rows,
    }
}

/// The layers of a model by name; by number where its record is not there.
fn layer_names(model: &Model) -> Vec<String> {
    match &model.record {
        Some(record) => record.layers.iter().map(|layer| layer.name.clone()).collect(),
        None => {
            let last = model
                .similarity
                .iter()
                .map(|point| point.layer)
                .max()
                .unwrap_or(0);
            (1..=last).map(|layer| format!("layer {layer}")).collect()
        }
    }
}
