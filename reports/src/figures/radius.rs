//! Accuracy against the attack's radius: a panel per family of attacks, a line per model and
//! reading; radius 0 is the clean image.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, INK, Stroke};
use super::{Draw, Figure, color, make, stroke};
use crate::error::ReportError;
use crate::metrics::{Analysis, Reading};
use crate::words;
use plotters::prelude::DrawingBackend;
use rlnet_suites::{AttackSpec, Branch, Condition};

struct Line {
    model: usize,
    reading: Reading,
    /// Radius in 1/255, percent right, low, high.
    points: Vec<(f64, f64, f64, f64)>,
}

struct Sweeps {
    models: Vec<String>,
    panels: Vec<(String, Vec<Line>)>,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 738.0;
const PANEL_HEIGHT: f64 = 270.0;
const PANEL_STEP: f64 = PANEL_HEIGHT + 82.0;

/// The figure, when some family of attacks was made at two radii or more.
pub(super) fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let attacks = analysis.runs.attacks();
    let mut panels = Vec::new();
    for (name, family) in families(&attacks) {
        let lines = lines(analysis, &family);
        if lines.iter().any(|line| line.points.len() > 2) {
            panels.push((name, lines));
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let models: Vec<String> = analysis.runs.models.iter().map(|model| model.name.clone()).collect();
    let alt = format!(
        "Line chart of accuracy against attack radius for {}, through each branch and for the worst of branches. The numbers are in the table of accuracy per attack and branch.",
        words::list(&models)
    );
    let caption = "Every attack is made against, and judged on, the branch of its line; radius 0 is the clean image. The worst line counts an image only if no branch fails. Upright bars are 95 % Wilson intervals.".to_owned();
    make("radius", "Accuracy against attack radius", caption, alt, &Sweeps { models, panels }).map(Some)
}

/// Attacks that differ only in radius, or whose step grows with the radius (both ways of
/// sweeping are in use); each attack in the largest family it fits.
fn families(attacks: &[AttackSpec]) -> Vec<(String, Vec<AttackSpec>)> {
    let mut groups: Vec<(String, Vec<AttackSpec>)> = Vec::new();
    for attack in attacks {
        let mut keys = vec![attack.family(), proportional(attack)];
        keys.dedup();
        for key in keys {
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, group)) => group.push(attack.clone()),
                None => groups.push((key, vec![attack.clone()])),
            }
        }
    }
    groups.retain(|(_, group)| group.len() > 1);
    let all = groups.clone();
    groups.retain(|(key, group)| {
        let inside = |other: &(String, Vec<AttackSpec>)| group.iter().all(|attack| other.1.contains(attack));
        let larger = |other: &&(String, Vec<AttackSpec>)| other.1.len() > group.len() && inside(other);
        // Of two equal groups the first stays.
        let twin = all.iter().find(|other| other.1.len() == group.len() && inside(other));
        all.iter().find(larger).is_none() && twin.is_some_and(|(first, _)| first == key)
    });
    for (_, group) in &mut groups {
        group.sort_by(|a, b| a.size("eps").total_cmp(&b.size("eps")));
    }
    groups.into_iter().map(|(_, group)| (title(&group), group)).collect()
}

/// The family by the step's share of the radius.
fn proportional(attack: &AttackSpec) -> String {
    let eps = attack.size("eps");
    if !attack.params().contains_key("alpha") || eps <= 0.0 {
        return attack.family();
    }
    let rest = attack.params().iter().filter(|(name, _)| !["eps", "alpha"].contains(*name));
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}:{}:step/eps={:.4}", attack.name(), rest.join(","), attack.size("alpha") / eps)
}

fn title(group: &[AttackSpec]) -> String {
    let name = words::attack(&group[0], &group[..1]);
    let name = name.rsplit_once(", ").map_or(name.as_str(), |(name, _)| name).to_owned();
    let steps: Vec<f64> = group.iter().map(|attack| attack.size("alpha")).collect();
    if steps[0] <= 0.0 {
        return name;
    }
    if steps.iter().all(|step| (step - steps[0]).abs() < 1e-9) {
        format!("{name}, step {}/255", plain(steps[0] * 255.0))
    } else {
        format!("{name}, step {} of the radius", plain(steps[0] / group[0].size("eps")))
    }
}

