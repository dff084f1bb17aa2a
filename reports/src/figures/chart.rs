//! A chart: panels with two axes, and in each of them series of points with their intervals. Most
//! figures are charts.

use super::Draw;
use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height};
use super::canvas::{Anchor, Canvas, Drawn, Stroke};
use crate::metrics::Estimate;
use plotters::prelude::{Color, DrawingBackend};

/// Width of a figure that has the page's width for itself.
pub(super) const WIDE: u32 = 760;
/// Left edge of the first panel, and room right of the last.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
/// Between two panels side by side.
const BETWEEN: f64 = 60.0;
/// Room above a panel for its heading, and below it for labels of ticks, for a title of the axis,
/// and for labels that read upwards.
const HEADING: f64 = 30.0;
const LABELS: f64 = 32.0;
const TITLE: f64 = 20.0;
const UPRIGHT: f64 = 84.0;
/// Radius of the ring around a knee.
const RING: f64 = 8.0;

/// A chart.
pub(super) struct Chart {
    /// Legends, one below the other; one that begins right of the one before stands beside it.
    pub legends: Vec<Legend>,
    /// Panels, row by row.
    pub panels: Vec<ChartPanel>,
    /// Panels in a row.
    pub columns: usize,
    /// Height of a panel.
    pub height: f64,
    /// Width of the figure.
    pub width: u32,
}

/// A legend between a left and a right edge.
pub(super) struct Legend {
    pub x: (f64, f64),
    pub entries: Vec<Entry>,
}

/// A panel.
pub(super) struct ChartPanel {
    pub heading: String,
    /// Written at the right of the heading.
    pub note: String,
    pub across: Axis,
    pub up: Axis,
    pub series: Vec<Series>,
}

/// An axis.
pub(super) struct Axis {
    pub title: String,
    /// Values at its ends.
    pub range: (f64, f64),
    /// Places and labels.
    pub ticks: Vec<(f64, String)>,
    /// Whether labels read upwards.
    pub upright: bool,
}

impl Axis {
    /// An axis whose ticks are labelled by a function.
    pub fn new(title: &str, range: (f64, f64), ticks: &[f64], label: impl Fn(f64) -> String) -> Self {
        Self {
            title: title.to_owned(),
            range,
            ticks: ticks.iter().map(|tick| (*tick, label(*tick))).collect(),
            upright: false,
        }
    }

    /// Percent from 0 to the next multiple of 10 above all of these shares.
    pub fn percent<'a>(title: &str, series: impl IntoIterator<Item = &'a Series>) -> Self {
        let points = series.into_iter().flat_map(|series| &series.points);
        let highest = points
            .map(|point| point.high.max(point.value))
            .fold(1.0, f64::max);
        let highest = (highest / 10.0).ceil() * 10.0;
        Self::new(
            title,
            (0.0, highest),
            &super::axes::ticks(0.0, highest, 5),
            super::axes::plain,
        )
    }
}

/// A point with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    pub x: f64,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Mark {
    /// A point without an interval.
    pub fn plain(x: f64, value: f64) -> Self {
        Self {
            x,
            value,
            low: value,
            high: value,
        }
    }

    /// A share in percent, with its 95 % interval.
    pub fn percent(x: f64, share: &Estimate) -> Self {
        let [value, low, high] = [share.value, share.low, share.high].map(|share| 100.0 * share);
        Self { x, value, low, high }
    }
}

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interval {
    /// Not at all.
    None,
    /// An upright bar a point.
    Bars,
    /// One band under the line.
    Band,
}

/// Points that belong together.
#[derive(Clone)]
pub(super) struct Series {
    pub look: Look,
    /// Whether a line goes through the points.
    pub line: bool,
    pub interval: Interval,
    pub points: Vec<Mark>,
    /// A point with a ring, and the range of `x` that a thick pale line through it covers.
    pub ring: Option<(usize, (f64, f64))>,
}

impl Series {
    /// A line with marks and upright intervals.
    pub fn new(look: Look, points: Vec<Mark>) -> Self {
        Self {
            look,
            line: true,
            interval: Interval::Bars,
            points,
            ring: None,
        }
    }
}

impl Chart {
    /// Top of every legend, and where the last one ends.
    fn legend_tops(&self) -> (Vec<f64>, f64) {
        let (mut tops, mut end) = (Vec::new(), TOP);
        for (i, legend) in self.legends.iter().enumerate() {
            let beside = i > 0 && legend.x.0 >= self.legends[i - 1].x.1;
            let top = if beside { tops[i - 1] } else { end };
            end = f64::max(end, top + legend_height(&legend.entries, legend.x));
            tops.push(top);
        }
        (tops, end)
    }

