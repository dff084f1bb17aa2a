//! How far robustness to the corruptions of C carries over to those of C-bar.

use super::by_branch::{READ, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::{INTERVAL, MCE};
use crate::metrics::Estimate;
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;
use rlnet_suites::corruption::{BENCHMARK, C_BAR};

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "carried",
    place: Place::Numbers,
    show: Show::Table(carried),
    terms: &[MCE, INTERVAL],
};

/// One row a model and branch policy.
fn carried(analysis: &Analysis) -> Table {
    let own = [
        Column::share("clean", "clean error"),
        Column::share("c", "error on C"),
        Column::share("c_bar", "error on C-bar"),
        Column::new("excess", "C-bar minus C", "points", Kind::Number(1)),
    ];
    let rows = views(analysis).filter_map(|view| {
        let natural = &analysis.triple(&view.model.name, view.policy)?.natural;
        // Without both there is nothing to compare.
        let (Ok(c), Ok(bar)) = (&natural.npa, &natural.bar) else {
            return None;
        };
        let cells = |names: &'static [&str]| {
            view.cells(|condition| matches!(condition, Condition::Corruption { name, .. } if names.contains(&name.as_str())))
        };
        let wrong = |share: &Estimate, source: &str| Cell::share(&Ok(share.error()), source);
        let clean = analysis.tally.accuracy(view.model, view.policy, &Condition::Clean);
        Some(view.row([
            Cell::share(&clean.map(|share| share.error()), &view.source(&Condition::Clean)),
            wrong(c, &cells(&BENCHMARK)),
            wrong(bar, &cells(&C_BAR)),
            Cell::of(Value::Number(100.0 * (c.value - bar.value))),
        ]))
    });
    let text = "Percent wrong with 95 % intervals, mean over corruptions and severities, not divided by any network's. The ten corruptions of \
                C-bar were chosen to be unlike the fifteen of C (Mintun, Kirillov and Xie, NeurIPS 2021): augmentations that resemble C \
                gain less on C-bar.";
    Table::new(
        "carried",
        "From C to C-bar",
        text,
        columns(READ, own),
        rows.collect(),
    )
}
