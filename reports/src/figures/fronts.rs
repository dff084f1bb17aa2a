//! The fronts of a board: clean, corrupted and robust accuracy against the ReLUs kept. A line joins the models that no
//! other one beats with as few ReLUs.

use super::axes::{Entry, Look};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, whole};
use super::relus::{decades, published, relus, short};
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::metrics::{BranchPolicy, Estimate, Known, Triple};

const WIDTH: u32 = 900;

type Of = fn(&Triple) -> &Known<Estimate>;

/// What each panel shows.
const SHOWN: [(&str, Of); 3] = [
    ("Clean accuracy (CA)", |triple| &triple.ca),
    ("On corrupted images (NPA)", |triple| &triple.natural.npa),
    ("Under attack (AdvA)", |triple| &triple.adva),
];

/// The figure of some models (places in the analysis, each with whether it was audited), where one of them has a
/// record of its ReLUs.
pub(crate) fn figure(
    analysis: &Analysis,
    models: &[(usize, bool)],
    policy: BranchPolicy,
) -> Result<Option<Figure>, ReportError> {
    let placed: Vec<(usize, bool, f64)> = models
        .iter()
        .filter_map(|&(model, audited)| Some((model, audited, relus(analysis, model)?)))
        .collect();
    if placed.is_empty() {
        return Ok(None);
    }
    let theirs = published(analysis)?;
    let across = theirs
        .iter()
        .flat_map(|series| series.points.iter().map(|point| point.x));
    let across: Vec<f64> = across.chain(placed.iter().map(|(.., x)| *x)).collect();
    let low = across.iter().copied().fold(f64::INFINITY, f64::min) - 0.12;
    let high = across.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 0.12;
    let panels = SHOWN.iter().enumerate().map(|(at, (heading, of))| {
        let mut series = if at == 0 { theirs.clone() } else { Vec::new() };
        let mut marks = Vec::new();
        for (place, (model, audited, x)) in placed.iter().enumerate() {
            let triple = analysis.triple(&analysis.runs.models[*model].name, policy);
            let Some(Ok(share)) = triple.map(of) else { continue };
            let mark = Mark::percent(*x, share);
            marks.push(mark);
            series.push(Series {
                line: false,
                ..Series::new(look(place, *audited), vec![mark])
            });
        }
        let front = Series {
            interval: Interval::None,
            ..Series::new(
                Look {
                    marks: false,
                    ..Look::model(0, Stroke::Solid)
                },
                front(marks),
            )
        };
        series.insert(0, front);
        ChartPanel {
            heading: (*heading).to_owned(),
            note: String::new(),
            across: Axis::new("ReLUs", (low, high), &decades(low, high), |log| {
                short(10_f64.powf(log))
            }),
            up: Axis::percent(if at == 0 { "Accuracy (%)" } else { "" }, &series),
            series,
        }
    });
    let entries = placed.iter().enumerate().map(|(place, (model, audited, _))| {
        let name = &analysis.runs.models[*model].name;
        let name = if *audited {
            name.clone()
        } else {
            format!("{name} (not audited)")
        };
        Entry {
            name,
            look: look(place, *audited),
            line: false,
        }
    });
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDTH),
            entries: entries.collect(),
        }],
        panels: panels.collect(),
        columns: SHOWN.len(),
        height: 190.0,
        width: WIDTH,
    };
    make(
        "fronts",
        "Accuracy against ReLUs",
        "ReLUs on a logarithmic scale; upright bars are 95 % intervals. A line joins the models that no model with as \
         few ReLUs is above; steps within the intervals may be chance. Grey: published clean accuracy, from papers \
         whose rows nobody has."
            .to_owned(),
        "Charts of clean, corrupted and robust accuracy against the ReLUs kept. The numbers are in the table.".to_owned(),
        &chart,
    )
    .map(Some)
}

fn look(place: usize, audited: bool) -> Look {
    Look::model(place, if audited { Stroke::Solid } else { Stroke::Dotted })
}

/// The points that none with as few ReLUs is above, by their ReLUs.
fn front(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.value.total_cmp(&a.value)));
    let mut best = f64::NEG_INFINITY;
    marks.retain(|mark| {
        let above = mark.value > best;
        best = best.max(mark.value);
        above
    });
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_has_no_point_that_another_is_above_with_as_few_relus() {
        let marks = [(2.0, 30.0), (1.0, 20.0), (1.0, 25.0), (3.0, 28.0), (4.0, 31.0)];
        let front = front(marks.map(|(x, value)| Mark::plain(x, value)).to_vec());
        let points: Vec<(f64, f64)> = front.iter().map(|mark| (mark.x, mark.value)).collect();
        assert_eq!(points, [(1.0, 25.0), (2.0, 30.0), (4.0, 31.0)]);
    }
}
