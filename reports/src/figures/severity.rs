//! Accuracy against severity: a line and band per model, severity 0 being the clean image.

use super::axes::{Entry, Look, plain};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, WIDE, whole};
use super::chosen::Chosen;
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::INTERVAL;
use crate::metrics::BranchPolicy;
use crate::sections::{Place, Section, Show};
use crate::setup::corruption_set;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "severity",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[INTERVAL],
};

/// The figure, when some model's corruptions are complete.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let (mut entries, mut series) = (Vec::new(), Vec::new());
    let chosen = Chosen::of(analysis);
    for (i, at) in chosen.models.iter().enumerate() {
        let name = &analysis.runs.models[*at].name;
        let Some(triple) = analysis.triple(name, BranchPolicy::Oracle) else {
            continue;
        };
        if triple.natural.npa.is_err() {
            continue;
        }
        let clean = triple.ca.iter().map(|estimate| (0, estimate));
        let corrupted = triple
            .natural
            .severities
            .iter()
            .map(|(severity, e)| (*severity, e));
        let points = clean
            .chain(corrupted)
            .map(|(severity, e)| Mark::percent(severity.into(), e));
        let look = Look::model(i, Stroke::Solid);
        entries.push(Entry {
            name: name.clone(),
            look,
            line: true,
        });
        series.push(Series {
            interval: Interval::Band,
            ..Series::new(look, points.collect())
        });
    }
    if series.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    let alt = format!(
        "Line chart of accuracy against corruption severity for {}. The numbers are in the table of accuracy per severity.",
        format::list(&names)
    );
    let caption = format!(
        "Mean accuracy over {}; severity 0 is the clean image‹, each model read through the branch meant for the image›; bands are 95 % intervals.{}",
        corruption_set(analysis)
            .split(" at severities")
            .next()
            .unwrap_or_default(),
        chosen.said()
    );
    let label = |severity: f64| {
        if severity == 0.0 {
            "clean".to_owned()
        } else {
            plain(severity)
        }
    };
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries,
        }],
        panels: vec![ChartPanel {
            heading: String::new(),
            note: String::new(),
            across: Axis::new("Severity", (-0.15, 5.15), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], label),
            up: Axis::percent("Accuracy (%)", &series),
            series,
        }],
        columns: 1,
        height: 300.0,
        width: WIDE,
    };
    make("severity", "Accuracy against severity", caption, alt, &chart).map(Some)
}
