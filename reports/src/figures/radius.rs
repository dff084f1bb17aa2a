//! Accuracy against the attack's radius: a panel per family of attacks, a line per model and
//! reading; radius 0 is the clean image.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, INK};
use super::chosen::Chosen;
use super::sweeps::families;
use super::{Draw, Figure, color, make, stroke};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::metrics::threat::{Norm, radius};
use crate::metrics::{BranchPolicy, robust};
use plotters::prelude::DrawingBackend;
use rlnet_suites::{AttackSpec, Branch, Condition};

struct Line {
    model: usize,
    policy: BranchPolicy,
    /// Radius (in 1/255 for Linf), percent right, low, high.
    points: Vec<(f64, f64, f64, f64)>,
}

/// A family of attacks: its title, its norm, and a line per model and reading.
struct Sweep {
    title: String,
    norm: Norm,
    lines: Vec<Line>,
}

struct Sweeps {
    models: Vec<String>,
    panels: Vec<Sweep>,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;
const PANEL_HEIGHT: f64 = 270.0;
/// Families of attacks that are drawn, a panel each (own choice: about three screens).
const MOST: usize = 6;
const PANEL_STEP: f64 = PANEL_HEIGHT + 82.0;

/// The figure, when some family of attacks was made at two radii or more.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let chosen = Chosen::of(analysis);
    let attacks: Vec<AttackSpec> = analysis.runs.attacks();
    let bounded: Vec<AttackSpec> = attacks.iter().filter(|a| radius(a).is_some()).cloned().collect();
    let mut panels = Vec::new();
    let families = families(&bounded);
    let all = families.len();
    // The sort is stable: of equally long sweeps the plan's first.
    let mut longest: Vec<usize> = (0..all).collect();
    longest.sort_by_key(|at| std::cmp::Reverse(families[*at].1.len()));
    longest.truncate(MOST);
    let families = families.into_iter().enumerate();
    for (_, (title, family)) in families.filter(|(at, _)| longest.contains(at)) {
        let norm = Norm::of(&family[0]);
        let lines = lines(analysis, &chosen, &family);
        panels.push(Sweep { title, norm, lines });
    }
    panels.extend(together(analysis, &chosen));
    panels.retain(|panel| panel.lines.iter().any(|line| line.points.len() > 2));
    if panels.is_empty() {
        return Ok(None);
    }
    let models = chosen.models.iter();
    let models: Vec<String> = models.map(|at| analysis.runs.models[*at].name.clone()).collect();
    let alt = format!(
        "Line chart of accuracy against attack radius for {}, through each branch and for the worst of branches. The numbers are in the table of accuracy per attack and branch.",
        format::list(&models)
    );
    let some = if all > MOST {
        format!(
            " Drawn are the {MOST} families of attacks with most radii, of {all}; all numbers are in the CSV and JSON files of the table of accuracy per attack and branch."
        )
    } else {
        String::new()
    };
    let caption = format!(
        "Every attack is made against, and judged on, the branch of its line; radius 0 is the clean image. The worst line counts an image only if no branch fails. Where all attacks of a norm are taken together, an image counts only if none of them broke it with a perturbation of at most the radius, so that line can only fall. Upright bars are 95 % Wilson intervals.{some}{}",
        chosen.said()
    );
    make(
        "radius",
        "Accuracy against attack radius",
        caption,
        alt,
        &Sweeps { models, panels },
    )
    .map(Some)
}

/// One panel a norm: what survives every attack of it, monotone by construction.
fn together(analysis: &Analysis, chosen: &Chosen) -> Vec<Sweep> {
    let mut panels: Vec<Sweep> = Vec::new();
    for (index, at) in chosen.models.iter().enumerate() {
        let (model, matrix) = (&analysis.runs.models[*at], &analysis.matrices[*at]);
        for policy in BranchPolicy::of(&model.branches) {
            if policy == BranchPolicy::Oracle {
                continue;
            }
            for curve in robust::curves(matrix, policy) {
                let scale = scale(&curve.norm);
                let points = curve.points.iter();
                let line = Line {
                    model: index,
                    policy,
                    points: points
                        .map(|(size, e)| (scale * size, 100.0 * e.value, 100.0 * e.low, 100.0 * e.high))
                        .collect(),
                };
                match panels.iter_mut().find(|panel| panel.norm == curve.norm) {
                    Some(panel) => panel.lines.push(line),
                    None => panels.push(Sweep {
                        title: format!("Every {} attack together", curve.norm),
                        norm: curve.norm,
                        lines: vec![line],
                    }),
                }
            }
        }
    }
    panels
}

