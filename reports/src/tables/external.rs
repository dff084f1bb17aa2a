//! Adversarial images from elsewhere, and by how much they lower the numbers of an attack; and what other verifiers
//! prove.

use super::{Cell, Column, Kind, Table};
use crate::analysis::Analysis;
use crate::sections::{Place, Section, Show};
use std::collections::BTreeMap;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "external",
    place: Place::Numbers,
    show: Show::Table(external),
    terms: &[],
};

/// One row an evaluation of images from elsewhere and branch.
fn external(analysis: &Analysis) -> Table {
    let mut rows = Vec::new();
    for run in &analysis.runs.runs {
        for found in &run.external {
            let Some(record) = run.records.iter().find(|record| record.cell.id == found.cell) else {
                continue;
            };
            let mut changed: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
            for row in &found.broken {
                changed.entry(row.branch.name()).or_default()[0] += 1;
            }
            for (_, branch) in &found.proven {
                changed.entry(branch.name()).or_default()[1] += 1;
            }
            for (branch, [broken, proven]) in changed {
                rows.push(vec![
                    Cell::text(&record.cell.model),
                    Cell::text(&record.cell.name),
                    Cell::text(branch),
                    Cell::text(&found.source),
                    Cell::integer(broken),
                    Cell::integer(proven),
                    Cell::integer(u64::from(found.images)),
                    Cell::text(&found.checksum[..found.checksum.len().min(12)]),
                ]);
            }
        }
    }
    Table::new(
        "external",
        "Images and verdicts from elsewhere",
        "Adversarial images that others made, in the ball of an attack of this run, and verdicts of other verifiers, in the ball of a certificate. What they break counts as broken by that attack in every number of this report, what they prove as certified; broken or proven beside it: images that the attack itself did not break, or the certificate itself did not prove.",
        vec![
            Column::text("model", "Model"),
            Column::text("cell", "Beside"),
            Column::text("branch", "Branch"),
            Column::text("source", "Source"),
            Column::new("broken", "Broken beside it", "images", Kind::Integer),
            Column::new("proven", "Proven beside it", "images", Kind::Integer),
            Column::integer("images", "Images"),
            Column::text("file", "File"),
        ],
        rows,
    )
}
