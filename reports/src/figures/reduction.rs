//! Accuracy against the reduction: a panel each for CA, NPA and AdvA, a line per sweep and
//! reading, and a ring on the knee of each line.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, Stroke};
use super::{Draw, Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::metrics::reduction::{Knee, MARGIN, Sweep, SweepLine};
use crate::metrics::{BranchPolicy, Measure};
use crate::tables::reduction::knee_in_words;
use plotters::prelude::{Color, DrawingBackend, RGBColor};

const TOP: f64 = 12.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;
const HEIGHT: f64 = 170.0;
const STEP: f64 = HEIGHT + 64.0;
const RING: f64 = 8.0;
const PANELS: [(Measure, &str); 3] = [
    (Measure::Ca, "Clean accuracy (CA)"),
    (Measure::Npa, "On corrupted images (NPA)"),
    (Measure::AdvA, "Under attack (AdvA)"),
];

struct Sweeps<'a> {
    sweeps: &'a [Sweep],
    panels: Vec<(Measure, &'static str)>,
}

/// The figure, when some networks differ only in how many ReLUs they keep.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let sweeps = &analysis.sweeps;
    let has = |measure: Measure| {
        sweeps
            .iter()
            .flat_map(|sweep| &sweep.lines)
            .any(|line| line.measure == measure)
    };
    let panels: Vec<_> = PANELS.into_iter().filter(|(measure, _)| has(*measure)).collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let knees = sweeps.iter().flat_map(|sweep| {
        let lines = sweep.lines.iter();
        lines.map(|line| {
            let through = line.policy.label();
            format!(
                "{} {} ({through}): {}",
                sweep.name,
                line.measure.name(),
                knee_in_words(sweep, line)
            )
        })
    });
    let knees: Vec<String> = knees.collect();
    let caption = format!(
        "Students of one teacher that differ only in how many ReLUs they keep; 1\u{d7} is the teacher itself, with every ReLU. Reductions on a logarithmic scale; upright bars are 95 % intervals. A ring marks the knee, where there is one: the largest reduction before the first at which more than {} points are lost against the reference and the paired 95 % interval leaves out no loss; the thick pale line through it reaches over the reductions at which the knee may lie by those intervals.",
        format::percent(MARGIN)
    );
    let alt = format!(
        "SweepLine charts of CA, NPA and AdvA against the reduction. Knees: {}. The numbers are in the table of accuracy against the reduction.",
        knees.join("; ")
    );
    make(
        "reduction",
        "Accuracy against the reduction in ReLUs",
        caption,
        alt,
        &Sweeps { sweeps, panels },
    )
    .map(Some)
}

impl Sweeps<'_> {
    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (i, sweep) in self.sweeps.iter().enumerate() {
            let mut strokes: Vec<Stroke> = Vec::new();
            for line in &sweep.lines {
                let stroke = stroke(line.policy);
                if !strokes.contains(&stroke) {
                    strokes.push(stroke);
                    let read = match line.policy {
                        BranchPolicy::Worst => format!("{}, worst of branches", sweep.name),
                        _ => sweep.name.clone(),
                    };
                    entries.push(Entry {
                        name: read,
                        look: look(i, line.policy),
                        line: true,
                    });
                }
            }
        }
        entries
    }

    fn top(&self) -> f64 {
        TOP + legend_height(&self.entries(), (LEFT, RIGHT))
    }

    /// The upper edge of a measure's panel, in percent: a multiple of 20.
    fn highest(&self, measure: Measure) -> f64 {
        let lines = self.sweeps.iter().flat_map(|sweep| &sweep.lines);
        let lines = lines.filter(|line| line.measure == measure);
        let highs = lines.flat_map(|line| line.values.iter().flatten().map(|(share, _)| 100.0 * share.high));
        (highs.fold(1.0, f64::max) / 20.0).ceil() * 20.0
    }

    /// Every reduction of every sweep, ascending.
    fn reductions(&self) -> Vec<f64> {
        let points = self.sweeps.iter().flat_map(|sweep| &sweep.points);
        let mut all: Vec<f64> = points.map(|point| point.reduction).collect();
        all.sort_by(f64::total_cmp);
        all.dedup_by(|a, b| (*a - *b).abs() < 0.05);
        all
    }
}

