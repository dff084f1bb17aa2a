//! Training curves: a row per trained network, loss on the left and held-out accuracy on
//! the right.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, INK, Stroke};
use super::chosen::Chosen;
use super::{Draw, Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use plotters::prelude::DrawingBackend;
use rlnet_suites::{CellId, CellSpec, CurvePoint};

struct Curve {
    look: Look,
    points: Vec<(f64, f64)>,
}

struct Row {
    name: String,
    epochs: f64,
    losses: Vec<Curve>,
    accuracies: Vec<Curve>,
}

struct Curves {
    rows: Vec<Row>,
    losses: Vec<Entry>,
    accuracies: Vec<Entry>,
}

const TOP: f64 = 12.0;
const LEFT: (f64, f64) = (66.0, 376.0);
const RIGHT: (f64, f64) = (452.0, 738.0);
const PANEL_HEIGHT: f64 = 118.0;
const ROW: f64 = PANEL_HEIGHT + 62.0;
/// Losses by their curve names, in the order of colours.
const LOSSES: [(&str, &str); 4] = [
    ("loss/total", "loss"),
    ("loss/ce", "cross entropy"),
    ("loss/kl", "distillation"),
    ("loss/attention", "attention"),
];

/// The figure, when any network has curves.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let mut rows = Vec::new();
    let (mut losses, mut images, mut branches) = (Vec::new(), Vec::new(), Vec::new());
    let chosen = Chosen::of(analysis);
    // Of many networks the drawn ones, with the stages just before them.
    let trained = chosen
        .models
        .iter()
        .filter_map(|at| analysis.runs.models[*at].trained.as_ref());
    let drawn: Vec<&CellId> = trained
        .flat_map(|cell| cell.parents.iter().chain([&cell.id]))
        .collect();
    for (run, record) in analysis.runs.records() {
        let left_out = chosen.some() && !drawn.contains(&&record.cell.id);
        if left_out || !matches!(record.cell.spec, CellSpec::Train(_)) {
            continue;
        }
        let points: Vec<CurvePoint> = run.kept(&record.cell, "train.parquet")?;
        if points.is_empty() {
            continue;
        }
        let mut row = Row {
            name: record.cell.name.clone(),
            epochs: points
                .iter()
                .map(|point| f64::from(point.epoch))
                .fold(1.0, f64::max),
            losses: Vec::new(),
            accuracies: Vec::new(),
        };
        for (i, (metric, name)) in LOSSES.iter().enumerate() {
            let look = Look {
                color: color(i),
                stroke: Stroke::Solid,
                shape: 0,
                marks: false,
            };
            if let Some(points) = curve(&points, metric, 1.0) {
                row.losses.push(Curve { look, points });
                name_once(&mut losses, name, look);
            }
        }
        for (metric, image, branch, look) in validation(&points) {
            let Some(points) = curve(&points, &metric, 100.0) else {
                continue;
            };
            row.accuracies.push(Curve { look, points });
            name_once(
                &mut images,
                image,
                Look {
                    stroke: Stroke::Solid,
                    ..look
                },
            );
            name_once(&mut branches, branch, Look { color: INK, ..look });
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let alt = format!(
        "Small line charts of loss and held-out accuracy against epoch for {}.",
        format::list(&names)
    );
    let caption = format!(
        "Loss over training images, in all and its parts before they are weighted; accuracy on training images held out, clean and under the inner attack: colours are images, lines are branches.{}",
        chosen.said()
    );
    let accuracies = [images, branches].concat();
    make(
        "training",
        "Training curves",
        caption,
        alt,
        &Curves {
            rows,
            losses,
            accuracies,
        },
    )
    .map(Some)
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

fn curve(points: &[CurvePoint], metric: &str, factor: f64) -> Option<Vec<(f64, f64)>> {
    let own = points
        .iter()
        .filter(|point| point.metric == metric && point.value.is_finite());
    let mut own: Vec<(f64, f64)> = own
        .map(|point| (f64::from(point.epoch), factor * point.value))
        .collect();
    own.sort_by(|a, b| a.0.total_cmp(&b.0));
    (!own.is_empty()).then_some(own)
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

impl Curves {
    fn legend_height(&self) -> f64 {
        legend_height(&self.losses, LEFT).max(legend_height(&self.accuracies, RIGHT))
    }
}

impl Draw for Curves {
    fn size(&self) -> (u32, u32) {
        (
            760,
            (TOP + self.legend_height() + ROW * self.rows.len() as f64 + 26.0).ceil() as u32,
        )
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        legend(canvas, &self.losses, LEFT, TOP)?;
        legend(canvas, &self.accuracies, RIGHT, TOP)?;
        let first = TOP + self.legend_height() + 32.0;
        for (i, row) in self.rows.iter().enumerate() {
            let top = first + ROW * i as f64;
            let across = if i + 1 == self.rows.len() { "Epoch" } else { "" };
            canvas.bold(&row.name, (LEFT.0, top - 14.0), SMALL, Anchor::Start)?;
            let highest = row
                .losses
                .iter()
                .flat_map(|curve| &curve.points)
                .map(|point| point.1);
            let highest = highest.fold(0.0, f64::max);
            let loss = if highest > 0.0 { 1.08 * highest } else { 1.0 };
            for (x, up, curves, title) in [
                (LEFT, (0.0, loss), &row.losses, "Loss"),
                (RIGHT, (0.0, 100.0), &row.accuracies, "Accuracy (%)"),
            ] {
                let panel = Panel {
                    x,
                    y: (top, top + PANEL_HEIGHT),
                    // A single epoch is a point, in the middle.
                    across: (1.0 - 0.03 * row.epochs, row.epochs + 0.03 * row.epochs),
                    up,
                };
                panel.rows(canvas, &ticks(up.0, up.1, 4), plain)?;
                let whole = |tick: &f64| (tick - tick.round()).abs() < 1e-9;
                let epochs: Vec<f64> = ticks(1.0, row.epochs, 8).into_iter().filter(whole).collect();
                panel.columns(canvas, &epochs, plain)?;
                panel.titles(canvas, across, title)?;
                for curve in curves {
                    let marks = curve.points.len() < 2;
                    panel.series(canvas, &curve.points, Look { marks, ..curve.look })?;
                }
            }
        }
        Ok(())
    }
}
