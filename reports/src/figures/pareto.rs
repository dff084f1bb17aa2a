//! Accuracy against the number of ReLUs: our networks as points, what was published for the
//! same data set as curves. CA, NPA, AdvA read as papers do, and AdvA when the attacker
//! chooses the branch.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, GREY, INK, Stroke};
use super::chosen::Chosen;
use super::{Draw, Figure, color, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::metrics::{BranchPolicy, Estimate};
use plotters::prelude::{DrawingBackend, RGBColor};
use rlnet_suites::Literature;

/// Methods drawn, with their look.
const METHODS: [&str; 3] = ["SENet", "SNL", "DeepReDuce"];

const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;
const MIDDLE: f64 = 70.0;
const HEIGHT: f64 = 210.0;
const STEP: f64 = HEIGHT + 84.0;
const TOP: f64 = 12.0;

/// A point: series, ReLUs, share with interval.
type Point = (usize, f64, Estimate);

/// Networks that share a mark: those that differ only in their ReLUs, or one network.
struct Series {
    name: String,
    models: Vec<usize>,
}

struct Front {
    series: Vec<Series>,
    panels: [(&'static str, Vec<Point>); 4],
    curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// The figure, when at least one network has a record of its ReLUs and a measured accuracy.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let runs = &analysis.runs;
    let mut panels = [
        ("Clean accuracy (CA)", Vec::new()),
        ("On corrupted images (NPA)", Vec::new()),
        ("Under attack (AdvA)", Vec::new()),
        ("Under attack, worst of branches", Vec::new()),
    ];
    let series = series(analysis);
    let all = series.iter().enumerate();
    for (index, at) in all.flat_map(|(index, one)| one.models.iter().map(move |at| (index, at))) {
        let model = &runs.models[*at];
        let Some(record) = &model.record else { continue };
        let oracle = analysis.triple(&model.name, BranchPolicy::Oracle);
        let worst = analysis.triple(&model.name, BranchPolicy::Worst);
        let found = [
            oracle.map(|triple| &triple.ca),
            oracle.map(|triple| &triple.natural.npa),
            oracle.map(|triple| &triple.adva),
            worst.map(|triple| &triple.adva),
        ];
        for ((_, points), known) in panels.iter_mut().zip(found) {
            if let Some(Ok(estimate)) = known {
                points.push((index, record.kept() as f64, estimate.clone()));
            }
        }
    }
    if panels[0].1.len() < 2 {
        return Ok(None);
    }
    let literature = Literature::load().map_err(|error| ReportError::make("the published numbers", error))?;
    let dataset = runs.runs.iter().find_map(|run| run.plan.images());
    let dataset = dataset.map_or("", |images| images.dataset.as_str());
    let curves: Vec<(&str, Vec<(f64, f64)>)> = METHODS
        .into_iter()
        .map(|method| {
            let points = literature.curve(method, dataset, "CA").into_iter();
            (
                method,
                points.map(|(relus, value)| (relus as f64, value)).collect(),
            )
        })
        .filter(|(_, points): &(_, Vec<_>)| points.len() > 1)
        .collect();
    let published = if curves.is_empty() {
        format!("Nothing was found published for {dataset}.")
    } else {
        format!(
            "Grey curves: clean accuracy published for {dataset} with other, mostly larger networks and all training images (sources in the table of published numbers); nothing was found published for the other three panels."
        )
    };
    let front = Front {
        series,
        panels,
        curves,
    };
    make(
        "pareto",
        "Accuracy against the number of ReLUs",
        format!("ReLUs on a logarithmic scale; upright bars are 95 % intervals. Each kind of image through the branch trained for it, but for the last panel. {published}"),
        "Scatter charts of CA, NPA, AdvA and worst-of-branches AdvA against ReLUs kept; the numbers are in the main table.".to_owned(),
        &front,
    )
    .map(Some)
}

/// Sweeps as one series each, in the colours they have against the reduction, and every other
/// network that figures draw.
fn series(analysis: &Analysis) -> Vec<Series> {
    let models = &analysis.runs.models;
    let mut all: Vec<Series> = Vec::new();
    for sweep in &analysis.sweeps {
        let points = &sweep.points[usize::from(sweep.from_teacher)..];
        let [first, .., last] = points else { continue };
        all.push(Series {
            name: format!(
                "{}, {:.0}\u{d7} to {:.0}\u{d7}",
                sweep.name, first.reduction, last.reduction
            ),
            models: points.iter().map(|point| point.model).collect(),
        });
    }
    let swept: Vec<usize> = all.iter().flat_map(|series| series.models.clone()).collect();
    let others = Chosen::of(analysis).models.into_iter();
    all.extend(others.filter(|model| !swept.contains(model)).map(|model| Series {
        name: models[model].name.clone(),
        models: vec![model],
    }));
    all
}

impl Front {
    fn entries(&self) -> Vec<Entry> {
        let look = |color: RGBColor, shape, stroke| Look {
            color,
            stroke,
            shape,
            marks: true,
        };
        let models = self.series.iter().enumerate().map(|(i, series)| Entry {
            name: series.name.clone(),
            look: look(color(i), i, Stroke::Solid),
            line: series.models.len() > 1,
        });
        let curves = self.curves.iter().enumerate().map(|(i, (name, _))| Entry {
            name: format!("{name}, published"),
            look: look(GREY, i, published(i)),
            line: true,
        });
        models.chain(curves).collect()
    }

    fn top(&self) -> f64 {
        TOP + legend_height(&self.entries(), (LEFT, RIGHT))
    }

    /// The decades that all points and curves span.
    fn across(&self) -> (f64, f64) {
        let own = self
            .panels
            .iter()
            .flat_map(|(_, points)| points.iter().map(|point| point.1));
        let theirs = self
            .curves
            .iter()
            .flat_map(|(_, points)| points.iter().map(|point| point.0));
        let logs: Vec<f64> = own.chain(theirs).map(|relus| relus.max(1.0).log10()).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low - 0.12, high + 0.12)
    }
}

fn published(index: usize) -> Stroke {
    [Stroke::Solid, Stroke::Dashed, Stroke::Dotted][index % 3]
}

impl Draw for Front {
    fn size(&self) -> (u32, u32) {
        (760, (self.top() + 2.0 * STEP + 6.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        legend(canvas, &self.entries(), (LEFT, RIGHT), TOP)?;
        let across = self.across();
        let wide = (RIGHT - LEFT - MIDDLE) / 2.0;
        for (i, (title, points)) in self.panels.iter().enumerate() {
            let left = LEFT + (wide + MIDDLE) * (i % 2) as f64;
            let top = self.top() + STEP * (i / 2) as f64 + 30.0;
            let panel = Panel {
                x: (left, left + wide),
                y: (top, top + HEIGHT),
                across,
                up: (0.0, 100.0),
            };
            canvas.bold(title, (left, top - 16.0), SMALL, Anchor::Start)?;
            panel.rows(canvas, &ticks(0.0, 100.0, 5), plain)?;
            panel.columns(canvas, &decades(across), |log| short(10_f64.powf(log)))?;
            panel.titles(canvas, "ReLUs", if i % 2 == 0 { "Accuracy (%)" } else { "" })?;
            if i == 0 {
                for (k, (_, curve)) in self.curves.iter().enumerate() {
                    let curve: Vec<(f64, f64)> = curve
                        .iter()
                        .map(|(relus, value)| (relus.log10(), *value))
                        .collect();
                    let look = Look {
                        color: GREY,
                        stroke: published(k),
                        shape: k,
                        marks: true,
                    };
                    panel.series(canvas, &curve, look)?;
                }
            }
            for (index, one) in self.series.iter().enumerate() {
                let own = points
                    .iter()
                    .filter(|point| point.0 == index && one.models.len() > 1);
                let line = own.map(|(_, relus, share)| panel.at(relus.max(1.0).log10(), 100.0 * share.value));
                canvas.line(&line.collect::<Vec<_>>(), color(index), 1.2, Stroke::Solid)?;
            }
            for (model, relus, share) in points {
                let log = relus.max(1.0).log10();
                panel.intervals(
                    canvas,
                    &[(log, 100.0 * share.low, 100.0 * share.high)],
                    color(*model),
                )?;
                canvas.mark(panel.at(log, 100.0 * share.value), *model, 4.2, color(*model))?;
            }
            if points.is_empty() {
                let middle = (left + wide / 2.0, top + HEIGHT / 2.0);
                canvas.text("not measured", middle, SMALL, Anchor::Middle)?;
            }
            canvas.line(
                &[(left, top + HEIGHT), (left + wide, top + HEIGHT)],
                INK,
                0.5,
                Stroke::Solid,
            )?;
        }
        Ok(())
    }
}

/// Ticks at 1, 2 and 5 times powers of ten, thinned to what fits.
fn decades((low, high): (f64, f64)) -> Vec<f64> {
    let all = |steps: &[f64]| -> Vec<f64> {
        let powers = low.floor() as i32..=high.ceil() as i32;
        let ticks =
            powers.flat_map(|power| steps.iter().map(move |step| (step * 10_f64.powi(power)).log10()));
        ticks.filter(|tick| (low..=high).contains(tick)).collect()
    };
    let fine = all(&[1.0, 2.0, 5.0]);
    if fine.len() <= 8 { fine } else { all(&[1.0]) }
}

fn short(relus: f64) -> String {
    if relus >= 999_999.0 {
        format!("{}M", plain(relus / 1e6))
    } else if relus >= 999.0 {
        format!("{}k", plain((relus / 100.0).round() / 10.0))
    } else {
        plain(relus.round())
    }
}
