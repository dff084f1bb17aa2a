//! A panel with two axes: scales, ticks, grid, titles; and the legend above it.

use super::canvas::{Anchor, Canvas, Drawn, GREY, INK, Point, Stroke, color, width};
use plotters::prelude::{Color, DrawingBackend, RGBColor};

/// Size of tick labels and legends.
pub const SMALL: f64 = 12.5;

/// A panel: where it lies, and what its edges mean.
#[derive(Debug, Clone, Copy)]
pub struct Panel {
    /// Left and right edge.
    pub x: (f64, f64),
    /// Upper and lower edge.
    pub y: (f64, f64),
    /// Values at the left and right edge.
    pub across: (f64, f64),
    /// Values at the lower and upper edge.
    pub up: (f64, f64),
}

impl Panel {
    /// Where a value pair lies.
    pub fn at(&self, across: f64, up: f64) -> Point {
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        (
            self.x.0 + share(across, self.across) * (self.x.1 - self.x.0),
            self.y.1 - share(up, self.up) * (self.y.1 - self.y.0),
        )
    }

    /// Horizontal grid lines with their labels on the left.
    pub fn rows<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, ticks: &[(f64, String)]) -> Drawn {
        for (tick, label) in ticks {
            let (_, y) = self.at(self.across.0, *tick);
            canvas.line(
                &[(self.x.0, y), (self.x.1, y)],
                GREY.mix(0.35),
                0.5,
                Stroke::Solid,
            )?;
            canvas.text(label, (self.x.0 - 7.0, y), SMALL, Anchor::End)?;
        }
        Ok(())
    }

    /// Ticks below the panel, each with its label where that does not touch the one before; labels
    /// that read upwards hang below their ticks.
    pub fn columns<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        ticks: &[(f64, String)],
        upright: bool,
    ) -> Drawn {
        canvas.line(
            &[(self.x.0, self.y.1), (self.x.1, self.y.1)],
            INK,
            0.5,
            Stroke::Solid,
        )?;
        let mut free = f64::NEG_INFINITY;
        for (tick, label) in ticks {
            let (x, _) = self.at(*tick, self.up.0);
            canvas.line(&[(x, self.y.1), (x, self.y.1 + 4.0)], INK, 0.5, Stroke::Solid)?;
            if upright {
                let middle = self.y.1 + 9.0 + width(label, SMALL - 2.0) / 2.0;
                canvas.upwards(label, (x, middle), SMALL - 2.0)?;
                continue;
            }
            let half = width(label, SMALL) / 2.0;
            if x - half > free {
                canvas.text(label, (x, self.y.1 + 13.0), SMALL, Anchor::Middle)?;
                free = x + half + 3.0;
            }
        }
        Ok(())
    }

    /// Titles of the axes.
    pub fn titles<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, across: &str, up: &str) -> Drawn {
        let middle = (self.x.0 + self.x.1) / 2.0;
        if !across.is_empty() {
            canvas.text(across, (middle, self.y.1 + 33.0), SMALL, Anchor::Middle)?;
        }
        if !up.is_empty() {
            canvas.upwards(up, (self.x.0 - 44.0, (self.y.0 + self.y.1) / 2.0), SMALL)?;
        }
        Ok(())
    }

    /// Upright intervals: value across, low and high up.
    pub fn intervals<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        ends: &[(f64, f64, f64)],
        color: RGBColor,
    ) -> Drawn {
        for (x, low, high) in ends {
            canvas.line(
                &[self.at(*x, *low), self.at(*x, *high)],
                color.mix(0.6),
                1.0,
                Stroke::Solid,
            )?;
        }
        Ok(())
    }

    /// A translucent band between a lower and an upper line.
    pub fn band<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        ends: &[(f64, f64, f64)],
        color: RGBColor,
    ) -> Drawn {
        let lower = ends.iter().map(|(x, low, _)| self.at(*x, *low));
        let upper = ends.iter().rev().map(|(x, _, high)| self.at(*x, *high));
        let outline: Vec<Point> = lower.chain(upper).collect();
        canvas.area(&outline, color.mix(0.16))
    }
}

/// The look of a series.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Colour.
    pub color: RGBColor,
    /// Line.
    pub stroke: Stroke,
    /// Shape of the marks.
    pub shape: usize,
    /// Whether points are marked.
    pub marks: bool,
}

impl Look {
    /// The look of a model, by its place in the figure: colour and mark.
    pub fn model(place: usize, stroke: Stroke) -> Self {
        Self {
            color: color(place),
            stroke,
            shape: place,
            marks: true,
        }
    }
}

/// An entry of a legend: name, look, and whether its line is drawn.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Look.
    pub look: Look,
    /// Whether a line is part of the sample.
    pub line: bool,
}

impl Entry {
    /// Models, told apart by colour and mark.
    pub fn models(names: &[String], line: bool) -> Vec<Self> {
        let models = names.iter().enumerate();
        models
            .map(|(i, name)| Self {
                name: name.clone(),
                look: Look::model(i, Stroke::Solid),
                line,
            })
            .collect()
    }
}

/// Height of a legend's line.
const LEGEND_LINE: f64 = 20.0;

/// Lines a legend needs between two edges.
pub fn legend_height(entries: &[Entry], x: (f64, f64)) -> f64 {
    places(entries, x)
        .last()
        .map_or(0.0, |(_, line)| (line + 1.0) * LEGEND_LINE)
}

/// Draws a legend, wrapped between two edges, from `top` downwards.
pub fn legend<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    entries: &[Entry],
    x: (f64, f64),
    top: f64,
) -> Drawn {
    for (entry, (left, line)) in entries.iter().zip(places(entries, x)) {
        let y = top + (line + 0.5) * LEGEND_LINE;
        if entry.line {
            canvas.line(
                &[(left, y), (left + 28.0, y)],
                entry.look.color,
                1.6,
                entry.look.stroke,
            )?;
        }
        if entry.look.marks {
            let x = if entry.line { left + 14.0 } else { left + 23.0 };
            canvas.mark((x, y), entry.look.shape, 3.8, entry.look.color)?;
        }
        canvas.text(&entry.name, (left + 34.0, y), SMALL, Anchor::Start)?;
    }
    Ok(())
}

/// Left edge and line number of every entry.
fn places(entries: &[Entry], x: (f64, f64)) -> Vec<(f64, f64)> {
    let (mut left, mut line) = (x.0, 0.0);
    let mut places = Vec::new();
    for entry in entries {
        // A viewer's font may be wider than the one measured here.
        let wide = 34.0 + 1.12 * width(&entry.name, SMALL) + 18.0;
        if left > x.0 && left + wide > x.1 {
            (left, line) = (x.0, line + 1.0);
        }
        places.push((left, line));
        left += wide;
    }
    places
}

/// Round ticks that cover a range: about `wanted` of them.
pub fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = ((high - low) / wanted.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(steps[3]);
    let (first, last) = ((low / step).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

/// A tick's number without trailing zeros.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 100.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(0.0, 8.0, 4), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(plain(0.5), "0.5");
        assert_eq!(plain(20.0), "20");
    }
}
