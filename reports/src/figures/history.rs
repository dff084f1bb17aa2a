//! Nightly numbers with their levels: a small panel a number, all over the same dates, steps
//! marked and told.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, INK, Stroke, width};
use super::{Draw, Figure, color, make};
use crate::error::ReportError;
use crate::format;
use crate::metrics::steps::Segment;
use plotters::prelude::{DrawingBackend, RGBColor};

/// One number over the nights.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Share, low and high of each night.
    pub values: Vec<(f64, f64, f64)>,
    /// Stretches of equal level.
    pub segments: Vec<Segment>,
    /// When each night started (seconds since 1970), and its name.
    pub nights: Vec<(u64, String)>,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 66.0;
/// Right of it the last level is written.
const RIGHT: f64 = 706.0;
const HEIGHT: f64 = 96.0;
const STEP: f64 = HEIGHT + 64.0;
/// Least distance between labels of nights.
const APART: f64 = 92.0;
const DAY: u64 = 86_400;

struct Nights<'a> {
    series: &'a [Series],
    scale: Scale,
}

/// Where nights lie.
enum Scale {
    /// By the day they started; from and to in days since 1970.
    Dates(f64, f64),
    /// One after the other, when not every night started on a day of its own: all nights.
    Order(Vec<(u64, String)>),
}

impl Scale {
    fn of(series: &[Series]) -> Self {
        let mut all: Vec<(u64, String)> = series.iter().flat_map(|series| series.nights.clone()).collect();
        all.sort();
        all.dedup();
        let days: Vec<u64> = all.iter().map(|(started, _)| started / DAY).collect();
        let own_days = days.windows(2).all(|pair| pair[0] < pair[1]);
        match (all.first(), all.last()) {
            (Some((first, _)), Some((last, _))) if own_days && days.len() > 1 => {
                Self::Dates(in_days(*first), in_days(*last))
            }
            _ => Self::Order(all),
        }
    }

    fn place(&self, night: &(u64, String)) -> f64 {
        match self {
            Self::Dates(..) => in_days(night.0),
            Self::Order(all) => all.iter().position(|known| known == night).unwrap_or(0) as f64,
        }
    }

    /// The ends of the axis, with some room.
    fn ends(&self) -> (f64, f64) {
        let (first, last) = match self {
            Self::Dates(first, last) => (*first, *last),
            Self::Order(all) => (0.0, all.len().saturating_sub(1) as f64),
        };
        let room = (0.03 * (last - first)).max(0.5);
        (first - room, last + room)
    }

    /// Ticks and their labels, as many as fit.
    fn ticks(&self) -> Vec<(f64, String)> {
        let fits = |widest: f64| ((RIGHT - LEFT) / widest.max(APART)).floor().max(1.0);
        match self {
            Self::Dates(first, last) => {
                let (first, last) = (first.floor() as u64, last.floor() as u64);
                let steps = [1, 2, 7, 14, 28, 56, 91, 182, 364, 728];
                let rough = (last - first) as f64 / fits(APART);
                let step = steps
                    .into_iter()
                    .find(|step| *step as f64 >= rough)
                    .unwrap_or(3640);
                let days = (first..=last).step_by(step);
                days.map(|day| (day as f64, date(day))).collect()
            }
            Self::Order(all) => {
                let widest = all.iter().map(|(_, name)| width(name, SMALL) + 20.0);
                let step = (all.len() as f64 / fits(widest.fold(0.0, f64::max)))
                    .ceil()
                    .max(1.0) as usize;
                let shown = all.iter().enumerate().step_by(step);
                shown.map(|(at, (_, name))| (at as f64, name.clone())).collect()
            }
        }
    }
}

/// Whole days since 1970: every night lies on its date's tick.
fn in_days(started: u64) -> f64 {
    (started / DAY) as f64
}

/// The date of a day since 1970, as ISO 8601 writes it (Hinnant's civil_from_days: the year
/// begins in March, so that the leap day is its last).
fn date(day: u64) -> String {
    let z = day + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * march + 2) / 5 + 1, (march + 2) % 12 + 1);
    let year = 400 * era + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

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
        &Nights {
            series,
            scale: Scale::of(series),
        },
    )
}

impl Series {
    /// The latest step in words, and how many came before it.
    fn told(&self) -> String {
        let [.., before, after] = self.segments.as_slice() else {
            return String::new();
        };
        let more = match self.segments.len() {
            2 => String::new(),
            3 => "; 1 earlier step".to_owned(),
            n => format!("; {} earlier steps", n - 2),
        };
        format!(
            "{} points at {} ({} to {} %){more}",
            format::points(after.level - before.level),
            self.nights[after.start].1,
            format::percent(before.level),
            format::percent(after.level),
        )
    }
}

