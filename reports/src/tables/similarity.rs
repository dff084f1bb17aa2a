//! How alike students' activations are to their teachers'.

use super::{Cell, Column, Kind, Table};
use crate::analysis::Analysis;
use crate::model::Model;
use crate::sections::{Place, Section, Show};

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "similarity",
    place: Place::Numbers,
    show: Show::Table(similarity),
    terms: &[],
};

/// One row a model, branch and ReLU layer: cosine and relative distance.
pub fn similarity(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("branch", "Branch"),
        Column::text("layer", "Layer"),
        Column::new("cosine", "Cosine", "", Kind::Number(3)),
        Column::new("distance", "Distance", "", Kind::Number(3)),
    ];
    let compared = (analysis.runs.models.iter()).filter(|model| !model.similarity.is_empty());
    let mut rows = Vec::new();
    for model in compared {
        for branch in &model.branches {
            let metrics = [format!("cosine/{branch}"), format!("distance/{branch}")];
            let values = |metric: &str, place: Option<u32>| -> Vec<f64> {
                (model.similarity.iter())
                    .filter(|point| point.metric == metric && place.is_none_or(|place| point.layer == place))
                    .map(|point| point.value)
                    .collect()
            };
            let names = (1..)
                .zip(layer_names(model))
                .map(|(place, name)| (Some(place), name));
            for (place, name) in names.chain([(None, "mean over layers".to_owned())]) {
                let means = metrics.iter().map(|metric| {
                    let values = values(metric, place);
                    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
                    Cell::number((!values.is_empty()).then_some(mean), "not measured")
                });
                let named = [model.name.as_str(), branch.name(), &name].map(Cell::text);
                rows.push(named.into_iter().chain(means).collect());
            }
        }
    }
    Table::new(
        "similarity",
        "Activations beside the teacher's",
        "Output of each ReLU layer of a student beside its teacher's on the same clean test images, through the same branch: the cosine of the angle between them (1: the same direction) and the length of their difference over that of the teacher's (0: the same), means over images.",
        columns,
        rows,
    )
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