fn lines(analysis: &Analysis, family: &[AttackSpec]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, model) in analysis.runs.models.iter().enumerate() {
        for reading in Reading::of(&model.branches) {
            if reading == Reading::Oracle {
                continue;
            }
            let clean = [(0.0, Condition::Clean)];
            let attacked = family.iter().map(|attack| (attack.size("eps"), Condition::Attack(attack.clone())));
            let points = clean.into_iter().chain(attacked).filter_map(|(eps, condition)| {
                let e = analysis.tally.accuracy(model, reading, &condition).ok()?;
                Some((255.0 * eps, 100.0 * e.value, 100.0 * e.low, 100.0 * e.high))
            });
            lines.push(Line {
                model: index,
                reading,
                points: points.collect(),
            });
        }
    }
    lines
}

impl Sweeps {
    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .models
            .iter()
            .enumerate()
            .map(|(i, name)| Entry {
                name: name.clone(),
                look: Look { color: color(i), stroke: Stroke::Solid, shape: i, marks: true },
                line: false,
            })
            .collect();
        let mut readings: Vec<Reading> = Vec::new();
        for line in self.panels.iter().flat_map(|(_, lines)| lines) {
            if !readings.contains(&line.reading) {
                readings.push(line.reading);
            }
        }
        // Networks with one branch have the line of the adversarial one, and share its entry.
        let (only, own) = (Reading::Fixed(Branch::Single), Reading::Fixed(Branch::Adversarial));
        let shared = readings.contains(&only) && readings.contains(&own);
        for reading in readings.into_iter().filter(|reading| !(shared && *reading == only)) {
            let name = reading.label();
            entries.push(Entry {
                name: if shared && reading == own { format!("{name}, or the only one") } else { name },
                look: Look { color: INK, stroke: stroke(reading), shape: 0, marks: false },
                line: true,
            });
        }
        entries
    }
}

impl Draw for Sweeps {
    fn size(&self) -> (u32, u32) {
        let top = TOP + legend_height(&self.entries(), (LEFT, RIGHT));
        (760, (top + PANEL_STEP * self.panels.len() as f64 + 6.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let entries = self.entries();
        legend(canvas, &entries, (LEFT, RIGHT), TOP)?;
        let top = TOP + legend_height(&entries, (LEFT, RIGHT));
        for (i, (name, lines)) in self.panels.iter().enumerate() {
            let top = top + PANEL_STEP * i as f64 + 30.0;
            let radii = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
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
            canvas.bold(name, (LEFT, top - 16.0), SMALL, Anchor::Start)?;
            panel.rows(canvas, &ticks(0.0, 100.0, 5), plain)?;
            let label = |radius: f64| if radius == 0.0 { "clean".to_owned() } else { format!("{}/255", plain(radius)) };
            panel.columns(canvas, &radii, label)?;
            panel.titles(canvas, "Radius of the attack (L\u{221e}, pixel values in [0, 1])", "Accuracy (%)")?;
            for line in lines {
                let ends: Vec<(f64, f64, f64)> = line.points.iter().map(|p| (p.0, p.2, p.3)).collect();
                panel.intervals(canvas, &ends, color(line.model))?;
            }
            for line in lines {
                let points: Vec<(f64, f64)> = line.points.iter().map(|p| (p.0, p.1)).collect();
                let look = Look { color: color(line.model), stroke: stroke(line.reading), shape: line.model, marks: true };
                panel.series(canvas, &points, look)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_found_whether_its_step_is_fixed_or_grows() {
        let parse = |texts: &[&str]| -> Vec<AttackSpec> {
            texts.iter().map(|text| text.parse().expect("an attack")).collect()
        };
        let grows = parse(&["fgsm", "pgd:steps=10,eps=2/255,alpha=0.5/255", "pgd:steps=10,eps=4/255,alpha=1/255", "pgd:steps=10"]);
        let found = families(&grows);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.len()), ("PGD-10, step 0.25 of the radius", 3));
        let fixed = parse(&["fgsm:eps=2/255", "fgsm:eps=8/255", "pgd:eps=4/255", "pgd:eps=8/255"]);
        let titles: Vec<String> = families(&fixed).into_iter().map(|(title, _)| title).collect();
        assert_eq!(titles, ["FGSM", "PGD-20, step 2/255"]);
    }
}
