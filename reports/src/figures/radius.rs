//! Accuracy against the attack's radius: a panel per family of attacks, a line per model and
//! branch policy; radius 0 is the clean image.

use super::axes::{Entry, Look};
use super::canvas::INK;
use super::chart::{Axis, Chart, ChartPanel, Legend, Mark, Series, WIDE, whole};
use super::chosen::Chosen;
use super::sweeps::families;
use super::{Figure, make, stroke};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::{INTERVAL, WORST};
use crate::metrics::{BranchPolicy, Quantity, smallest_perturbation};
use crate::sections::{Place, Section, Show};
use rlnet_suites::attack::{Norm, is_same_radius};
use rlnet_suites::{AttackSpec, Branch, Condition};

/// Families of attacks that are drawn, a panel each (own choice: about three screens).
const MOST: usize = 6;

/// A line: a model's place among the drawn ones, and how it is read.
struct Line {
    model: usize,
    policy: BranchPolicy,
    points: Vec<Mark>,
}

/// A family of attacks, and a line per model and branch policy.
struct Family {
    title: String,
    norm: Norm,
    lines: Vec<Line>,
}

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "radius",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[WORST, INTERVAL],
};

/// The figure, when some family of attacks was made at two radii or more.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let chosen = Chosen::of(analysis);
    let attacks: Vec<AttackSpec> = analysis.runs.attacks();
    let bounded: Vec<AttackSpec> = attacks.iter().filter(|a| a.radius().is_some()).cloned().collect();
    let found = families(&bounded);
    let all = found.len();
    // The sort is stable: of equally long families the plan's first.
    let mut longest: Vec<usize> = (0..all).collect();
    longest.sort_by_key(|at| std::cmp::Reverse(found[*at].1.len()));
    longest.truncate(MOST);
    let drawn = found
        .into_iter()
        .enumerate()
        .filter(|(at, _)| longest.contains(at));
    let mut families: Vec<Family> = drawn
        .map(|(_, (title, attacks))| Family {
            title,
            norm: attacks[0].norm(),
            lines: lines(analysis, &chosen, &attacks),
        })
        .chain(together(analysis, &chosen))
        .collect();
    families.retain(|family| family.lines.iter().any(|line| line.points.len() > 2));
    if families.is_empty() {
        return Ok(None);
    }
    let alt = format!(
        "Line chart of accuracy against attack radius for {}‹, through each branch and for the worst of branches›. The numbers are in the table of accuracy per attack‹ and branch›.",
        format::list(&chosen.names)
    );
    let some = if all > MOST {
        format!(
            " Drawn are the {MOST} families of attacks with most radii, of {all}; all numbers are in the CSV and JSON files of the table of accuracy per attack‹ and branch›."
        )
    } else {
        String::new()
    };
    let caption = format!(
        "Radius 0 is the clean image.‹ Every attack is made against, and judged on, the branch of its line. The worst line counts an image only if no branch fails.› Where all attacks of a norm are taken together, an image counts only if none of them broke it with a perturbation of at most the radius, so that line can only fall; a network that was not under the same attacks as most has no such line. Upright bars are 95 % Wilson intervals.{some}{}",
        chosen.said()
    );
    let x = whole(WIDE);
    let chart = Chart {
        legends: vec![
            Legend {
                x,
                entries: Entry::models(&chosen.names, false),
            },
            Legend {
                x,
                entries: policies(&families),
            },
        ],
        panels: families.into_iter().map(panel).collect(),
        columns: 1,
        height: 270.0,
        width: WIDE,
    };
    make("radius", "Accuracy against attack radius", caption, alt, &chart).map(Some)
}

fn panel(family: Family) -> ChartPanel {
    let norm = family.norm;
    let points = family.lines.iter().flat_map(|line| &line.points);
    let mut radii: Vec<f64> = points.map(|point| point.x).collect();
    radii.sort_by(f64::total_cmp);
    radii.dedup_by(|a, b| is_same_radius(*a, *b));
    let largest = radii.last().copied().unwrap_or(1.0);
    let label = |radius: f64| {
        if radius == 0.0 {
            "clean".to_owned()
        } else {
            norm.size(radius / scale(norm))
        }
    };
    let title = format!("Radius of the attack ({}, pixel values in [0, 1])", norm.symbol());
    let lines = family.lines.into_iter();
    let series: Vec<Series> = lines
        .map(|line| Series::new(Look::model(line.model, stroke(line.policy)), line.points))
        .collect();
    ChartPanel {
        heading: family.title,
        note: String::new(),
        across: Axis::new(&title, (-0.03 * largest, 1.03 * largest), &radii, label),
        up: Axis::percent("Accuracy (%)", &series),
        series,
    }
}

