//! The literature beside our numbers: only where architecture, data set and number of ReLUs
//! are the same, and never as a test, for the training images of a paper are not those of a run.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::metrics::{BranchPolicy, Known};
use rlnet_suites::Literature;

/// Budgets that differ by at most this share are the same: papers round theirs.
const TOLERANCE: f64 = 0.03;

/// One row a model and published number that can stand beside it.
pub fn published(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("relus", "ReLUs", "", Kind::Integer),
        Column::new("method", "Published method", "", Kind::Text),
        Column::new("their_relus", "Its ReLUs", "", Kind::Integer),
        Column::new("measure", "Measure", "", Kind::Text),
        Column::new("paper", "Paper", "%", Kind::Number(2)),
        Column::new("ours", "Ours", "%", Kind::Share),
        Column::new("difference", "Difference", "points", Kind::Number(1)),
        Column::new("seen", "Seen", "", Kind::Text),
        Column::new("source", "Source", "", Kind::Text),
    ];
    let mut rows = Vec::new();
    // The files are checked by their tests; a report without them is still a report.
    let literature = Literature::load().unwrap_or_default();
    for model in &analysis.runs.models {
        let (Some(record), Some(triple)) =
            (&model.record, analysis.triple(&model.name, BranchPolicy::Oracle))
        else {
            continue;
        };
        let dataset = analysis.runs.runs[model.run].plan.images();
        let Some(dataset) = dataset.map(|images| images.dataset.as_str()) else {
            continue;
        };
        for (result, source) in literature.like(&record.arch, dataset, record.kept(), TOLERANCE) {
            let ours: &Known<_> = match result.measure.as_str() {
                "CA" => &triple.ca,
                "NPA" => &triple.natural.npa,
                _ => continue,
            };
            rows.push(vec![
                Cell::text(&model.name),
                Cell::of(Value::Integer(record.kept())),
                Cell::text(&result.method),
                match result.relus {
                    Some(relus) => Cell::of(Value::Integer(relus)),
                    None => Cell::of(Value::Absent("all, or not said".into())),
                },
                Cell::text(&result.measure),
                Cell::of(Value::Number(result.value)),
                Cell::share(ours, &triple.policy.label()),
                Cell::number(
                    ours.as_ref().ok().map(|ours| 100.0 * ours.value - result.value),
                    "not measured",
                ),
                Cell::text(source.seen.name()),
                Cell::text(&source.title),
            ]);
        }
    }
    Table {
        id: "published",
        whole: None,
        title: "Beside published numbers".to_owned(),
        caption: format!(
            "Published networks of the same architecture and data set with as many ReLUs ({} % apart at most). Difference: ours minus theirs; no test, as their images of a test set cannot be paired with ours. Original: read in the paper or its code; second-hand: quoted by somebody else; derived: worked out. RLNet's own tables were not found.",
            format::percent(TOLERANCE)
        ),
        columns,
        rows,
    }
}
