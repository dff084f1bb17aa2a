//! Training curves: a row per trained network, loss on the left and held-out accuracy on
//! the right.

use super::axes::{Entry, Look, Panel, SMALL, legend, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, Stroke};
use super::{Draw, Figure, color, make};
use crate::error::ReportError;
use crate::metrics::Analysis;
use crate::words;
use plotters::prelude::DrawingBackend;
use rlnet_suites::{CellSpec, CurvePoint};

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
    entries: Vec<Entry>,
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
    let mut seen: Vec<(String, Look)> = Vec::new();
    for (run, record) in analysis.runs.records() {
        if !matches!(record.cell.spec, CellSpec::Train(_)) {
            continue;
        }
        let points = run.curves(&record.cell)?;
        if points.is_empty() {
            continue;
        }
        let mut row = Row {
            name: record.cell.name.clone(),
            epochs: points.iter().map(|point| f64::from(point.epoch)).fold(1.0, f64::max),
            losses: Vec::new(),
            accuracies: Vec::new(),
        };
        for (i, (metric, name)) in LOSSES.iter().enumerate() {
            let look = Look { color: color(i), stroke: Stroke::Solid, shape: 0, marks: false };
            add(&mut row.losses, &points, metric, 1.0, look, name, &mut seen);
        }
        for (metric, name, look) in accuracies(&points) {
            add(&mut row.accuracies, &points, &metric, 100.0, look, &name, &mut seen);
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let alt = format!("Small line charts of loss and held-out accuracy against epoch for {}.", words::list(&names));
    let entries = seen.into_iter().map(|(name, look)| Entry { name, look, line: true }).collect();
    let caption = "Losses are means over training steps as weighted in the objective's parts; accuracies are of training images held out, clean and under the inner attack, through each branch.".to_owned();
    make("training", "Training curves", caption, alt, &Curves { rows, entries }).map(Some)
}

/// `validation/<clean|adversarial>/<branch>`: colour says the image, the line the branch.
fn accuracies(points: &[CurvePoint]) -> Vec<(String, String, Look)> {
    let mut found: Vec<(String, String, Look)> = Vec::new();
    for point in points {
        let Some(rest) = point.metric.strip_prefix("validation/") else { continue };
        let Some((image, branch)) = rest.split_once('/') else { continue };
        if found.iter().any(|(metric, ..)| *metric == point.metric) {
            continue;
        }
        let stroke = match branch {
            "clean" => Stroke::Dashed,
            "natural" => Stroke::Dotted,
            _ => Stroke::Solid,
        };
        let color = color(if image == "clean" { 5 } else { 4 });
        let images = if image == "clean" { "clean" } else { "attacked" };
        let name = format!("{images} images, {branch} branch");
        found.push((point.metric.clone(), name, Look { color, stroke, shape: 0, marks: false }));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn add(
    curves: &mut Vec<Curve>,
    points: &[CurvePoint],
    metric: &str,
    factor: f64,
    look: Look,
    name: &str,
    seen: &mut Vec<(String, Look)>,
) {
    let own = points.iter().filter(|point| point.metric == metric && point.value.is_finite());
    let mut own: Vec<(f64, f64)> = own.map(|point| (f64::from(point.epoch), factor * point.value)).collect();
    own.sort_by(|a, b| a.0.total_cmp(&b.0));
    if own.is_empty() {
        return;
    }
    curves.push(Curve { look, points: own });
    if !seen.iter().any(|(known, _)| known == name) {
        seen.push((name.to_owned(), look));
    }
}

impl Curves {
    fn legend_height(&self) -> f64 {
        super::axes::legend_height(&self.entries, (LEFT.0, RIGHT.1))
    }
}

impl Draw for Curves {
    fn size(&self) -> (u32, u32) {
        (760, (TOP + self.legend_height() + ROW * self.rows.len() as f64 + 26.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        legend(canvas, &self.entries, (LEFT.0, RIGHT.1), TOP)?;
        let first = TOP + self.legend_height() + 32.0;
        for (i, row) in self.rows.iter().enumerate() {
            let top = first + ROW * i as f64;
            let across = if i + 1 == self.rows.len() { "Epoch" } else { "" };
            canvas.bold(&row.name, (LEFT.0, top - 14.0), SMALL, Anchor::Start)?;
            let highest = row.losses.iter().flat_map(|curve| &curve.points).map(|point| point.1);
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
