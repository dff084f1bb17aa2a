//! Confusion on clean, corrupted and attacked images, a row of panels a network: the one the
//! report is about, and the baseline.

use super::axes::SMALL;
use super::canvas::{Anchor, Canvas, Drawn, GREY, PALETTE, Stroke};
use super::{Draw, Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::metrics::confusion::Confusion;
use crate::model::Model;
use crate::sections::{Place, Section, Show};
use crate::summary::subject;
use crate::tables::calibration::kinds;
use plotters::prelude::{Color, DrawingBackend};

/// More classes than this are dots, not a drawing; their table has the largest.
const MOST: usize = 20;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 744.0;
const BETWEEN: f64 = 14.0;
/// Ink stays legible on the darkest cell, on white paper and on black.
const DARKEST: f64 = 0.55;
const BELOW: f64 = 82.0;
const ABOVE: f64 = 40.0;

struct Row {
    name: String,
    panels: Vec<(&'static str, Option<Confusion>)>,
}

struct Matrices {
    classes: Vec<String>,
    rows: Vec<Row>,
}

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "confusion",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[],
};

/// The figure, when classes are few enough and there is something to show.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let Some(about) = subject(analysis) else {
        return Ok(None);
    };
    let baseline = analysis.runs.baseline.as_deref();
    let shown = |model: &Model| model.name == about.name || Some(model.name.as_str()) == baseline;
    let kinds = kinds(analysis);
    let mut rows = Vec::new();
    let mut classes = 0;
    for (model, grid) in analysis.comparable() {
        if !shown(model) {
            continue;
        }
        let panels = kinds
            .iter()
            .map(|(kind, conditions)| (kind.name(), Confusion::of(grid, conditions)));
        let panels: Vec<_> = panels.collect();
        let seen = panels.iter().filter_map(|(_, matrix)| matrix.as_ref());
        classes = seen.map(Confusion::classes).fold(classes, usize::max);
        let row = Row {
            name: model.name.clone(),
            panels,
        };
        // The report's own subject first.
        rows.insert(if model.name == about.name { 0 } else { rows.len() }, row);
    }
    if !(2..=MOST).contains(&classes) {
        return Ok(None);
    }
    let names = &about.class_names;
    let named = |label: usize| names.get(label).cloned().unwrap_or_else(|| label.to_string());
    let matrices = Matrices {
        classes: (0..classes).map(named).collect(),
        rows,
    };
    make(
        "confusion",
        "What is taken for what",
        "Rows are true classes, columns the classes given, numbers percent of a row (from 1 on)‹; each kind of image through the branch trained for it›. The darker, the more.".to_owned(),
        "Confusion matrices on clean, corrupted and attacked images; the pairs mixed up most are in the table of what is taken for what.".to_owned(),
        &matrices,
    )
    .map(Some)
}

impl Matrices {
    fn side(&self) -> f64 {
        let panels = self
            .rows
            .iter()
            .map(|row| row.panels.len())
            .max()
            .unwrap_or(1)
            .max(1) as f64;
        ((RIGHT - LEFT - BETWEEN * (panels - 1.0)) / panels).min(300.0)
    }
}

impl Draw for Matrices {
    fn size(&self) -> (u32, u32) {
        let height = (self.side() + ABOVE) * self.rows.len() as f64 + BELOW;
        (760, height.ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let side = self.side();
        let cell = side / self.classes.len() as f64;
        // Letters that fit a cell.
        let small = (cell * 0.62).clamp(6.0, SMALL - 2.0);
        for (i, row) in self.rows.iter().enumerate() {
            let top = ABOVE + (side + ABOVE) * i as f64;
            canvas.bold(&row.name, (8.0, top - 26.0), SMALL, Anchor::Start)?;
            for (label, name) in self.classes.iter().enumerate() {
                let y = top + cell * (label as f64 + 0.5);
                canvas.text(&short(name), (LEFT - 6.0, y), small.max(9.0), Anchor::End)?;
            }
            for (k, (kind, matrix)) in row.panels.iter().enumerate() {
                let left = LEFT + (side + BETWEEN) * k as f64;
                canvas.text(kind, (left + side / 2.0, top - 10.0), SMALL, Anchor::Middle)?;
                match matrix {
                    Some(matrix) => self.panel(canvas, matrix, (left, top), cell, small)?,
                    None => canvas.text(
                        "not measured",
                        (left + side / 2.0, top + side / 2.0),
                        SMALL,
                        Anchor::Middle,
                    )?,
                }
                let corners = [
                    (left, top),
                    (left + side, top),
                    (left + side, top + side),
                    (left, top + side),
                    (left, top),
                ];
                canvas.line(&corners, GREY.mix(0.6), 0.5, Stroke::Solid)?;
                if i + 1 == self.rows.len() {
                    for (label, name) in self.classes.iter().enumerate() {
                        let x = left + cell * (label as f64 + 0.5);
                        canvas.upwards(&short(name), (x, top + side + 38.0), small.max(9.0))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Matrices {
    fn panel<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        matrix: &Confusion,
        (left, top): (f64, f64),
        cell: f64,
        small: f64,
    ) -> Drawn {
        for from in 0..self.classes.len() {
            for to in 0..self.classes.len() {
                let share = matrix.share(from, to);
                let (x, y) = (left + cell * to as f64, top + cell * from as f64);
                if share > 0.0 {
                    let color = PALETTE[0].mix(DARKEST * share.sqrt());
                    canvas.rect((x, y), (x + cell, y + cell), color)?;
                }
                if share >= 0.01 && cell >= 13.0 {
                    let percent = format!("{:.0}", 100.0 * share);
                    canvas.text(&percent, (x + cell / 2.0, y + cell / 2.0), small, Anchor::Middle)?;
                }
            }
        }
        Ok(())
    }
}

/// A class's name as far as there is room.
fn short(name: &str) -> String {
    if name.chars().count() <= 11 {
        return name.to_owned();
    }
    name.chars().take(10).chain(['\u{2026}']).collect()
}
