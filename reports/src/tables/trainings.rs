//! Networks that were trained several times: means, spread, and where the uncertainty comes from.

use super::by_branch::{READ, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary;
use crate::metrics::Measure;
use crate::sections::{Place, Section, Show};

/// The section.
pub const SECTION: Section = Section {
    id: "trainings",
    place: Place::Numbers,
    show: Show::Table(table),
    terms: glossary::ACCURACY,
};

/// One row a model trained several times, branch policy and measure.
fn table(analysis: &Analysis) -> Table {
    let own = [
        Column::text("measure", "Measure"),
        Column::share("mean", "Mean"),
        Column::new(
            "deviation",
            "Standard deviation of trainings",
            "points",
            Kind::Number(1),
        ),
        Column::integer("trainings", "Trainings"),
        Column::new("by_training", "Variance from trainings", "%", Kind::Number(0)),
        Column::new("by_image", "Variance from images", "%", Kind::Number(0)),
    ];
    let measures = [Measure::Ca, Measure::Npa, Measure::AdvA];
    let all = views(analysis).flat_map(|view| measures.map(|measure| (view, measure)));
    let rows = all.filter_map(|(view, measure)| {
        let found = analysis.over_trainings(view.at, view.policy, measure)?;
        let shares = found.shares();
        let share =
            |of: fn((f64, f64)) -> f64| Cell::number(shares.map(|both| 100.0 * of(both)), "no variance");
        let source = format!("{} trainings", found.trainings);
        Some(view.row([
            Cell::text(measure.name()),
            Cell::share(&Ok(found.estimate()), &source),
            Cell::of(Value::Number(100.0 * found.deviation)),
            Cell::integer(found.trainings as u64),
            share(|both| both.0),
            share(|both| both.1),
        ]))
    });
    Table::new(
        "trainings",
        "Over trainings",
        "Percent right, mean over trainings with other seeds and over images. The 95 % interval covers both what other images and what other trainings would give (method: docs/method/trainings.md); the last columns say how much of its variance more trainings, and more images, would make smaller. The variance over images includes the chance of one training on one image, and the random starts of attacks.",
        columns(READ, own),
        rows.collect(),
    )
}
