//! Adversarial images from elsewhere, and by how much they lower the numbers of an attack.

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
            let mut broken: BTreeMap<&str, u64> = BTreeMap::new();
            for row in &found.broken {
                *broken.entry(row.branch.name()).or_default() += 1;
            }
            for (branch, count) in broken {
                rows.push(vec![
                    Cell::text(&record.cell.model),
                    Cell::text(&record.cell.name),
                    Cell::text(branch),
                    Cell::text(&found.source),
                    Cell::integer(count),
                    Cell::integer(u64::from(found.images)),
                    Cell::text(&found.checksum[..found.checksum.len().min(12)]),
                ]);
            }
        }
    }
    Table::new(
        "external",
        "Images from elsewhere",
        "Adversarial images that others made, in the ball of an attack of this run. What they break counts as broken by that attack in every number of this report; broken beside it: images that the attack itself did not break.",
        vec![
            Column::text("model", "Model"),
            Column::text("cell", "Beside"),
            Column::text("branch", "Branch"),
            Column::text("source", "Source"),
            Column::new("broken", "Broken beside it", "images", Kind::Integer),
            Column::integer("images", "Images"),
            Column::text("file", "File"),
        ],
        rows,
    )
}
