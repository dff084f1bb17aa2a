//! Accuracy on C-bar against accuracy on C, a mark per model, with the diagonal on which both are equal.

use super::axes::{Entry, Look, plain, ticks};
use super::canvas::{GREY, Stroke};
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, whole};
use super::chosen::Chosen;
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::{INTERVAL, NPA};
use crate::metrics::BranchPolicy;
use crate::sections::{Place, Section, Show};

/// About as wide as high.
const WIDTH: u32 = 460;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "carried",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[NPA, INTERVAL],
};

/// The figure, when some model was measured on both.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let chosen = Chosen::of(analysis);
    let (mut entries, mut series) = (Vec::new(), Vec::new());
    for (i, at) in chosen.models.iter().enumerate() {
        let name = &analysis.runs.models[*at].name;
        let natural = analysis
            .triple(name, BranchPolicy::Oracle)
            .map(|triple| &triple.natural);
        let Some((Ok(c), Ok(bar))) = natural.map(|natural| (&natural.npa, &natural.bar)) else {
            continue;
        };
        let look = Look::model(i, Stroke::Solid);
        entries.push(Entry {
            name: name.clone(),
            look,
            line: false,
        });
        series.push(Series {
            line: false,
            ..Series::new(look, vec![Mark::percent(100.0 * c.value, bar)])
        });
    }
    if series.is_empty() {
        return Ok(None);
    }
    let ends = series.iter().flat_map(|series| &series.points);
    let ends: Vec<f64> = ends.flat_map(|point| [point.x, point.low, point.high]).collect();
    let tens = |value: f64| (value / 10.0).floor() * 10.0;
    let low = tens(ends.iter().copied().fold(100.0, f64::min));
    let high = (tens(ends.iter().copied().fold(0.0, f64::max)) + 10.0).min(100.0);
    let diagonal = Look {
        color: GREY,
        stroke: Stroke::Dashed,
        shape: 0,
        marks: false,
    };
    entries.push(Entry {
        name: "equal".to_owned(),
        look: diagonal,
        line: true,
    });
    series.push(Series {
        interval: Interval::None,
        ..Series::new(diagonal, vec![Mark::plain(low, low), Mark::plain(high, high)])
    });
    let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    let alt = format!(
        "Scatter plot of accuracy on C-bar against accuracy on C for {}. The numbers are in the table From C to C-bar.",
        format::list(&names[..names.len() - 1])
    );
    let caption = format!(
        "Mean accuracy over the ten corruptions of C-bar against that over the fifteen of C‹, each model read through the branch meant for \
         corrupted images›; upright bars are 95 % intervals. Below the diagonal, robustness to C does not carry over to C-bar.{}",
        chosen.said()
    );
    let axis = |title: &str| Axis::new(title, (low, high), &ticks(low, high, 5), plain);
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDTH),
            entries,
        }],
        panels: vec![ChartPanel {
            heading: String::new(),
            note: String::new(),
            across: axis("Accuracy on C (%)"),
            up: axis("Accuracy on C-bar (%)"),
            series,
        }],
        columns: 1,
        height: 340.0,
        width: WIDTH,
    };
    make("carried", "From C to C-bar", caption, alt, &chart).map(Some)
}