fn entries() -> Vec<Entry> {
    let entry = |name: &str, color: RGBColor, stroke, marks, line| Entry {
        name: name.to_owned(),
        look: Look {
            color,
            stroke,
            shape: 0,
            marks,
        },
        line,
    };
    vec![
        entry(
            "a night, with its 95 % interval",
            color(0),
            Stroke::Solid,
            true,
            false,
        ),
        entry(
            "level, its last value at the right",
            INK,
            Stroke::Solid,
            false,
            true,
        ),
        entry("step", color(1), Stroke::Dashed, false, true),
    ]
}

impl Draw for Nights<'_> {
    fn size(&self) -> (u32, u32) {
        let top = TOP + legend_height(&entries(), (LEFT, RIGHT));
        (760, (top + STEP * self.series.len() as f64 + 14.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let entries = entries();
        legend(canvas, &entries, (LEFT, RIGHT), TOP)?;
        let top = TOP + legend_height(&entries, (LEFT, RIGHT));
        for (i, series) in self.series.iter().enumerate() {
            self.panel(canvas, series, top + STEP * i as f64 + 30.0)?;
        }
        let below = match self.scale {
            Scale::Dates(..) => "Day on which the night's run began (UTC)",
            Scale::Order(_) => "Nights, in the order in which they ran",
        };
        let at = ((LEFT + RIGHT) / 2.0, top + STEP * self.series.len() as f64 - 1.0);
        canvas.text(below, at, SMALL, Anchor::Middle)
    }
}

impl Nights<'_> {
    fn panel<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, series: &Series, top: f64) -> Drawn {
        canvas.bold(&series.name, (LEFT, top - 16.0), SMALL, Anchor::Start)?;
        canvas.text(&series.told(), (RIGHT, top - 16.0), SMALL, Anchor::End)?;
        let lows = series.values.iter().map(|value| 100.0 * value.1);
        let highs = series.values.iter().map(|value| 100.0 * value.2);
        let (low, high) = (lows.fold(100.0, f64::min), highs.fold(0.0, f64::max));
        let room = (0.1 * (high - low)).max(0.5);
        let across = self.scale.ends();
        let panel = Panel {
            x: (LEFT, RIGHT),
            y: (top, top + HEIGHT),
            across,
            up: ((low - room).max(0.0), (high + room).min(100.0)),
        };
        panel.rows(canvas, &ticks(panel.up.0, panel.up.1, 3), plain)?;
        let labels = self.scale.ticks();
        let at: Vec<f64> = labels.iter().map(|(at, _)| *at).collect();
        panel.columns(canvas, &at, |at| {
            let label = labels.iter().find(|(known, _)| *known == at);
            label.map_or_else(String::new, |(_, label)| label.clone())
        })?;
        canvas.upwards("Right (%)", (LEFT - 44.0, top + HEIGHT / 2.0), SMALL)?;
        let places: Vec<f64> = series
            .nights
            .iter()
            .map(|night| self.scale.place(night))
            .collect();
        let ends: Vec<(f64, f64, f64)> = places
            .iter()
            .zip(&series.values)
            .map(|(at, value)| (*at, 100.0 * value.1, 100.0 * value.2))
            .collect();
        panel.intervals(canvas, &ends, color(0))?;
        // A step lies between two nights.
        let edge = |night: usize| match (night, places.get(night)) {
            (0, _) => across.0,
            (_, None) => across.1,
            (_, Some(at)) => (places[night - 1] + at) / 2.0,
        };
        for segment in &series.segments {
            let (from, to) = (edge(segment.start), edge(segment.end));
            let level = 100.0 * segment.level;
            let line = [panel.at(from, level), panel.at(to, level)];
            canvas.line(&line, INK, 1.4, Stroke::Solid)?;
            if segment.start > 0 {
                let line = [panel.at(from, panel.up.0), panel.at(from, panel.up.1)];
                canvas.line(&line, color(1), 1.4, Stroke::Dashed)?;
            }
        }
        for (at, value) in places.iter().zip(&series.values) {
            canvas.mark(panel.at(*at, 100.0 * value.0), 0, 2.8, color(0))?;
        }
        if let Some(last) = series.segments.last() {
            let (x, y) = panel.at(across.1, 100.0 * last.level);
            canvas.text(&format::percent(last.level), (x + 8.0, y), SMALL, Anchor::Start)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (day, written) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (19_675, "2023-11-14"),
            (20_513, "2026-03-01"),
        ] {
            assert_eq!(date(day), written);
        }
    }

    #[test]
    fn nights_without_a_day_of_their_own_lie_in_order() {
        let series = |starts: &[u64]| Series {
            name: "CA".into(),
            values: vec![(0.5, 0.4, 0.6); starts.len()],
            segments: Vec::new(),
            nights: starts.iter().map(|at| (*at, format!("night-{at}"))).collect(),
        };
        let apart = Scale::of(&[series(&[0, DAY, 9 * DAY])]);
        assert!(matches!(apart, Scale::Dates(..)) && apart.place(&(9 * DAY, String::new())) == 9.0);
        let together = Scale::of(&[series(&[0, 10, 20])]);
        assert_eq!(together.place(&(20, "night-20".into())), 2.0);
        assert_eq!(together.ticks()[2].1, "night-20");
    }
}
