//! Nightly numbers with their levels: a small panel a number, steps marked.

use super::axes::{Panel, SMALL, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, GREY, INK, Stroke};
use super::{Draw, Figure, color, make};
use crate::error::ReportError;
use crate::metrics::steps::Piece;
use plotters::prelude::{Color, DrawingBackend};

/// One number over the nights.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Share, low and high of each night.
    pub values: Vec<(f64, f64, f64)>,
    /// Stretches of equal level.
    pub pieces: Vec<Piece>,
    /// The first night's name.
    pub first: String,
    /// The last night's name.
    pub last: String,
}

const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;
const HEIGHT: f64 = 96.0;
const STEP: f64 = HEIGHT + 64.0;

struct Nights<'a>(&'a [Series]);

/// The figure of a series.
///
/// # Errors
/// When drawing fails.
pub(crate) fn history(series: &[Series]) -> Result<Figure, ReportError> {
    super::canvas::fonts().map_err(|error| ReportError::make("the figures", error))?;
    make(
        "history",
        "Nightly numbers",
        "One panel a number: dots are nights with 95 % intervals, lines are levels found by change-point detection, upright lines are steps.".to_owned(),
        "Line charts of every number against nights; the numbers are in history.parquet.".to_owned(),
        &Nights(series),
    )
}

impl Draw for Nights<'_> {
    fn size(&self) -> (u32, u32) {
        (760, (STEP * self.0.len() as f64 + 12.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        for (i, series) in self.0.iter().enumerate() {
            let top = STEP * i as f64 + 30.0;
            canvas.bold(&series.name, (LEFT, top - 16.0), SMALL, Anchor::Start)?;
            let lows = series.values.iter().map(|value| 100.0 * value.1);
            let highs = series.values.iter().map(|value| 100.0 * value.2);
            let (low, high) = (lows.fold(100.0, f64::min), highs.fold(0.0, f64::max));
            let room = (0.1 * (high - low)).max(0.5);
            let n = series.values.len() as f64;
            let panel = Panel {
                x: (LEFT, RIGHT),
                y: (top, top + HEIGHT),
                across: (-0.5, (n - 0.5).max(0.5)),
                up: ((low - room).max(0.0), (high + room).min(100.0)),
            };
            panel.rows(canvas, &ticks(panel.up.0, panel.up.1, 3), plain)?;
            panel.columns(canvas, &[], plain)?;
            let below = top + HEIGHT + 13.0;
            canvas.text(&series.first, (LEFT, below), SMALL - 1.0, Anchor::Start)?;
            canvas.text(&series.last, (RIGHT, below), SMALL - 1.0, Anchor::End)?;
            let ends: Vec<(f64, f64, f64)> = (0..)
                .zip(&series.values)
                .map(|(at, value): (u32, _)| (f64::from(at), 100.0 * value.1, 100.0 * value.2))
                .collect();
            panel.intervals(canvas, &ends, color(0))?;
            for (at, value) in (0_u32..).zip(&series.values) {
                canvas.mark(panel.at(f64::from(at), 100.0 * value.0), 0, 2.4, color(0))?;
            }
            for piece in &series.pieces {
                let (from, to) = (piece.start as f64 - 0.5, piece.end as f64 - 0.5);
                let level = 100.0 * piece.level;
                canvas.line(
                    &[panel.at(from, level), panel.at(to, level)],
                    INK,
                    1.2,
                    Stroke::Solid,
                )?;
                if piece.start > 0 {
                    let line = [panel.at(from, panel.up.0), panel.at(from, panel.up.1)];
                    canvas.line(&line, color(1), 1.2, Stroke::Dashed)?;
                }
            }
            canvas.line(&[(LEFT, top), (RIGHT, top)], GREY.mix(0.2), 0.5, Stroke::Solid)?;
        }
        Ok(())
    }
}
