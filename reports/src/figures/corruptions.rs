//! Accuracy per corruption: a row each, a mark and interval per model.

use super::axes::{Entry, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, GREY, Stroke};
use super::chosen::Chosen;
use super::{Draw, Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::{INTERVAL, NPA};
use crate::metrics::{BranchPolicy, Estimate};
use crate::sections::{Place, Section, Show};
use crate::setup::corruption_set;
use plotters::prelude::{Color, DrawingBackend};
use rlnet_suites::corruption;

struct Dots {
    models: Vec<String>,
    rows: Vec<(String, Vec<Option<Estimate>>)>,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 148.0;
const RIGHT: f64 = 738.0;
const WIDTH: u32 = 760;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "corruptions",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[NPA, INTERVAL],
};

/// The figure, when any corruption was measured.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let chosen = Chosen::of(analysis);
    let models: Vec<_> = chosen
        .models
        .iter()
        .map(|at| &analysis.runs.models[*at])
        .collect();
    let triples: Vec<_> = models
        .iter()
        .map(|model| analysis.triple(&model.name, BranchPolicy::Oracle))
        .collect();
    let mut rows: Vec<(String, Vec<Option<Estimate>>)> = Vec::new();
    for name in corruption::ALL {
        let row: Vec<Option<Estimate>> = triples
            .iter()
            .map(|triple| triple.and_then(|triple| triple.natural.corruptions.get(name).cloned()))
            .collect();
        if row.iter().any(Option::is_some) {
            rows.push((format::corruption(name), row));
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let mean = triples
        .iter()
        .map(|triple| triple.and_then(|triple| triple.natural.npa.clone().ok()));
    rows.push(("mean (NPA)".to_owned(), mean.collect()));
    let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    let alt = format!(
        "Dot plot of accuracy under {} corruptions for {}. The numbers are in the table of accuracy per corruption.",
        rows.len() - 1,
        format::list(&names)
    );
    let caption = format!(
        "Mean over severities‹, each model read through the branch meant for corrupted images›; bars are 95 % intervals with images as clusters. Planned: {}.{}",
        corruption_set(analysis),
        chosen.said()
    );
    let drawing = Dots { models: names, rows };
    make("corruptions", "Accuracy per corruption", caption, alt, &drawing).map(Some)
}

impl Dots {
    fn row_height(&self) -> f64 {
        12.0 + 9.0 * self.models.len() as f64
    }

    fn panel(&self) -> Panel {
        let top = TOP + legend_height(&Entry::models(&self.models, true), (LEFT, RIGHT)) + 6.0;
        Panel {
            x: (LEFT, RIGHT),
            y: (top, top + self.row_height() * self.rows.len() as f64),
            across: (0.0, 100.0),
            up: (0.0, 1.0),
        }
    }
}

impl Draw for Dots {
    fn size(&self) -> (u32, u32) {
        (WIDTH, (self.panel().y.1 + 48.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        legend(canvas, &Entry::models(&self.models, true), (LEFT, RIGHT), TOP)?;
        let panel = self.panel();
        let across = ticks(0.0, 100.0, 5);
        for tick in &across {
            let (x, _) = panel.at(*tick, 0.0);
            canvas.line(
                &[(x, panel.y.0), (x, panel.y.1)],
                GREY.mix(0.35),
                0.5,
                Stroke::Solid,
            )?;
        }
        let ticks: Vec<(f64, String)> = across.iter().map(|tick| (*tick, plain(*tick))).collect();
        panel.columns(canvas, &ticks, false)?;
        panel.titles(canvas, "Accuracy (%)", "")?;
        let height = self.row_height();
        for (i, (name, row)) in self.rows.iter().enumerate() {
            let top = panel.y.0 + i as f64 * height;
            let last = i + 1 == self.rows.len();
            if i % 2 == 0 {
                canvas.rect((LEFT, top), (RIGHT, top + height), GREY.mix(0.07))?;
            }
            let at = (LEFT - 10.0, top + height / 2.0);
            if last {
                canvas.bold(name, at, SMALL, Anchor::End)?;
            } else {
                canvas.text(name, at, SMALL, Anchor::End)?;
            }
            let gap = (height - 8.0) / self.models.len() as f64;
            for (j, estimate) in row.iter().enumerate() {
                let Some(estimate) = estimate else { continue };
                let y = top + 4.0 + (j as f64 + 0.5) * gap;
                let x = |share: f64| panel.at(100.0 * share, 0.0).0;
                canvas.line(
                    &[(x(estimate.low), y), (x(estimate.high), y)],
                    color(j),
                    1.4,
                    Stroke::Solid,
                )?;
                canvas.mark((x(estimate.value), y), j, 3.6, color(j))?;
            }
        }
        Ok(())
    }
}