/// What radii are multiplied by to be drawn.
fn scale(norm: &Norm) -> f64 {
    if norm.in_steps() { 255.0 } else { 1.0 }
}

fn lines(analysis: &Analysis, chosen: &Chosen, family: &[AttackSpec]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, at) in chosen.models.iter().enumerate() {
        let model = &analysis.runs.models[*at];
        for policy in BranchPolicy::of(&model.branches) {
            if policy == BranchPolicy::Oracle {
                continue;
            }
            let clean = [(0.0, Condition::Clean)];
            let attacked = family
                .iter()
                .map(|attack| (attack.size("eps"), Condition::Attack(attack.clone())));
            let points = clean.into_iter().chain(attacked).filter_map(|(eps, condition)| {
                let e = analysis.tally.accuracy(model, policy, &condition).ok()?;
                Some((
                    scale(&Norm::of(&family[0])) * eps,
                    100.0 * e.value,
                    100.0 * e.low,
                    100.0 * e.high,
                ))
            });
            lines.push(Line {
                model: index,
                policy,
                points: points.collect(),
            });
        }
    }
    lines
}

impl Sweeps {
    /// Lines are readings.
    fn policies(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut policies: Vec<BranchPolicy> = Vec::new();
        for line in self.panels.iter().flat_map(|panel| &panel.lines) {
            if !policies.contains(&line.policy) {
                policies.push(line.policy);
            }
        }
        // Networks with one branch have the line of the adversarial one, and share its entry.
        let (only, own) = (
            BranchPolicy::Fixed(Branch::Single),
            BranchPolicy::Fixed(Branch::Adversarial),
        );
        let shared = policies.contains(&only) && policies.contains(&own);
        for policy in policies.into_iter().filter(|policy| !(shared && *policy == only)) {
            let name = policy.label();
            entries.push(Entry {
                name: if shared && policy == own {
                    format!("{name}, or the only one")
                } else {
                    name
                },
                look: Look {
                    color: INK,
                    stroke: stroke(policy),
                    shape: 0,
                    marks: false,
                },
                line: true,
            });
        }
        entries
    }

    /// Where the legend ends.
    fn top(&self) -> f64 {
        let x = (LEFT, RIGHT);
        TOP + legend_height(&Entry::models(&self.models, false), x) + legend_height(&self.policies(), x)
    }
}

impl Draw for Sweeps {
    fn size(&self) -> (u32, u32) {
        (
            760,
            (self.top() + PANEL_STEP * self.panels.len() as f64 + 6.0).ceil() as u32,
        )
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let models = Entry::models(&self.models, false);
        legend(canvas, &models, (LEFT, RIGHT), TOP)?;
        legend(
            canvas,
            &self.policies(),
            (LEFT, RIGHT),
            TOP + legend_height(&models, (LEFT, RIGHT)),
        )?;
        let top = self.top();
        for (i, Sweep { title, norm, lines }) in self.panels.iter().enumerate() {
            let top = top + PANEL_STEP * i as f64 + 30.0;
            let radii = lines
                .iter()
                .flat_map(|line| line.points.iter().map(|point| point.0));
            let mut radii: Vec<f64> = radii.collect();
            radii.sort_by(f64::total_cmp);
            radii.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
            let largest = radii.last().copied().unwrap_or(1.0);
            let panel = Panel {
                x: (LEFT, RIGHT),
                y: (top, top + PANEL_HEIGHT),
                across: (-0.03 * largest, 1.03 * largest),
                up: (0.0, 100.0),
            };
            canvas.bold(title, (LEFT, top - 16.0), SMALL, Anchor::Start)?;
            panel.rows(canvas, &ticks(0.0, 100.0, 5), plain)?;
            let label = |radius: f64| {
                if radius == 0.0 {
                    "clean".to_owned()
                } else {
                    norm.size(radius / scale(norm))
                }
            };
            panel.columns(canvas, &radii, label)?;
            let across = format!("Radius of the attack ({norm}, pixel values in [0, 1])");
            panel.titles(canvas, &across, "Accuracy (%)")?;
            for line in lines {
                let ends: Vec<(f64, f64, f64)> = line.points.iter().map(|p| (p.0, p.2, p.3)).collect();
                panel.intervals(canvas, &ends, color(line.model))?;
            }
            for line in lines {
                let points: Vec<(f64, f64)> = line.points.iter().map(|p| (p.0, p.1)).collect();
                let look = Look {
                    color: color(line.model),
                    stroke: stroke(line.policy),
                    shape: line.model,
                    marks: true,
                };
                panel.series(canvas, &points, look)?;
            }
        }
        Ok(())
    }
}
