//! How masks were found, and how much of a mask still moved when its stage ended.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::RELUS;
use crate::sections::{Place, Section, Show};
use rlnet_suites::objective::Score;
use rlnet_suites::train::Stage;
use rlnet_suites::{CellSpec, CurvePoint, ModelRecord, TrainSpec};

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "searches",
    place: Place::Provenance,
    show: Show::Table(searches),
    terms: &[RELUS],
};

/// One row a finished stage `mask` or `snl`.
fn searches(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("name", "Stage"),
        Column::text("by", "Units chosen by"),
        Column::integer("kept", "ReLUs kept"),
        Column::new("lag1", "Moved in an epoch", "%", Kind::Number(2)),
        Column::new("lag2", "Moved in two", "%", Kind::Number(2)),
        Column::new("chance", "By chance", "%", Kind::Number(2)),
    ];
    let mut rows = Vec::new();
    for (run, record) in analysis.runs.records() {
        let (CellSpec::Train(spec), Some(model)) = (&record.cell.spec, &record.model) else {
            continue;
        };
        if !spec.stage.is_search() {
            continue;
        }
        // A file of curves that cannot be read is an error of the figure of training curves.
        let curves = run.kept(&record.cell, "train.parquet").unwrap_or_default();
        let moved = |metric: &str| match late(&curves, metric) {
            Some(share) => Cell::of(Value::Number(100.0 * share)),
            None => Cell::absent("its mask does not move"),
        };
        rows.push(vec![
            Cell::text(&record.cell.name),
            Cell::text(by(spec)),
            Cell::integer(model.kept()),
            moved("mask/hamming_lag1"),
            moved("mask/hamming_lag2"),
            Cell::of(Value::Number(100.0 * chance(model))),
        ]);
    }
    Table::new(
        "searches",
        "How masks were found",
        "Share of all units whose state differs between a mask and the mask of one epoch, or two epochs, before: the mean over the last third of the stage. A mask that moves more in one epoch than in two flips to and fro (defect B28). `By chance`: two independent masks with as many units in each layer.",
        columns,
        rows,
    )
}

fn by(spec: &TrainSpec) -> &'static str {
    match (spec.stage, spec.score) {
        (Stage::Snl, _) => "slopes (SNL)",
        (_, Score::Own) => "score in their own state",
        (_, Score::Averaged) => "averaged score",
        (_, Score::Preactivation) => "score of their input",
        (_, Score::Unstable) => "score of their input, stable units first",
        (_, Score::Taylor) => "first-order change of the loss",
        (_, Score::Hysteresis) => "indicators with hysteresis",
        (_, Score::CoordinateDescent) => "blocks taken away",
        (_, Score::Random) => "lot",
    }
}

/// The mean of a curve over the last third of its epochs.
fn late(curves: &[CurvePoint], metric: &str) -> Option<f64> {
    let points = || curves.iter().filter(|point| point.metric == metric);
    let last = points().map(|point| point.epoch).max()?;
    let late: Vec<f64> = points()
        .filter(|point| 3 * point.epoch > 2 * last)
        .map(|point| point.value)
        .collect();
    Some(late.iter().sum::<f64>() / late.len() as f64)
}

/// Share of units in which two independent masks with these counts differ: `2 p (1 - p)` a unit.
fn chance(model: &ModelRecord) -> f64 {
    let layer = |layer: &rlnet_suites::LayerRecord| {
        let (kept, total) = (layer.kept as f64, layer.total() as f64);
        2.0 * kept * (1.0 - kept / total.max(1.0))
    };
    model.layers.iter().map(layer).sum::<f64>() / model.total().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::objective::Dropped;
    use rlnet_suites::{LayerRecord, NormBanks};

    #[test]
    fn the_last_third_counts_and_chance_is_worked_out_by_layer() {
        let point = |(epoch, value): (u32, f64)| CurvePoint {
            epoch,
            metric: "mask/hamming_lag1".into(),
            value,
        };
        let curves: Vec<CurvePoint> = [(1, 9.0), (2, 9.0), (3, 9.0), (4, 9.0), (5, 1.0), (6, 2.0)]
            .map(point)
            .into();
        assert_eq!(late(&curves, "mask/hamming_lag1"), Some(1.5));
        assert_eq!(late(&curves, "mask/hamming_lag2"), None);
        let layer = |kept| LayerRecord {
            name: String::new(),
            shape: [1, 2, 2],
            kept,
        };
        let model = ModelRecord {
            arch: String::new(),
            image_size: 32,
            classes: Vec::new(),
            norm: NormBanks::Dual,
            parameters: 0,
            macs: 0,
            layers: vec![layer(2), layer(4)],
            epoch: 1,
            overfitted: None,
            imported: false,
            linear: Vec::new(),
            dropped: Dropped::Identity,
            deployed: None,
        };
        // Half of the first layer's four units, none of the second's.
        assert_eq!(chance(&model), 2.0 / 8.0);
    }
}
