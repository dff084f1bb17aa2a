//! Training curves: a row per trained network, loss on the left and held-out accuracy on
//! the right.

use super::axes::{Entry, Look, plain, ticks};
use super::canvas::{INK, Stroke};
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, WIDE, column};
use super::chosen::Chosen;
use super::{Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::run::Run;
use crate::sections::{Place, Section, Show};
use rlnet_suites::{CellId, CellRecord, CellSpec, CurvePoint};

/// Losses by their curve names, in the order of colours.
const LOSSES: [(&str, &str); 4] = [
    ("loss/total", "loss"),
    ("loss/ce", "cross entropy"),
    ("loss/kl", "distillation"),
    ("loss/attention", "attention"),
];

/// What legends name: losses, images and branches.
#[derive(Default)]
struct Entries {
    losses: Vec<Entry>,
    images: Vec<Entry>,
    branches: Vec<Entry>,
}

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "training",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[],
};

/// The figure, when any network has curves.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let chosen = Chosen::of(analysis);
    let (mut names, mut panels, mut entries) = (Vec::new(), Vec::new(), Entries::default());
    for (run, record) in trained(analysis, &chosen) {
        let points: Vec<CurvePoint> = run.kept(&record.cell, "train.parquet")?;
        if !points.is_empty() {
            names.push(record.cell.name.clone());
            panels.extend(row(&record.cell.name, &points, &mut entries));
        }
    }
    // One title serves a column.
    let last = panels.len().saturating_sub(2);
    for panel in panels.iter_mut().take(last) {
        panel.across.title.clear();
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let alt = format!(
        "Small line charts of loss and held-out accuracy against epoch for {}.",
        format::list(&names)
    );
    let caption = format!(
        "Loss over training images, in all and its parts before they are weighted; accuracy on training images held out, clean and under the inner attack: colours are images, lines are branches.{}",
        chosen.said()
    );
    let legend = |at, entries| Legend {
        x: column(WIDE, 2, at),
        entries,
    };
    let chart = Chart {
        legends: vec![
            legend(0, entries.losses),
            legend(1, [entries.images, entries.branches].concat()),
        ],
        panels,
        columns: 2,
        height: 118.0,
        width: WIDE,
    };
    make("training", "Training curves", caption, alt, &chart).map(Some)
}

/// Trained cells whose curves are drawn: of many networks the chosen ones, with the stages just
/// before them.
fn trained<'a>(analysis: &'a Analysis, chosen: &Chosen) -> Vec<(&'a Run, &'a CellRecord)> {
    let drawn: Vec<&CellId> = chosen
        .models
        .iter()
        .filter_map(|at| analysis.runs.models[*at].trained.as_ref())
        .flat_map(|cell| cell.parents.iter().chain([&cell.id]))
        .collect();
    let mut records = analysis.runs.records();
    records.retain(|(_, record)| {
        matches!(record.cell.spec, CellSpec::Train(_)) && (!chosen.some() || drawn.contains(&&record.cell.id))
    });
    records
}

/// The two panels of a network.
fn row(name: &str, points: &[CurvePoint], entries: &mut Entries) -> [ChartPanel; 2] {
    let (mut losses, mut accuracies) = (Vec::new(), Vec::new());
    for (i, (metric, named)) in LOSSES.iter().enumerate() {
        let look = Look {
            marks: false,
            ..Look::model(i, Stroke::Solid)
        };
        if let Some(series) = curve(points, metric, 1.0, look) {
            losses.push(series);
            name_once(&mut entries.losses, named, look);
        }
    }
    for (metric, image, branch, look) in validation(points) {
        if let Some(series) = curve(points, &metric, 100.0, look) {
            accuracies.push(series);
            name_once(
                &mut entries.images,
                image,
                Look {
                    stroke: Stroke::Solid,
                    ..look
                },
            );
            name_once(&mut entries.branches, branch, Look { color: INK, ..look });
        }
    }
    let epochs = points
        .iter()
        .map(|point| f64::from(point.epoch))
        .fold(1.0, f64::max);
    let highest = losses
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.value)
        .fold(0.0, f64::max);
    let highest = if highest > 0.0 { 1.08 * highest } else { 1.0 };
    let across = || {
        let whole = |tick: &f64| (tick - tick.round()).abs() < 1e-9;
        let marks: Vec<f64> = ticks(1.0, epochs, 8).into_iter().filter(whole).collect();
        // A single epoch is a point, in the middle.
        Axis::new("Epoch", (1.0 - 0.03 * epochs, 1.03 * epochs), &marks, plain)
    };
    let panel = |heading: &str, title, highest, series| ChartPanel {
        heading: heading.to_owned(),
        note: String::new(),
        across: across(),
        up: Axis::new(title, (0.0, highest), &ticks(0.0, highest, 4), plain),
        series,
    };
    [
        panel(name, "Loss", highest, losses),
        panel("", "Accuracy (%)", 100.0, accuracies),
    ]
}

/// The curves `validation/<clean|adversarial>/<branch>`: colour says the image, the line the
/// branch. Each with its name, the images' and the branch's names, and its look.
fn validation(points: &[CurvePoint]) -> Vec<(String, &'static str, &'static str, Look)> {
    let mut metrics: Vec<&str> = points.iter().map(|point| point.metric.as_str()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    // Clean images first.
    metrics.reverse();
    let parts = metrics.into_iter().filter_map(|metric| {
        let (image, branch) = metric.strip_prefix("validation/")?.split_once('/')?;
        let (stroke, branch) = match branch {
            "clean" => (Stroke::Dashed, "clean branch"),
            "natural" => (Stroke::Dotted, "natural branch"),
            _ => (Stroke::Solid, "adversarial or only branch"),
        };
        let (place, image) = if image == "clean" {
            (5, "clean images")
        } else {
            (4, "attacked images")
        };
        let look = Look {
            color: color(place),
            stroke,
            shape: 0,
            marks: false,
        };
        Some((metric.to_owned(), image, branch, look))
    });
    parts.collect()
}

fn curve(points: &[CurvePoint], metric: &str, factor: f64, look: Look) -> Option<Series> {
    let mut own: Vec<Mark> = points
        .iter()
        .filter(|point| point.metric == metric && point.value.is_finite())
        .map(|point| Mark::plain(f64::from(point.epoch), factor * point.value))
        .collect();
    own.sort_by(|a, b| a.x.total_cmp(&b.x));
    let marks = own.len() < 2;
    (!own.is_empty()).then(|| Series {
        interval: Interval::None,
        ..Series::new(Look { marks, ..look }, own)
    })
}

fn name_once(entries: &mut Vec<Entry>, name: &str, look: Look) {
    if !entries.iter().any(|entry| entry.name == name) {
        entries.push(Entry {
            name: name.to_owned(),
            look,
            line: true,
        });
    }
}
