//! Accuracy against what private inference costs end to end: offline and online, linear layers and ReLUs. The same
//! networks stand in the figure against ReLUs, further apart.

use super::axes::{Look, plain};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Legend, Mark, Series, WIDE, whole};
use super::relus::{Group, Shown, decades, entries, groups, share};
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::glossary::{ADVA, CA, PI, RELUS, WORST};
use crate::metrics::{BranchPolicy, Measure};
use crate::sections::{Place, Section, Show};
use crate::tables::private::{end_to_end, profiles};
use rlnet_suites::Profile;
use rlnet_suites::protocol::Workload;

const SHOWN: [Shown; 2] = [
    Shown::new("CA", Measure::Ca, BranchPolicy::Oracle),
    Shown::new("AdvA, worst of branches", Measure::AdvA, BranchPolicy::Worst),
];

/// The protocols that are drawn, and whether by seconds (or else by bytes).
const DRAWN: [(&str, bool); 2] = [("delphi", true), ("spu-cheetah", false)];

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "cost",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[PI, RELUS, CA, ADVA, WORST],
};

/// The figure, when at least two networks have a record of their linear layers and a measured accuracy.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let groups = groups(analysis);
    let profiles = profiles()?;
    let mut panels = Vec::new();
    for (name, by_seconds) in DRAWN {
        let Some(profile) = profiles.iter().find(|profile| profile.name == name) else {
            continue;
        };
        let cost = |model: usize| cost(analysis, profile, by_seconds, model);
        let all: Vec<f64> = groups
            .iter()
            .flat_map(|group| &group.models)
            .filter_map(|model| cost(*model))
            .collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min) - 0.05;
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 0.05;
        for shown in &SHOWN {
            let series: Vec<Series> = groups
                .iter()
                .enumerate()
                .map(|(i, group)| line(analysis, shown, i, group, &cost))
                .collect();
            if series.iter().map(|series| series.points.len()).sum::<usize>() < 2 {
                continue;
            }
            let unit = if by_seconds { "s" } else { "MB" };
            panels.push(ChartPanel {
                heading: shown.heading.to_owned(),
                note: profile.title.clone(),
                across: Axis::new(
                    &format!("End to end ({unit})"),
                    (low, high),
                    &fine(low, high),
                    |log| plain(round(10_f64.powf(log))),
                ),
                up: Axis::percent("Accuracy (%)", &series),
                series,
            });
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries: entries(&groups, &[]),
        }],
        panels,
        columns: 2,
        height: 150.0,
        width: WIDE,
    };
    let caption = format!(
        "Both phases, linear layers and ReLUs, on a logarithmic scale; modelled (table of private inference): seconds \
         under Delphi, bytes under Cheetah as SPU computes it. Link: {}.",
        analysis.private.link.said()
    );
    let alt = "Charts of clean and attacked accuracy against the end-to-end cost of private inference. The numbers are in \
               the table of private inference and the main table.";
    make(
        "cost",
        "Accuracy against the cost of private inference",
        caption,
        alt.to_owned(),
        &chart,
    )
    .map(Some)
}

/// The logarithm of what a network costs, seconds or MB.
fn cost(analysis: &Analysis, profile: &Profile, by_seconds: bool, model: usize) -> Option<f64> {
    let [own, _] = Workload::of(analysis.runs.models[model].record.as_ref()?);
    let (seconds, bytes) = end_to_end(profile, &own, analysis.private.link)?;
    Some(if by_seconds { seconds } else { bytes / 1e6 }.log10())
}

fn line(
    analysis: &Analysis,
    shown: &Shown,
    index: usize,
    group: &Group<'_>,
    cost: &dyn Fn(usize) -> Option<f64>,
) -> Series {
    let point = |model: &usize| {
        let share = share(analysis, *model, shown)?.as_ref().ok()?;
        Some(Mark::percent(cost(*model)?, share))
    };
    Series {
        line: group.sweep.is_some(),
        ..Series::new(
            Look::model(index, Stroke::Solid),
            group.models.iter().filter_map(point).collect(),
        )
    }
}

/// Ticks for a range that may be much less than a power of ten.
fn fine(low: f64, high: f64) -> Vec<f64> {
    let ticks = decades(low, high);
    if ticks.len() > 1 {
        return ticks;
    }
    let (low, high) = (10_f64.powf(low), 10_f64.powf(high));
    super::axes::ticks(low, high, 4)
        .into_iter()
        .filter(|tick| *tick > 0.0)
        .map(f64::log10)
        .collect()
}

/// Three digits.
fn round(value: f64) -> f64 {
    let scale = 10_f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}
