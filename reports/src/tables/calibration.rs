//! Whether confidence can be believed.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::metrics::BranchPolicy;
use crate::metrics::calibration::{BINS, Calibration};
use rlnet_suites::Condition;
use rlnet_suites::corruption::BENCHMARK;

/// One row a model, reading and kind of image.
pub fn calibration(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Read through", "", Kind::Text),
        Column::new("images", "Images", "", Kind::Text),
        Column::new("accuracy", "Right", "%", Kind::Number(1)),
        Column::new("confidence", "Mean confidence", "%", Kind::Number(1)),
        Column::new("ece", "ECE", "points", Kind::Number(1)),
        Column::new("loss", "Mean loss", "nats", Kind::Number(3)),
        Column::new("answers", "Answers", "", Kind::Integer),
        Column::new("left_out", "Left out", "", Kind::Integer),
    ];
    let mut rows = Vec::new();
    for (model, matrix) in analysis.runs.models.iter().zip(&analysis.matrices) {
        let policies = model.policies().into_iter();
        for policy in policies.filter(|policy| *policy != BranchPolicy::Worst) {
            for (kind, conditions) in kinds(analysis) {
                let Some(found) = Calibration::of(matrix, policy, &conditions) else {
                    continue;
                };
                rows.push(vec![
                    Cell::text(&model.name),
                    Cell::text(policy.label()),
                    Cell::text(kind),
                    Cell::of(Value::Number(100.0 * found.accuracy())),
                    Cell::of(Value::Number(100.0 * found.confidence())),
                    Cell::of(Value::Number(100.0 * found.ece())),
                    Cell::of(Value::Number(found.loss)),
                    Cell::of(Value::Integer(found.answers())),
                    Cell::of(Value::Integer(found.left_out)),
                ]);
            }
        }
    }
    Table {
        id: "calibration",
        whole: None,
        title: "Whether confidence can be believed".to_owned(),
        caption: format!(
            "ECE: expected calibration error of the predicted class, {BINS} bins of equal width. Confidence is worked out from each row's loss and margin and is exact for the predicted class; rows keep no other class's probability, so there is no Brier score. Left out: answers with an infinite loss. The worst of branches has no confidence of its own."
        ),
        columns,
        rows,
    }
}

/// Kinds of images, with their conditions.
pub(crate) fn kinds(analysis: &Analysis) -> Vec<(&'static str, Vec<Condition>)> {
    let benchmark = |condition: &Condition| matches!(condition, Condition::Corruption { name, .. } if BENCHMARK.contains(&name.as_str()));
    let corrupted = analysis.runs.conditions().into_iter().filter(benchmark).collect();
    let attack = analysis.runs.headline.clone().map(Condition::Attack);
    let all = [
        ("clean", vec![Condition::Clean]),
        ("corrupted", corrupted),
        ("attacked", attack.into_iter().collect()),
    ];
    all.into_iter()
        .filter(|(_, conditions)| !conditions.is_empty())
        .collect()
}
