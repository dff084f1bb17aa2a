//! ReLUs kept per layer: what a mask did. One panel per architecture.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, GREY, INK, Stroke};
use super::chosen::Chosen;
use super::{Draw, Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use plotters::prelude::{Color, DrawingBackend, RGBColor};

struct Arch {
    name: String,
    /// Name and all units of each layer.
    layers: Vec<(String, u64)>,
    /// Place in the report, and units kept in each layer.
    models: Vec<(usize, Vec<u64>)>,
}

struct Bars {
    names: Vec<(usize, String)>,
    archs: Vec<Arch>,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;
const PANEL_HEIGHT: f64 = 210.0;
/// Below this width a layer's name is written upwards.
const NARROW: f64 = 84.0;

/// The figure, when some model keeps only some of its ReLUs.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let (mut archs, mut names): (Vec<Arch>, _) = (Vec::new(), Vec::new());
    let chosen = Chosen::of(analysis);
    for (i, at) in chosen.models.iter().enumerate() {
        let model = &analysis.runs.models[*at];
        let Some(record) = model.record.as_ref().filter(|_| model.is_partial()) else {
            continue;
        };
        let layers: Vec<(String, u64)> = record
            .layers
            .iter()
            .map(|l| (l.name.clone(), l.total()))
            .collect();
        let kept: Vec<u64> = record.layers.iter().map(|layer| layer.kept).collect();
        names.push((i, model.name.clone()));
        match archs.iter_mut().find(|arch| arch.layers == layers) {
            Some(arch) => arch.models.push((i, kept)),
            None => archs.push(Arch {
                name: format!("{}, {} ReLUs", record.arch, format::thousands(record.total())),
                layers,
                models: vec![(i, kept)],
            }),
        }
    }
    if archs.is_empty() {
        return Ok(None);
    }
    let list: Vec<String> = names.iter().map(|(_, name)| name.clone()).collect();
    let alt = format!(
        "Bar chart of the share of ReLUs kept in each layer by {}. The numbers are in the table of ReLUs kept per layer.",
        format::list(&list)
    );
    let caption = format!(
        "Share of each layer's ReLUs that the mask keeps, in execution order; below each layer, how many ReLUs it has. Models that keep every ReLU are left out.{}",
        chosen.said()
    );
    make(
        "layers",
        "ReLUs kept per layer",
        caption,
        alt,
        &Bars { names, archs },
    )
    .map(Some)
}

impl Bars {
    fn entries(&self) -> Vec<Entry> {
        let entry = |name: &str, color: RGBColor| Entry {
            name: name.to_owned(),
            look: Look {
                color,
                stroke: Stroke::Solid,
                shape: 1,
                marks: true,
            },
            line: false,
        };
        self.names
            .iter()
            .map(|(i, name)| entry(name, color(*i)))
            .collect()
    }
}

impl Draw for Bars {
    fn size(&self) -> (u32, u32) {
        let top = TOP + legend_height(&self.entries(), (LEFT, RIGHT));
        let panels: f64 = self.archs.iter().map(Arch::height).sum();
        (760, (top + panels).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let entries = self.entries();
        legend(canvas, &entries, (LEFT, RIGHT), TOP)?;
        let mut top = TOP + legend_height(&entries, (LEFT, RIGHT));
        for arch in &self.archs {
            arch.draw(canvas, top + 30.0)?;
            top += arch.height();
        }
        Ok(())
    }
}

impl Arch {
    /// Width of a layer's place.
    fn slot(&self) -> f64 {
        (RIGHT - LEFT) / self.layers.len().max(1) as f64
    }

    /// Height of the panel with its heading and labels.
    fn height(&self) -> f64 {
        PANEL_HEIGHT + if self.slot() < NARROW { 126.0 } else { 76.0 }
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, top: f64) -> Drawn {
        let n = self.layers.len() as f64;
        let panel = Panel {
            x: (LEFT, RIGHT),
            y: (top, top + PANEL_HEIGHT),
            across: (0.0, n),
            up: (0.0, 100.0),
        };
        canvas.bold(&self.name, (LEFT, top - 16.0), SMALL, Anchor::Start)?;
        panel.rows(canvas, &ticks(0.0, 100.0, 5), plain)?;
        panel.columns(canvas, &[], plain)?;
        canvas.upwards("Kept (%)", (LEFT - 44.0, top + PANEL_HEIGHT / 2.0), SMALL)?;
        let slot = self.slot();
        let tilted = slot < NARROW;
        for (j, (name, total)) in self.layers.iter().enumerate() {
            let left = LEFT + slot * j as f64;
            canvas.rect(
                (left + 0.08 * slot, top),
                (left + 0.92 * slot, panel.y.1),
                GREY.mix(0.12),
            )?;
            let bar = 0.76 * slot / self.models.len() as f64;
            for (k, (model, kept)) in self.models.iter().enumerate() {
                let share = 100.0 * kept.get(j).copied().unwrap_or(0) as f64 / (*total).max(1) as f64;
                let (_, y) = panel.at(0.0, share);
                let from = left + 0.12 * slot + bar * k as f64;
                canvas.rect((from + 0.5, y), (from + bar - 0.5, panel.y.1), color(*model))?;
            }
            let middle = left + slot / 2.0;
            if tilted {
                canvas.upwards(
                    &format!("{name} ({})", short(*total)),
                    (middle, panel.y.1 + 46.0),
                    SMALL - 2.0,
                )?;
            } else {
                canvas.text(name, (middle, panel.y.1 + 13.0), SMALL, Anchor::Middle)?;
                canvas.text(
                    &format::thousands(*total),
                    (middle, panel.y.1 + 29.0),
                    SMALL - 1.0,
                    Anchor::Middle,
                )?;
            }
        }
        canvas.line(&[(LEFT, panel.y.1), (RIGHT, panel.y.1)], INK, 0.5, Stroke::Solid)
    }
}

fn short(n: u64) -> String {
    if n >= 1000 {
        format!("{}k", plain((n as f64 / 100.0).round() / 10.0))
    } else {
        n.to_string()
    }
}
