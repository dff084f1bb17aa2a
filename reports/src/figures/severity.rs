//! Accuracy against severity: a line and band per model, severity 0 being the clean image.

use super::axes::{Entry, Look, Panel, legend, legend_height, plain, ticks};
use super::canvas::{Canvas, Drawn, Stroke};
use super::chosen::Chosen;
use super::{Draw, Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::corruption_set;
use crate::metrics::BranchPolicy;
use plotters::prelude::DrawingBackend;

/// Share, low and high at each severity, in percent.
type Line = Vec<(f64, f64, f64, f64)>;

struct Lines {
    models: Vec<(usize, String, Line)>,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;

/// The figure, when some model's corruptions are complete.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let mut models = Vec::new();
    let chosen = Chosen::of(analysis);
    for (i, at) in chosen.models.iter().enumerate() {
        let model = &analysis.runs.models[*at];
        let Some(triple) = analysis.triple(&model.name, BranchPolicy::Oracle) else {
            continue;
        };
        if triple.natural.npa.is_err() {
            continue;
        }
        let mut line = Line::new();
        let clean = triple.ca.iter().map(|estimate| (0, estimate));
        for (severity, e) in clean.chain(triple.natural.severities.iter().map(|(s, e)| (*s, e))) {
            let severity = f64::from(severity);
            line.push((severity, 100.0 * e.value, 100.0 * e.low, 100.0 * e.high));
        }
        models.push((i, model.name.clone(), line));
    }
    if models.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = models.iter().map(|(_, name, _)| name.clone()).collect();
    let alt = format!(
        "Line chart of accuracy against corruption severity for {}. The numbers are in the table of accuracy per severity.",
        format::list(&names)
    );
    let caption = format!(
        "Mean accuracy over {}; severity 0 is the clean image. Each model read through the branch meant for the image; bands are 95 % intervals.{}",
        corruption_set(&analysis.runs)
            .split(" at severities")
            .next()
            .unwrap_or_default(),
        chosen.said()
    );
    make(
        "severity",
        "Accuracy against severity",
        caption,
        alt,
        &Lines { models },
    )
    .map(Some)
}

impl Lines {
    fn look(index: usize) -> Look {
        Look {
            color: color(index),
            stroke: Stroke::Solid,
            shape: index,
            marks: true,
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let models = self.models.iter();
        models
            .map(|(i, name, _)| Entry {
                name: name.clone(),
                look: Self::look(*i),
                line: true,
            })
            .collect()
    }
}

impl Draw for Lines {
    fn size(&self) -> (u32, u32) {
        (760, 400)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let entries = self.entries();
        legend(canvas, &entries, (LEFT, RIGHT), TOP)?;
        let panel = Panel {
            x: (LEFT, RIGHT),
            y: (TOP + legend_height(&entries, (LEFT, RIGHT)) + 8.0, 348.0),
            across: (-0.15, 5.15),
            up: (0.0, 100.0),
        };
        panel.rows(canvas, &ticks(0.0, 100.0, 5), plain)?;
        let label = |severity: f64| {
            if severity == 0.0 {
                "clean".to_owned()
            } else {
                plain(severity)
            }
        };
        panel.columns(canvas, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], label)?;
        panel.titles(canvas, "Severity", "Accuracy (%)")?;
        for (i, _, line) in &self.models {
            let ends: Vec<(f64, f64, f64)> = line.iter().map(|(s, _, low, high)| (*s, *low, *high)).collect();
            panel.band(canvas, &ends, color(*i))?;
        }
        for (i, _, line) in &self.models {
            let points: Vec<(f64, f64)> = line.iter().map(|(s, value, ..)| (*s, *value)).collect();
            panel.series(canvas, &points, Self::look(*i))?;
        }
        Ok(())
    }
}
