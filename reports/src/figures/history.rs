//! Nightly numbers with their levels: a small panel a number, all over the same nights, with its
//! steps.

use super::axes::{Entry, Look, SMALL, plain, ticks};
use super::canvas::{INK, Stroke, width};
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, WIDE, whole};
use super::{Figure, color, make};
use crate::error::ReportError;
use crate::format;
use crate::history::{HistoryRow, NumberHistory};
use std::collections::BTreeSet;

/// Least distance between labels of nights.
const APART: f64 = 92.0;

/// All nights of some numbers, oldest first, by when they started and their names.
fn nights(numbers: &[NumberHistory]) -> Vec<(u64, &str)> {
    let points = numbers.iter().flat_map(|number| &number.points);
    let all: BTreeSet<(u64, &str)> = points
        .map(|point| (point.started, point.night.as_str()))
        .collect();
    all.into_iter().collect()
}

/// Places and names of as many nights as have room for their names.
fn labels(nights: &[(u64, &str)]) -> Vec<(f64, String)> {
    let widest = nights
        .iter()
        .map(|(_, name)| width(name, SMALL) + 20.0)
        .fold(APART, f64::max);
    let (left, right) = whole(WIDE);
    let fitting = ((right - left) / widest).floor().max(1.0);
    let step = (nights.len() as f64 / fitting).ceil().max(1.0) as usize;
    let shown = nights.iter().enumerate().step_by(step);
    shown
        .map(|(at, (_, name))| (at as f64, (*name).to_owned()))
        .collect()
}

/// The figure of a folder's numbers.
///
/// # Errors
/// When drawing fails.
pub(crate) fn history(numbers: &[NumberHistory]) -> Result<Figure, ReportError> {
    super::canvas::fonts().map_err(|error| ReportError::make("the figures", error))?;
    let nights = nights(numbers);
    let mut panels: Vec<ChartPanel> = numbers.iter().map(|number| panel(number, &nights)).collect();
    if let Some(last) = panels.last_mut() {
        last.across.title = "Nights, in the order in which they ran".to_owned();
    }
    make(
        "history",
        "Nightly numbers",
        "One panel a number: dots are nights with 95 % intervals, lines are levels found by change-point detection, upright lines are steps.".to_owned(),
        "Line charts of every number against nights; the numbers are in history.parquet.".to_owned(),
        &Chart {
            legends: vec![Legend { x: whole(WIDE), entries: entries() }],
            panels,
            columns: 1,
            height: 96.0,
            width: WIDE,
        },
    )
}

fn night() -> Look {
    Look {
        color: color(0),
        marks: true,
        ..level()
    }
}

fn level() -> Look {
    Look {
        color: INK,
        stroke: Stroke::Solid,
        shape: 0,
        marks: false,
    }
}

fn step() -> Look {
    Look {
        color: color(1),
        stroke: Stroke::Dashed,
        shape: 0,
        marks: false,
    }
}

fn entries() -> Vec<Entry> {
    let entry = |name: &str, look, line| Entry {
        name: name.to_owned(),
        look,
        line,
    };
    vec![
        entry("a night, with its 95 % interval", night(), false),
        entry("level", level(), true),
        entry("step", step(), true),
    ]
}

/// The latest step and level in words, and how many steps came before.
fn note(number: &NumberHistory) -> String {
    match number.segments.as_slice() {
        [] => String::new(),
        [only] => format!("level {} %", format::percent(only.level)),
        [earlier @ .., before, after] => {
            let more = match earlier.len() {
                0 => String::new(),
                1 => "; 1 earlier step".to_owned(),
                n => format!("; {n} earlier steps"),
            };
            format!(
                "{} points at {} ({} to {} %){more}",
                format::points(after.level - before.level),
                number.points[after.start].night,
                format::percent(before.level),
                format::percent(after.level),
            )
        }
    }
}

fn panel(number: &NumberHistory, nights: &[(u64, &str)]) -> ChartPanel {
    let place = |point: &HistoryRow| {
        let night = (point.started, point.night.as_str());
        nights.binary_search(&night).unwrap_or_default() as f64
    };
    let low = number
        .points
        .iter()
        .map(|point| 100.0 * point.low)
        .fold(100.0, f64::min);
    let high = number
        .points
        .iter()
        .map(|point| 100.0 * point.high)
        .fold(0.0, f64::max);
    let room = (0.1 * (high - low)).max(0.5);
    let up = ((low - room).max(0.0), (high + room).min(100.0));
    let marks: Vec<Mark> = number
        .points
        .iter()
        .map(|point| Mark {
            x: place(point),
            value: 100.0 * point.value,
            low: 100.0 * point.low,
            high: 100.0 * point.high,
        })
        .collect();
    let last = nights.len().saturating_sub(1) as f64;
    let room = (0.03 * last).max(0.5);
    let across = (-room, last + room);
    // A step lies between two nights.
    let edge = |night: usize| match (night, marks.get(night)) {
        (0, _) => across.0,
        (_, None) => across.1,
        (_, Some(mark)) => (marks[night - 1].x + mark.x) / 2.0,
    };
    let line = |look, from: (f64, f64), to: (f64, f64)| Series {
        interval: Interval::None,
        ..Series::new(look, [from, to].map(|(x, value)| Mark::plain(x, value)).into())
    };
    let mut series = Vec::new();
    for segment in &number.segments {
        let (from, value) = (edge(segment.start), 100.0 * segment.level);
        series.push(line(level(), (from, value), (edge(segment.end), value)));
        if segment.start > 0 {
            series.push(line(step(), (from, up.0), (from, up.1)));
        }
    }
    series.push(Series {
        line: false,
        ..Series::new(night(), marks)
    });
    let mut axis = Axis::new("", across, &[], plain);
    axis.ticks = labels(nights);
    ChartPanel {
        heading: number.name.clone(),
        note: note(number),
        across: axis,
        up: Axis::new("Right (%)", up, &ticks(up.0, up.1, 3), plain),
        series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_lie_in_the_order_in_which_they_began() {
        let row = |started: u64| HistoryRow {
            night: format!("night-{started}"),
            started,
            commit: String::new(),
            model: "m".into(),
            policy: "oracle".into(),
            measure: "CA".into(),
            value: 0.5,
            low: 0.4,
            high: 0.6,
            images: 100,
            set: String::new(),
        };
        let number = |starts: &[u64]| NumberHistory {
            name: "CA".into(),
            points: starts.iter().copied().map(row).collect(),
            segments: Vec::new(),
        };
        // The second number begins later, and misses a night.
        let numbers = [number(&[0, 10, 20]), number(&[10, 30])];
        let nights = nights(&numbers);
        assert_eq!(
            nights.iter().map(|night| night.0).collect::<Vec<_>>(),
            [0, 10, 20, 30]
        );
        assert_eq!(labels(&nights)[2], (2.0, "night-20".to_owned()));
        let marks = &panel(&numbers[1], &nights).series[0].points;
        assert_eq!(marks.iter().map(|mark| mark.x).collect::<Vec<_>>(), [1.0, 3.0]);
    }
}
