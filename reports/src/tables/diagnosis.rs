//! Whether robust numbers can be trusted: the checklist, item by item.

use super::by_branch::ATTACKED;
use super::{Cell, Column, Table};
use crate::analysis::Analysis;
use crate::glossary::ADVA;
use crate::metrics::BranchPolicy;
use crate::metrics::diagnosis::{BEATEN, BEYOND_CHANCE, SLACK, ZERO_GRADIENTS};
use crate::sections::{Place, Section, Show};
use rlnet_suites::attack::headline::UNBOUNDED;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "diagnosis",
    place: Place::Numbers,
    show: Show::Table(diagnosis),
    terms: &[ADVA],
};

/// One row a model, branch and item, for those that were diagnosed.
pub fn diagnosis(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("reading", ATTACKED),
        Column::text("item", "Question"),
        Column::text("state", "Answer"),
        Column::text("figure", "Figure"),
    ];
    let mut rows = Vec::new();
    for diagnosis in analysis
        .diagnoses
        .iter()
        .filter(|diagnosis| diagnosis.was_asked())
    {
        let policy = BranchPolicy::Fixed(diagnosis.branch).label();
        let mut add = |item: &str, state: &str, figure: &str| {
            rows.push(
                [&diagnosis.model, &policy, item, state, figure]
                    .map(Cell::text)
                    .to_vec(),
            );
        };
        for item in &diagnosis.items {
            add(item.asks, item.state.name(), &item.figure);
        }
        let lower = diagnosis.stronger.as_ref();
        let lower = lower.map_or(String::new(), |stronger| stronger.said(&analysis.names));
        add("Verdict", diagnosis.verdict.name(), &lower);
    }
    Table::new(
        "diagnosis",
        "Can the robust number be trusted?",
        format!(
            "The checklist of gradient masking (Athalye et al. 2018; Carlini et al. 2019). Pairs of conditions are compared image by image with McNemar's exact test; a pair fails when the condition that should be the stronger leaves more images right, with a p-value below {BEYOND_CHANCE} divided by the number of pairs of this report. AdvA fails when another attack of its norm, at a radius no larger, leaves at least {} points fewer images right (p below {BEYOND_CHANCE}); what leaves fewer at all is named. A search of radius {UNBOUNDED} or more may turn any image into the same grey one: what is left then must be at most 1 / classes. Gradients may be exactly zero on {} % of clean images and never be no number, and no attack may be without a gradient to follow on more images than that; the loss must rise along PGD's 20 steps and end below its highest by at most {} % of its rise. Suspicious: an item fails. Trustworthy: none fails, and all but the transfers and the DLR loss were run. Passing does not prove robustness; it says that these signs of masking are not there.",
            100.0 * BEATEN,
            100.0 * ZERO_GRADIENTS,
            100.0 * SLACK
        ),
        columns,
        rows,
    )
}
