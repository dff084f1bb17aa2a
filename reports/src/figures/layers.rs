//! ReLUs kept per layer: what a mask did. One panel per architecture.

use super::axes::{Entry, Look, plain};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, WIDE, whole};
use super::chosen::Chosen;
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::RELUS;
use crate::sections::{Place, Section, Show};
use rlnet_suites::ModelRecord;

/// More layers than this have names that read upwards.
const MANY: usize = 8;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "layers",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[RELUS],
};

/// The figure, when some model keeps only some of its ReLUs.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let (mut entries, mut panels): (Vec<Entry>, Vec<ChartPanel>) = (Vec::new(), Vec::new());
    let chosen = Chosen::of(analysis);
    for (i, at) in chosen.models.iter().enumerate() {
        let model = &analysis.runs.models[*at];
        let Some(record) = model.record.as_ref().filter(|_| model.is_partial()) else {
            continue;
        };
        let look = Look::model(i, Stroke::Solid);
        let shares = record.layers.iter().zip(1_u32..).map(|(layer, place)| {
            Mark::plain(
                f64::from(place),
                100.0 * layer.kept as f64 / layer.total().max(1) as f64,
            )
        });
        let series = Series {
            interval: Interval::None,
            ..Series::new(look, shares.collect())
        };
        let empty = panel(record);
        // The labels of the layers have their names and sizes.
        match panels
            .iter_mut()
            .find(|panel| panel.across.ticks == empty.across.ticks)
        {
            Some(panel) => panel.series.push(series),
            None => panels.push(ChartPanel {
                series: vec![series],
                ..empty
            }),
        }
        entries.push(Entry {
            name: model.name.clone(),
            look,
            line: true,
        });
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    let alt = format!(
        "Chart of the share of ReLUs kept in each layer by {}. The numbers are in the table of ReLUs kept per layer.",
        format::list(&names)
    );
    let caption = format!(
        "Share of each layer's ReLUs that the mask keeps, in execution order; below each layer, how many ReLUs it has. Models that keep every ReLU are left out.{}",
        chosen.said()
    );
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries,
        }],
        panels,
        columns: 1,
        height: 210.0,
        width: WIDE,
    };
    make("layers", "ReLUs kept per layer", caption, alt, &chart).map(Some)
}

/// The panel of a network's architecture.
fn panel(record: &ModelRecord) -> ChartPanel {
    let layers = record.layers.iter().zip(1_u32..);
    let ticks = layers.map(|(layer, place)| {
        (
            f64::from(place),
            format!("{} ({})", layer.name, short(layer.total())),
        )
    });
    let last = record.layers.len() as f64;
    ChartPanel {
        heading: format!("{}, {} ReLUs", record.arch, format::thousands(record.total())),
        note: String::new(),
        across: Axis {
            title: String::new(),
            range: (0.5, last + 0.5),
            ticks: ticks.collect(),
            upright: record.layers.len() > MANY,
        },
        up: Axis::new(
            "Kept (%)",
            (0.0, 100.0),
            &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0],
            plain,
        ),
        series: Vec::new(),
    }
}

fn short(n: u64) -> String {
    if n >= 1000 {
        format!("{}k", plain((n as f64 / 100.0).round() / 10.0))
    } else {
        n.to_string()
    }
}
