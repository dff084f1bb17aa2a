//! How often answers change along the sequences of CIFAR-10-P.

use super::by_branch::{READ, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::{INTERVAL, Term};
use crate::metrics::BranchPolicy;
use crate::metrics::sequences::Flips;
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

/// One row a model and branch policy, one column a sequence.
fn sequences(analysis: &Analysis) -> Table {
    let planned: BTreeSet<Sequence> = (analysis.runs.conditions().into_iter())
        .filter_map(|condition| match condition {
            Condition::Frame { sequence, .. } => Some(sequence),
            _ => None,
        })
        .collect();
    let baseline = analysis.runs.baseline.as_deref();
    let own = [
        Column::share("clean", "clean error"),
        Column::share("mfp", "mFP"),
        Column::share("mfp_snow", "mFP with snow"),
        Column::new(
            "mfr",
            format!("mFR by {}", baseline.unwrap_or("the baseline")),
            "%",
            Kind::Number(1),
        ),
    ];
    let each = planned
        .iter()
        .map(|sequence| Column::share(sequence.name(), sequence.name().replace('_', " ")));
    // The worst of branches gives no answer of its own that could change.
    let readings = views(analysis).filter(|view| view.policy != BranchPolicy::Worst && !planned.is_empty());
    let rows = readings.map(|view| {
        let of = |model: &str, policy: BranchPolicy| {
            let (model, matrix) = (analysis.runs.model(model)?, analysis.matrix(model)?);
            Some(Flips::of(
                model,
                matrix,
                policy.on(&model.branches),
                &analysis.columns,
            ))
        };
        let flips = Flips::of(view.model, view.matrix, view.policy, &analysis.columns);
        let source = view.cells(|condition| matches!(condition, Condition::Frame { .. }));
        let base = baseline.and_then(|name| of(name, view.policy));
        let rate = match &base {
            Some(base) => match flips.mean_rate(base, &Sequence::CIFAR_TEN) {
                Ok(rate) => Cell::of(Value::Number(100.0 * rate)),
                Err(unknown) => Cell::of(Value::Absent(unknown)),
            },
            None => Cell::absent("the suite names no baseline"),
        };
        let clean = analysis
            .tally
            .accuracy(view.model, view.policy, &Condition::Clean);
        let cells = [
            Cell::share(
                &clean.map(|accuracy| accuracy.error()),
                &view.source(&Condition::Clean),
            ),
            Cell::share(&flips.mean(&Sequence::CIFAR_TEN), &source),
            Cell::share(&flips.mean(&Sequence::PAPER_TEN), &source),
            rate,
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
