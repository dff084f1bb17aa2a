//! Accuracy against the ReLUs kept: CA, NPA and AdvA as papers read them, and AdvA where the
//! attacker chooses the branch. A line is the students of one teacher that differ only in their
//! ReLUs, with a ring on its knee; a mark is any other network; a grey line was published.

use super::axes::{Entry, Look, plain};
use super::canvas::{GREY, Stroke};
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, whole};
use super::chosen::Chosen;
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::{ADVA, CA, INTERVAL, NPA, REDUCTION, RELUS, WORST};
use crate::metrics::reduction::{Knee, MARGIN, Sweep, SweepLine};
use crate::metrics::{BranchPolicy, Estimate, Known, Measure, Quantity};
use crate::sections::{Place, Section, Show};
use crate::tables::reduction::knee_in_words;
use rlnet_suites::dataset::NAMED;
use rlnet_suites::{Condition, Literature};

/// It stands beside the main table.
const WIDTH: u32 = 620;

/// Published methods that are drawn.
const METHODS: [&str; 3] = ["SENet", "SNL", "DeepReDuce"];

/// What a panel shows.
pub(super) struct Shown {
    pub heading: &'static str,
    measure: Measure,
    policy: BranchPolicy,
}

impl Shown {
    pub const fn new(heading: &'static str, measure: Measure, policy: BranchPolicy) -> Self {
        Self {
            heading,
            measure,
            policy,
        }
    }
}

const SHOWN: [Shown; 4] = [
    Shown::new("Clean accuracy (CA)", Measure::Ca, BranchPolicy::Oracle),
    Shown::new("On corrupted images (NPA)", Measure::Npa, BranchPolicy::Oracle),
    Shown::new("Under attack (AdvA)", Measure::AdvA, BranchPolicy::Oracle),
    Shown::new(
        "Under attack, worst of branches",
        Measure::AdvA,
        BranchPolicy::Worst,
    ),
];

/// Networks that share a mark: those of a sweep, or one network.
pub(super) struct Group<'a> {
    name: String,
    pub models: Vec<usize>,
    pub sweep: Option<&'a Sweep>,
}

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "relus",
    place: Place::FirstScreen,
    show: Show::Figure(figure),
    terms: &[RELUS, REDUCTION, CA, NPA, ADVA, WORST, INTERVAL],
};

/// The figure, when at least two networks have a record of their ReLUs and a measured accuracy.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let groups = groups(analysis);
    let published = published(analysis)?;
    let ranges: Vec<f64> = groups
        .iter()
        .flat_map(|group| group.models.iter().filter_map(|model| relus(analysis, *model)))
        .chain(
            published
                .iter()
                .flat_map(|series| series.points.iter().map(|point| point.x)),
        )
        .collect();
    let low = ranges.iter().copied().fold(f64::INFINITY, f64::min) - 0.12;
    let high = ranges.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 0.12;
    let mut panels = Vec::new();
    // Where no network has several branches, the worst of them is the only one.
    let told_apart = SHOWN
        .iter()
        .filter(|shown| shown.policy != BranchPolicy::Worst || analysis.has_branches());
    for (at, shown) in told_apart.enumerate() {
        let mut series: Vec<Series> = if at == 0 { published.clone() } else { Vec::new() };
        series.extend(
            groups
                .iter()
                .enumerate()
                .map(|(i, group)| line(analysis, shown, i, group)),
        );
        let up = if at % 2 == 0 { "Accuracy (%)" } else { "" };
        panels.push(ChartPanel {
            heading: shown.heading.to_owned(),
            note: String::new(),
            across: Axis::new("ReLUs", (low, high), &decades(low, high), |log| {
                short(10_f64.powf(log))
            }),
            up: Axis::percent(up, &series),
            series,
        });
    }
    let own = |panel: &ChartPanel| -> usize {
        let drawn = panel.series.iter().filter(|series| series.look.color != GREY);
        drawn.map(|series| series.points.len()).sum()
    };
    if !panels.iter().any(|panel| own(panel) > 1) {
        return Ok(None);
    }
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDTH),
            entries: entries(&groups, &published),
        }],
        panels,
        columns: 2,
        height: 150.0,
        width: WIDTH,
    };
    let id = "relus";
    make(
        id,
        "Accuracy against ReLUs",
        caption(analysis, &published),
        alt(analysis),
        &chart,
    )
    .map(Some)
}