    /// Rows of panels, each with its upper edge (of the panels, below their headings).
    fn rows(&self) -> (Vec<(f64, &[ChartPanel])>, f64) {
        let mut top = self.legend_tops().1;
        let mut rows = Vec::new();
        for row in self.panels.chunks(self.columns) {
            let headed = row.iter().any(|panel| !panel.heading.is_empty());
            top += if headed { HEADING } else { TOP };
            rows.push((top, row));
            let has = |of: fn(&Axis) -> bool| row.iter().any(|panel| of(&panel.across));
            let title = if has(|axis| !axis.title.is_empty()) {
                TITLE
            } else {
                0.0
            };
            let upright = if has(|axis| axis.upright) { UPRIGHT } else { 0.0 };
            top += self.height + LABELS + title + upright;
        }
        (rows, top)
    }
}

/// Left and right edge of a column of panels.
pub(super) fn column(width: u32, columns: usize, at: usize) -> (f64, f64) {
    let columns = columns as f64;
    let wide = (f64::from(width) - LEFT - RIGHT - BETWEEN * (columns - 1.0)) / columns;
    let left = LEFT + (wide + BETWEEN) * at as f64;
    (left, left + wide)
}

/// Left and right edge of a row of panels.
pub(super) fn whole(width: u32) -> (f64, f64) {
    column(width, 1, 0)
}

impl Draw for Chart {
    fn size(&self) -> (u32, u32) {
        (self.width, self.rows().1.ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        for (one, top) in self.legends.iter().zip(self.legend_tops().0) {
            legend(canvas, &one.entries, one.x, top)?;
        }
        for (top, row) in self.rows().0 {
            for (at, panel) in row.iter().enumerate() {
                let frame = Panel {
                    x: column(self.width, self.columns, at),
                    y: (top, top + self.height),
                    across: panel.across.range,
                    up: panel.up.range,
                };
                panel.draw(canvas, &frame)?;
            }
        }
        Ok(())
    }
}

impl ChartPanel {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, frame: &Panel) -> Drawn {
        let above = frame.y.0 - 16.0;
        canvas.bold(&self.heading, (frame.x.0, above), SMALL, Anchor::Start)?;
        canvas.text(&self.note, (frame.x.1, above), SMALL, Anchor::End)?;
        frame.rows(canvas, &self.up.ticks)?;
        frame.columns(canvas, &self.across.ticks, self.across.upright)?;
        frame.titles(canvas, &self.across.title, &self.up.title)?;
        if self.series.iter().all(|series| series.points.is_empty()) {
            let middle = ((frame.x.0 + frame.x.1) / 2.0, (frame.y.0 + frame.y.1) / 2.0);
            return canvas.text("not measured", middle, SMALL, Anchor::Middle);
        }
        for series in &self.series {
            let ends: Vec<(f64, f64, f64)> = series.points.iter().map(|p| (p.x, p.low, p.high)).collect();
            match series.interval {
                Interval::None => {}
                Interval::Bars => frame.intervals(canvas, &ends, series.look.color)?,
                Interval::Band => frame.band(canvas, &ends, series.look.color)?,
            }
        }
        self.series
            .iter()
            .try_for_each(|series| series.draw(canvas, frame))
    }
}

impl Series {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, frame: &Panel) -> Drawn {
        let points: Vec<(f64, f64)> = self.points.iter().map(|p| frame.at(p.x, p.value)).collect();
        if self.line {
            canvas.line(&points, self.look.color, 1.6, self.look.stroke)?;
        }
        if self.look.marks {
            for point in &points {
                canvas.mark(*point, self.look.shape, 3.4, self.look.color)?;
            }
        }
        let Some((at, (from, to))) = self.ring else {
            return Ok(());
        };
        let (x, y) = points[at];
        let ends = [from, to].map(|x| (frame.at(x, 0.0).0, y));
        canvas.line(&ends, self.look.color.mix(0.35), 4.0, Stroke::Solid)?;
        let corners = (0..=48).map(|i| {
            let angle = f64::from(i) / 48.0 * std::f64::consts::TAU;
            (x + RING * angle.cos(), y + RING * angle.sin())
        });
        canvas.line(&corners.collect::<Vec<_>>(), self.look.color, 1.8, Stroke::Solid)
    }
}