fn look(sweep: usize, policy: BranchPolicy) -> Look {
    Look {
        color: color(sweep),
        stroke: stroke(policy),
        shape: sweep,
        marks: true,
    }
}

fn stroke(policy: BranchPolicy) -> Stroke {
    match policy {
        BranchPolicy::Worst => Stroke::Dotted,
        _ => Stroke::Solid,
    }
}

impl Draw for Sweeps<'_> {
    fn size(&self) -> (u32, u32) {
        (
            760,
            (self.top() + STEP * self.panels.len() as f64 + 6.0).ceil() as u32,
        )
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        legend(canvas, &self.entries(), (LEFT, RIGHT), TOP)?;
        let logs: Vec<f64> = self.reductions().into_iter().map(f64::log10).collect();
        let (first, last) = (
            logs.first().copied().unwrap_or(0.0),
            logs.last().copied().unwrap_or(1.0),
        );
        let edge = 0.03 * (last - first);
        for (i, (measure, title)) in self.panels.iter().enumerate() {
            let top = self.top() + STEP * i as f64 + 28.0;
            let highest = self.highest(*measure);
            let panel = Panel {
                x: (LEFT, RIGHT),
                y: (top, top + HEIGHT),
                across: (first - edge, last + edge),
                up: (0.0, highest),
            };
            canvas.bold(title, (LEFT, top - 14.0), SMALL, Anchor::Start)?;
            panel.rows(canvas, &ticks(0.0, highest, 5), plain)?;
            panel.columns(canvas, &apart(&logs, (last - first) / 22.0), |log| {
                format!("{}\u{d7}", plain((10_f64.powf(log) * 10.0).round() / 10.0))
            })?;
            let lowest = i + 1 == self.panels.len();
            panel.titles(
                canvas,
                if lowest {
                    "Reduction (all ReLUs / ReLUs kept)"
                } else {
                    ""
                },
                "Accuracy (%)",
            )?;
            for (i, sweep) in self.sweeps.iter().enumerate() {
                for line in sweep.lines.iter().filter(|line| line.measure == *measure) {
                    draw_line(canvas, &panel, sweep, line, i)?;
                }
            }
        }
        Ok(())
    }
}

fn draw_line<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    sweep: &Sweep,
    line: &SweepLine,
    index: usize,
) -> Drawn {
    let known = sweep.points.iter().zip(&line.values);
    let known: Vec<(f64, f64, f64, f64)> = known
        .filter_map(|(point, value)| {
            let (share, _) = value.as_ref()?;
            Some((
                point.reduction.log10(),
                100.0 * share.value,
                100.0 * share.low,
                100.0 * share.high,
            ))
        })
        .collect();
    let ends: Vec<(f64, f64, f64)> = known.iter().map(|p| (p.0, p.2, p.3)).collect();
    panel.intervals(canvas, &ends, color(index))?;
    let points: Vec<(f64, f64)> = known.iter().map(|p| (p.0, p.1)).collect();
    panel.series(canvas, &points, look(index, line.policy))?;
    match line.knee {
        Knee::Between(at, _) if known.len() == line.values.len() => {
            let knee = panel.at(known[at].0, known[at].1);
            if let Some((low, high)) = line.knee_range() {
                let high = high.unwrap_or(known.len() - 1);
                let ends = [low, high].map(|at| (panel.at(known[at].0, 0.0).0, knee.1));
                canvas.line(&ends, color(index).mix(0.35), 4.0, Stroke::Solid)?;
            }
            ring(canvas, knee, color(index))
        }
        _ => Ok(()),
    }
}

/// A ring around a point.
fn ring<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, (x, y): (f64, f64), color: RGBColor) -> Drawn {
    let corners = (0..=48).map(|i| {
        let angle = f64::from(i) / 48.0 * std::f64::consts::TAU;
        (x + RING * angle.cos(), y + RING * angle.sin())
    });
    canvas.line(&corners.collect::<Vec<_>>(), color, 1.8, Stroke::Solid)
}

/// The ticks that lie at least so far apart, the first and those after it.
fn apart(all: &[f64], least: f64) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::new();
    for tick in all {
        if kept.last().is_none_or(|last| tick - last >= least) {
            kept.push(*tick);
        }
    }
    kept
}
