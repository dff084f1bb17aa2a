//! Certified and attacked accuracy against the ReLUs kept, and how far apart they are.

use super::axes::{Entry, Look};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Legend, Mark, Series, WIDE, whole};
use super::chosen::Chosen;
use super::relus::{decades, groups, relus, short};
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::glossary::{CERTIFIED, INTERVAL, RELUS, WORST};
use crate::metrics::bracket::{Bracket, brackets};
use crate::metrics::{BranchPolicy, Quantity};
use crate::sections::{Place, Section, Show};
use rlnet_suites::AttackSpec;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "bracket",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[CERTIFIED, RELUS, INTERVAL, WORST],
};

/// Certificates that are drawn, each with a line of its own.
const MOST: usize = 4;

/// A network's ReLUs (logarithm), and its brackets.
type Point = (f64, Vec<Bracket>);

/// The figure, when at least two networks have a record of their ReLUs and certified images.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let of = |&model: &usize| -> Option<Point> {
        let known = &analysis.runs.models[model];
        let mut found = brackets(
            analysis.matrix(&known.name)?,
            BranchPolicy::Worst.on(&known.branches),
        );
        // Points of one picture were attacked alike.
        found.retain(|bracket| {
            let quantity = Quantity::Bracket(bracket.certificate.clone());
            analysis.columns.admit(known, &quantity).is_ok()
        });
        (!found.is_empty()).then_some((relus(analysis, model)?, found))
    };
    // A line joins a teacher and its students, never networks of two families.
    let families: Vec<Vec<Point>> = groups(analysis)
        .iter()
        .map(|group| {
            let mut points: Vec<Point> = group.models.iter().filter_map(of).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        })
        .collect();
    let points: Vec<&Point> = families.iter().flatten().collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let mut certificates: Vec<AttackSpec> = Vec::new();
    for bracket in points.iter().flat_map(|(_, brackets)| brackets) {
        if !certificates.contains(&bracket.certificate) {
            certificates.push(bracket.certificate.clone());
        }
    }
    let all = certificates.len();
    certificates.truncate(MOST);
    let across = points.iter().map(|(x, _)| *x);
    let (low, high) = (
        across.clone().fold(f64::INFINITY, f64::min) - 0.12,
        across.fold(f64::NEG_INFINITY, f64::max) + 0.12,
    );
    let lines =
        |index: usize, certificate: &AttackSpec, stroke: Stroke, mark: &dyn Fn(f64, &Bracket) -> Mark| {
            let of_family = |points: &Vec<Point>| {
                let own = points.iter().filter_map(|(x, brackets)| {
                    let bracket = brackets
                        .iter()
                        .find(|bracket| bracket.certificate == *certificate)?;
                    Some(mark(*x, bracket))
                });
                let own: Vec<Mark> = own.collect();
                Series {
                    line: own.len() > 1,
                    ..Series::new(Look::model(index, stroke), own)
                }
            };
            families.iter().map(of_family).collect::<Vec<Series>>()
        };
    let mut accuracy = Vec::new();
    let mut open = Vec::new();
    for (index, certificate) in certificates.iter().enumerate() {
        accuracy.extend(lines(index, certificate, Stroke::Solid, &|x, bracket| {
            Mark::percent(x, &bracket.certified)
        }));
        accuracy.extend(lines(index, certificate, Stroke::Dashed, &|x, bracket| {
            Mark::percent(x, &bracket.attacked)
        }));
        open.extend(lines(index, certificate, Stroke::Solid, &|x, bracket| {
            Mark::percent(x, &bracket.open)
        }));
    }
    let panel = |heading: &str, up: &str, series: Vec<Series>| ChartPanel {
        heading: heading.to_owned(),
        note: String::new(),
        across: Axis::new("ReLUs", (low, high), &decades(low, high), |log| {
            short(10_f64.powf(log))
        }),
        up: Axis::percent(up, &series),
        series,
    };
    let name = |spec: &AttackSpec| {
        let norm = spec.norm();
        let size = norm.size(spec.eps().unwrap_or(0.0));
        format!("{} {size}, {}", norm.symbol(), spec.params()["method"])
    };
    let entries = certificates.iter().enumerate().map(|(index, spec)| Entry {
        name: name(spec),
        look: Look::model(index, Stroke::Solid),
        line: true,
    });
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries: entries.collect(),
        }],
        panels: vec![
            panel(
                "Certified (solid) and not broken (dashed)",
                "Accuracy (%)",
                accuracy,
            ),
            panel("Width of the bracket: neither is known", "Images (%)", open),
        ],
        columns: 2,
        height: 220.0,
        width: WIDE,
    };
    let some = if all > MOST {
        format!(" Drawn are {MOST} of {all} certificates; the table has all.")
    } else {
        String::new()
    };
    let caption = format!(
        "Left: the share of images that are certified, and the share that no attack broke; robust accuracy lies between the two. A line joins a teacher and its students. Right: what lies between.‹ An image counts when it is certified, or not broken, through every branch.› ReLUs on a logarithmic scale; upright bars are 95 % Wilson intervals.{some}{}",
        Chosen::of(analysis).said()
    );
    let alt = "Charts of certified and attacked accuracy, and of the share of images that are neither certified nor broken, against the ReLUs kept. The numbers are in the table of certified and attacked accuracy.";
    make(
        "bracket",
        "Certified accuracy against ReLUs",
        caption,
        alt.to_owned(),
        &chart,
    )
    .map(Some)
}