fn caption(analysis: &Analysis, published: &[Series]) -> String {
    let mut said = String::from(
        "ReLUs on a logarithmic scale; upright bars are 95 % intervals.‹ Each kind of image goes through the branch trained for it, except in the last panel.›",
    );
    if !analysis.sweeps.is_empty() {
        said.push_str(&format!(
            " A line joins a teacher and its students, which differ only in how many ReLUs they keep. A ring marks the knee: the fewest ReLUs before more than {} points are lost against the teacher beyond chance; the pale line through it covers where the knee may lie by the paired 95 % intervals.",
            format::percent(MARGIN)
        ));
    }
    let dataset = dataset(analysis);
    said.push_str(&if published.is_empty() {
        format!(" No published numbers are known for {dataset}.")
    } else {
        format!(
            " Grey lines: clean accuracy published for {dataset} (sources in the table of published numbers), with other, mostly larger networks, all training images and all test images{}.",
            ours(analysis)
        )
    });
    said
}

/// `, of which this report has 1,000`: where our numbers are of fewer test images than published ones.
fn ours(analysis: &Analysis) -> String {
    let clean = analysis.columns.set(&Quantity::Accuracy(Condition::Clean));
    let all = NAMED.iter().find(|named| named.name == dataset(analysis));
    match clean.zip(all) {
        Some((clean, all)) if clean.images.len() < all.test as usize => {
            let count = format::thousands(clean.images.len() as u64);
            format!(", of which this report has {count}")
        }
        _ => String::new(),
    }
}

fn alt(analysis: &Analysis) -> String {
    let knees: Vec<String> = analysis
        .sweeps
        .iter()
        .flat_map(|sweep| {
            sweep.lines.iter().map(|line| {
                format!(
                    "{} {} ({}): {}",
                    sweep.name,
                    line.measure.name(),
                    line.policy.label(),
                    knee_in_words(sweep, line)
                )
            })
        })
        .collect();
    let knees = match knees.as_slice() {
        [] => String::new(),
        some => format!(" Knees: {}.", some.join("; ")),
    };
    format!(
        "Charts of CA, NPA and AdvA‹, and of AdvA for the worst of branches,› against the ReLUs kept.{knees} The numbers are in the main table and the table of accuracy against the reduction."
    )
}

fn dataset(analysis: &Analysis) -> &str {
    let mut images = analysis.runs.runs.iter().filter_map(|run| run.plan.images());
    images
        .next()
        .map_or("this data set", |images| images.dataset.as_str())
}

/// Sweeps, each with its teacher, and every other network that figures draw.
pub(super) fn groups(analysis: &Analysis) -> Vec<Group<'_>> {
    let mut all: Vec<Group<'_>> = Vec::new();
    for sweep in &analysis.sweeps {
        let students = &sweep.points[usize::from(sweep.from_teacher)..];
        let [first, .., last] = students else { continue };
        all.push(Group {
            name: format!(
                "{}, {:.0}\u{d7} to {:.0}\u{d7}",
                sweep.name, first.reduction, last.reduction
            ),
            models: sweep.points.iter().map(|point| point.model).collect(),
            sweep: Some(sweep),
        });
    }
    let swept: Vec<usize> = all.iter().flat_map(|group| group.models.clone()).collect();
    let others = Chosen::of(analysis).models.into_iter();
    all.extend(others.filter(|model| !swept.contains(model)).map(|model| Group {
        name: analysis.runs.models[model].name.clone(),
        models: vec![model],
        sweep: None,
    }));
    all
}