/// Every model and branch policy that has lines here.
fn readers<'a>(
    analysis: &'a Analysis,
    chosen: &'a Chosen,
) -> impl Iterator<Item = (usize, usize, BranchPolicy)> + 'a {
    chosen.models.iter().enumerate().flat_map(|(place, at)| {
        let policies = BranchPolicy::of(&analysis.runs.models[*at].branches).into_iter();
        policies
            .filter(|policy| *policy != BranchPolicy::Oracle)
            .map(move |policy| (place, *at, policy))
    })
}

/// One panel a norm: what survives every attack of it, monotone by construction.
fn together(analysis: &Analysis, chosen: &Chosen) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for (model, at, policy) in readers(analysis, chosen) {
        let known = &analysis.runs.models[at];
        let Some(own) = analysis.matrix(&known.name) else {
            continue;
        };
        let curves = smallest_perturbation::curves(own, policy).into_iter();
        let alike = |norm: Norm| analysis.columns.admit(known, &Quantity::Ball(norm)).is_ok();
        for curve in curves.filter(|curve| alike(curve.norm)) {
            let scale = scale(curve.norm);
            let points = curve
                .points
                .iter()
                .map(|(size, share)| Mark::percent(scale * size, share))
                .collect();
            let line = Line {
                model,
                policy,
                points,
            };
            match families.iter_mut().find(|family| family.norm == curve.norm) {
                Some(family) => family.lines.push(line),
                None => families.push(Family {
                    title: format!("Every {} attack together", curve.norm.symbol()),
                    norm: curve.norm,
                    lines: vec![line],
                }),
            }
        }
    }
    families
}

/// What radii are multiplied by to be drawn.
fn scale(norm: Norm) -> f64 {
    if norm.in_steps() { 255.0 } else { 1.0 }
}

fn lines(analysis: &Analysis, chosen: &Chosen, attacks: &[AttackSpec]) -> Vec<Line> {
    let scale = scale(attacks[0].norm());
    let line = |(place, at, policy): (usize, usize, BranchPolicy)| {
        let model = &analysis.runs.models[at];
        let attacked = attacks
            .iter()
            .filter_map(|attack| Some((attack.radius()?, Condition::Attack(attack.clone()))));
        let points = std::iter::once((0.0, Condition::Clean))
            .chain(attacked)
            .filter_map(|(eps, condition)| {
                let share = analysis.tally.accuracy(model, policy, &condition).ok()?;
                Some(Mark::percent(scale * eps, &share))
            });
        Line {
            model: place,
            policy,
            points: points.collect(),
        }
    };
    readers(analysis, chosen).map(line).collect()
}

/// The legend of the lines' strokes.
fn policies(families: &[Family]) -> Vec<Entry> {
    let mut policies: Vec<BranchPolicy> = Vec::new();
    for line in families.iter().flat_map(|family| &family.lines) {
        if !policies.contains(&line.policy) {
            policies.push(line.policy);
        }
    }
    // Networks with one branch have the line of the adversarial one, and share its entry.
    let only = BranchPolicy::Fixed(Branch::Single);
    let own = BranchPolicy::Fixed(Branch::Adversarial);
    let shared = policies.contains(&only) && policies.contains(&own);
    policies.retain(|policy| !(shared && *policy == only));
    let entry = |policy: BranchPolicy| {
        let other = if shared && policy == own {
            ", or the only one"
        } else {
            ""
        };
        Entry {
            name: format!("{}{other}", policy.label()),
            look: Look {
                color: INK,
                stroke: stroke(policy),
                shape: 0,
                marks: false,
            },
            line: true,
        }
    };
    if policies == [only] {
        policies.clear();
    }
    policies.into_iter().map(entry).collect()
}
