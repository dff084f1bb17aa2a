//! Whether confidence can be believed.

use super::by_branch::{READ, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::ECE;
use crate::metrics::calibration::{BINS, Calibration};
use crate::metrics::{BranchPolicy, Quantity};
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "calibration",
    place: Place::Numbers,
    show: Show::Table(calibration),
    terms: &[ECE],
};

/// One row a model, branch policy and kind of image.
fn calibration(analysis: &Analysis) -> Table {
    let percent = |key: &str, head: &str| Column::new(key, head, "%", Kind::Number(1));
    let own = [
        Column::text("images", "Images"),
        percent("accuracy", "Correct"),
        percent("confidence", "Mean confidence"),
        Column::new("ece", "ECE", "points", Kind::Number(1)),
        Column::new("loss", "Mean loss", "nats", Kind::Number(3)),
        Column::integer("answers", "Answers"),
        Column::integer("left_out", "Left out"),
    ];
    let kinds = kinds(analysis);
    let rows = views(analysis)
        .filter(|view| view.policy != BranchPolicy::Worst)
        .flat_map(|view| {
            let row = move |(kind, conditions): &(ImageKind, Vec<Condition>)| {
                let found = Calibration::of(view.matrix, view.policy, conditions)?;
                let number = |value: f64| Cell::of(Value::Number(value));
                Some(view.row([
                    Cell::text(kind.name()),
                    number(100.0 * found.accuracy()),
                    number(100.0 * found.confidence()),
                    number(100.0 * found.ece()),
                    number(found.loss),
                    Cell::integer(found.answers()),
                    Cell::integer(found.left_out),
                ]))
            };
            kinds.iter().filter_map(row).collect::<Vec<_>>()
        });
    Table::new(
        "calibration",
        "Whether confidence can be believed",
        format!(
            "ECE is that of the predicted class, over {BINS} bins of equal width. Confidence is worked out from each row's loss and margin and is exact for the predicted class; rows keep no other class's probability, so there is no Brier score. Left out: answers with an infinite loss.‹ The worst of branches has no confidence of its own.›"
        ),
        columns(READ, own),
        rows.collect(),
    )
}

/// A kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageKind {
    /// Unchanged test images.
    Clean,
    /// The corruptions of the benchmark.
    Corrupted,
    /// Images under the main attack.
    Attacked,
}

impl ImageKind {
    /// What the images are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Corrupted => "corrupted",
            Self::Attacked => "attacked",
        }
    }

    /// What accuracy on them is called.
    pub(crate) fn measure(self) -> &'static str {
        match self {
            Self::Clean => "CA",
            Self::Corrupted => "NPA",
            Self::Attacked => "AdvA",
        }
    }
}

/// Kinds of images, with their conditions.
pub(crate) fn kinds(analysis: &Analysis) -> Vec<(ImageKind, Vec<Condition>)> {
    let corrupted = analysis.columns.set(&Quantity::Npa);
    let corrupted = corrupted.map(|set| set.conditions.iter().cloned().collect());
    let attack = analysis.runs.headline.clone().map(Condition::Attack);
    [
        (ImageKind::Clean, vec![Condition::Clean]),
        (ImageKind::Corrupted, corrupted.unwrap_or_default()),
        (ImageKind::Attacked, attack.into_iter().collect()),
    ]
    .into_iter()
    .filter(|(_, conditions): &(_, Vec<Condition>)| !conditions.is_empty())
    .collect()
}
