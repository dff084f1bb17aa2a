//! How often answers change along the sequences of CIFAR-10-P.

use super::by_branch::{READ, View, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::{INTERVAL, Term};
use crate::metrics::BranchPolicy;
use crate::metrics::estimate::Known;
use crate::metrics::sequences::{Changes, Distance};
use crate::sections::{Place, Section, Show};
use rlnet_suites::{Condition, Sequence};
use std::collections::BTreeSet;

/// What is counted.
const FLIPS: Term = Term::new(
    "mFP",
    "Mean flip probability: how often the predicted class changes from a frame to the next one (for noise: differs from that of the image without noise), mean over ten sequences of CIFAR-10-P. It does not say whether predictions are right.",
);

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "sequences",
    place: Place::Numbers,
    show: Show::Table(sequences),
    terms: &[FLIPS, INTERVAL],
};

/// What is counted of orders.
const ORDERS: Term = Term::new(
    "Top-5 distance",
    "How far the five classes with the largest logits move from a frame to the next one (for noise: from the image without noise): the sum of the changes of their places, a place behind the fifth counting as the sixth. 0 to 15.",
);

/// The section of orders.
pub(crate) const ORDER: Section = Section {
    id: "rankings",
    place: Place::Numbers,
    show: Show::Table(rankings),
    terms: &[ORDERS],
};

/// The sequences of some runs, in their order.
fn planned(analysis: &Analysis) -> BTreeSet<Sequence> {
    let conditions = analysis.runs.conditions().into_iter();
    let sequences = conditions.filter_map(|condition| match condition {
        Condition::Frame { sequence, .. } => Some(sequence),
        _ => None,
    });
    sequences.collect()
}

/// The readings of these tables: the worst of branches gives no answer of its own that could change.
fn readings(analysis: &Analysis) -> impl Iterator<Item = View<'_>> {
    let any = !planned(analysis).is_empty();
    views(analysis).filter(move |view| any && view.policy != BranchPolicy::Worst)
}

fn changes(view: View<'_>, distance: Distance) -> Changes {
    Changes::of(
        view.model,
        view.matrix,
        view.policy,
        &view.analysis.columns,
        distance,
    )
}

/// A mean rate beside the baseline, in percent.
fn rate(view: View<'_>, own: &Changes, distance: Distance) -> Cell {
    let Some(baseline) = view.analysis.runs.baseline.as_deref() else {
        return Cell::absent("the suite names no baseline");
    };
    let (model, matrix) = (view.analysis.runs.model(baseline), view.analysis.matrix(baseline));
    let Some((model, matrix)) = model.zip(matrix) else {
        return Cell::absent("the suite names no baseline");
    };
    let policy = view.policy.on(&model.branches);
    let base = Changes::of(model, matrix, policy, &view.analysis.columns, distance);
    number(
        own.mean_rate(&base, &Sequence::CIFAR_TEN)
            .map(|rate| 100.0 * rate),
    )
}

fn number(known: Known<f64>) -> Cell {
    Cell::of(known.map_or_else(Value::Absent, Value::Number))
}

fn by_baseline(analysis: &Analysis, key: &str, what: &str) -> Column {
    let baseline = analysis.runs.baseline.as_deref().unwrap_or("the baseline");
    Column::new(key, format!("{what} by {baseline}"), "%", Kind::Number(1))
}

/// One row a model and branch policy, one column a sequence.
fn sequences(analysis: &Analysis) -> Table {
    let planned = planned(analysis);
    let own = [
        Column::share("clean", "clean error"),
        Column::share("mfp", "mFP"),
        Column::share("mfp_snow", "mFP with snow"),
        by_baseline(analysis, "mfr", "mFR"),
    ];
    let each = planned
        .iter()
        .map(|sequence| Column::share(sequence.name(), sequence.name().replace('_', " ")));
    let rows = readings(analysis).map(|view| {
        let flips = changes(view, Distance::Flip);
        let source = view.cells(|condition| matches!(condition, Condition::Frame { .. }));
        let clean = analysis
            .tally
            .accuracy(view.model, view.policy, &Condition::Clean);
        let cells = [
            Cell::share(
                &clean.map(|accuracy| accuracy.error()),
                &view.source(&Condition::Clean),
            ),
            Cell::share(&flips.mean_probability(&Sequence::CIFAR_TEN), &source),
            Cell::share(&flips.mean_probability(&Sequence::PAPER_TEN), &source),
            rate(view, &flips, Distance::Flip),
        ];
        let each = planned
            .iter()
            .map(|&sequence| Cell::share(&flips.probability(sequence), &source));
        view.row(cells.into_iter().chain(each))
    });
    Table::new(
        "sequences",
        "Changes of answer along sequences",
        "Percent of comparisons in which the predicted class changes, with 95 % intervals; less is steadier, and a \
         network that always says the same has 0, so clean error stands beside it. mFP averages the ten sequences of \
         the published CIFAR script, which has spatter where the paper has snow; mFP with snow averages the paper's \
         ten. mFR divides by the baseline's flip probabilities, not by those of AlexNet, which are published for \
         ImageNet-P alone. Frames of spatter without any liquid are black, as in the published data.",
        columns(READ, own.into_iter().chain(each)),
        rows.collect(),
    )
}

/// One row a model and branch policy, one column a sequence.
fn rankings(analysis: &Analysis) -> Table {
    let planned = planned(analysis);
    let distance = |key: &str, head: String| Column::new(key, head, "", Kind::Number(3));
    let own = [
        distance("top5", "mean top-5 distance".to_owned()),
        by_baseline(analysis, "mt5d", "mT5D"),
        distance("zipf", "mean Zipf distance".to_owned()),
    ];
    let each = planned
        .iter()
        .map(|sequence| distance(sequence.name(), sequence.name().replace('_', " ")));
    let rows = readings(analysis).map(|view| {
        let (five, all) = (changes(view, Distance::TopFive), changes(view, Distance::Zipf));
        let cells = [
            number(five.mean(&Sequence::CIFAR_TEN)),
            rate(view, &five, Distance::TopFive),
            number(all.mean(&Sequence::CIFAR_TEN)),
        ];
        let each = planned.iter().map(|&sequence| number(five.mean(&[sequence])));
        view.row(cells.into_iter().chain(each))
    });
    Table::new(
        "rankings",
        "Changes of order along sequences",
        "How far the order of the classes moves between the frames that are compared; less is steadier. A sequence's \
         column has its top-5 distance; the means are over the ten sequences of the published CIFAR script, as mFP is. \
         mT5D divides by the baseline's distances. The Zipf distance looks at all classes, each weighted by its inverse \
         rank. With ten classes the first five change easily, and papers on CIFAR rarely show these.",
        columns(READ, own.into_iter().chain(each)),
        rows.collect(),
    )
}
