//! Bytes that a real engine sent, against the ReLUs kept: a panel a protocol, a line an architecture.

use super::axes::{Entry, Look, plain, ticks};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, WIDE, whole};
use super::relus::short;
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::glossary::{PI, RELUS};
use crate::measured_cost::MeasuredCost;
use crate::sections::{Place, Section, Show};

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "measured_bytes",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[PI, RELUS],
};

/// An architecture, and how its masks were computed.
type Kind<'a> = (&'a str, &'a str);

/// Values in the order in which they first stand.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// The figure, when two networks or more were measured under one protocol.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let measured = &analysis.private.measured;
    let engines = distinct(measured.iter().map(MeasuredCost::engine_in_words));
    let kinds: Vec<Kind<'_>> = distinct(
        measured
            .iter()
            .map(|found| (found.arch.as_str(), found.mask.as_str())),
    );
    let archs = distinct(kinds.iter().map(|(arch, _)| *arch));
    let look = |(arch, mask): Kind<'_>| {
        let stroke = if mask == "gather" {
            Stroke::Solid
        } else {
            Stroke::Dashed
        };
        Look::model(
            archs.iter().position(|known| *known == arch).unwrap_or_default(),
            stroke,
        )
    };
    let most = measured.iter().map(|found| found.relus).max().unwrap_or_default() as f64;
    let panels: Vec<ChartPanel> = engines
        .iter()
        .map(|engine| {
            let own: Vec<&MeasuredCost> = measured
                .iter()
                .filter(|found| found.engine_in_words() == *engine)
                .collect();
            let series: Vec<Series> = kinds.iter().map(|kind| line(&own, *kind, look(*kind))).collect();
            let points = series.iter().flat_map(|series| &series.points);
            let highest = 1.05 * points.map(|point| point.value).fold(0.0, f64::max);
            ChartPanel {
                heading: engine.clone(),
                note: String::new(),
                across: Axis::new("ReLUs", (0.0, 1.03 * most), &ticks(0.0, most, 4), short),
                up: Axis::new("MB, both parties", (0.0, highest), &ticks(0.0, highest, 5), plain),
                series,
            }
        })
        .collect();
    if !panels
        .iter()
        .flat_map(|panel| &panel.series)
        .any(|series| series.points.len() > 2)
    {
        return Ok(None);
    }
    let entries = kinds.iter().map(|kind| Entry {
        name: match kind.1 {
            "gather" => kind.0.to_owned(),
            mask => format!("{}, {mask} instead of gather", kind.0),
        },
        look: look(*kind),
        line: true,
    });
    let mut said: Vec<String> = distinct(
        measured
            .iter()
            .map(|found| format!("{}: {}", found.engine_in_words(), found.security)),
    );
    said.sort();
    let caption = format!(
        "Measured: bytes of both parties for one image, without the one-time set-up of a connection and without a dealer's. The \
         points at 0 are the same networks with every ReLU left out. {}.",
        said.join("; ")
    );
    let alt = "Charts of the bytes that a real engine sent against the ReLUs that the network keeps, a line an architecture. The \
               numbers are in the table of measured private inference.";
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries: entries.collect(),
        }],
        columns: panels.len().min(2),
        panels,
        height: 220.0,
        width: WIDE,
    };
    make(
        "measured_bytes",
        "Bytes of private inference, measured, against ReLUs",
        caption,
        alt.to_owned(),
        &chart,
    )
    .map(Some)
}

/// The points of an architecture: without ReLUs, then by the ReLUs kept.
fn line(measured: &[&MeasuredCost], (arch, mask): Kind<'_>, look: Look) -> Series {
    let mut own: Vec<&&MeasuredCost> = measured
        .iter()
        .filter(|found| found.arch == arch && found.mask == mask)
        .collect();
    own.sort_by_key(|found| found.relus);
    // What selects computes every ReLU: it has no point without.
    let without = own.first().filter(|_| mask == "gather");
    let without = without.map(|found| Mark::plain(0.0, found.linear_bytes as f64 / 1e6));
    let points = own
        .iter()
        .map(|found| Mark::plain(found.relus as f64, found.bytes() / 1e6));
    Series {
        interval: Interval::None,
        ..Series::new(look, without.into_iter().chain(points).collect())
    }
}