pub(super) fn entries(groups: &[Group<'_>], published: &[Series]) -> Vec<Entry> {
    let own = groups.iter().enumerate().map(|(i, group)| Entry {
        name: group.name.clone(),
        look: Look::model(i, Stroke::Solid),
        line: group.sweep.is_some(),
    });
    let theirs = published.iter().zip(METHODS).map(|(series, _)| Entry {
        name: format!("{}, published", METHODS[series.look.shape]),
        look: series.look,
        line: true,
    });
    own.chain(theirs).collect()
}

/// The logarithm of the ReLUs that a network keeps.
pub(super) fn relus(analysis: &Analysis, model: usize) -> Option<f64> {
    let relus = analysis.runs.models[model].relus?;
    Some((relus.kept.max(1) as f64).log10())
}

fn line(analysis: &Analysis, shown: &Shown, index: usize, group: &Group<'_>) -> Series {
    let point = |model: &usize| {
        let share = share(analysis, *model, shown)?.as_ref().ok()?;
        Some(Mark::percent(relus(analysis, *model)?, share))
    };
    let points: Vec<Mark> = group.models.iter().filter_map(point).collect();
    let whole = points.len() == group.models.len();
    let ring = group
        .sweep
        .filter(|_| whole)
        .and_then(|sweep| knee(sweep, shown))
        .map(|(at, (from, to))| (at, (points[from].x, points[to].x)));
    Series {
        line: group.sweep.is_some(),
        ring,
        ..Series::new(Look::model(index, Stroke::Solid), points)
    }
}

pub(super) fn share<'a>(analysis: &'a Analysis, model: usize, shown: &Shown) -> Option<&'a Known<Estimate>> {
    let triple = analysis.triple(&analysis.runs.models[model].name, shown.policy)?;
    triple.of(shown.measure)
}

/// The point of a sweep that is its knee, and the points between which it lies.
fn knee(sweep: &Sweep, shown: &Shown) -> Option<(usize, (usize, usize))> {
    let of = |policy| {
        let is = move |line: &&SweepLine| line.measure == shown.measure && line.policy == policy;
        sweep.lines.iter().find(is)
    };
    // Networks with one branch have no line of their own for the worst of branches.
    let line = of(shown.policy).or_else(|| of(BranchPolicy::Oracle))?;
    let Knee::Between(at, _) = line.knee else {
        return None;
    };
    let (low, high) = line.knee_range()?;
    Some((at, (low, high.unwrap_or(sweep.points.len() - 1))))
}

/// Clean accuracy published for the data set, a grey line a method.
pub(super) fn published(analysis: &Analysis) -> Result<Vec<Series>, ReportError> {
    let literature = Literature::load().map_err(|error| ReportError::make("the published numbers", error))?;
    let strokes = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted];
    let lines = METHODS
        .into_iter()
        .zip(strokes)
        .enumerate()
        .map(|(i, (method, stroke))| {
            let points = literature.curve(method, dataset(analysis), "CA").into_iter();
            let look = Look {
                color: GREY,
                stroke,
                shape: i,
                marks: true,
            };
            Series {
                interval: Interval::None,
                ..Series::new(
                    look,
                    points
                        .map(|(relus, value)| Mark::plain((relus as f64).log10(), value))
                        .collect(),
                )
            }
        });
    Ok(lines.filter(|series| series.points.len() > 1).collect())
}

/// Ticks at 1, 2 and 5 times powers of ten, thinned to what fits.
pub(super) fn decades(low: f64, high: f64) -> Vec<f64> {
    let all = |steps: &[f64]| -> Vec<f64> {
        let powers = low.floor() as i32..=high.ceil() as i32;
        powers
            .flat_map(|power| steps.iter().map(move |step| (step * 10_f64.powi(power)).log10()))
            .filter(|tick| (low..=high).contains(tick))
            .collect()
    };
    let fine = all(&[1.0, 2.0, 5.0]);
    if fine.len() <= 8 { fine } else { all(&[1.0]) }
}

pub(super) fn short(relus: f64) -> String {
    if relus >= 999_999.0 {
        format!("{}M", plain(relus / 1e6))
    } else if relus >= 999.0 {
        format!("{}k", plain((relus / 100.0).round() / 10.0))
    } else {
        plain(relus.round())
    }
}
