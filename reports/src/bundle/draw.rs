//! Which images a bundle shows. The draw follows from the rows' checksums: nobody can choose the images and keep the
//! rows, and whoever changes a row has to show other images.

use crate::columns::read_records;
use crate::error::ReportError;
use crate::run::Run;
use rlnet_suites::io::checksum;
use rlnet_suites::{CellRecord, CellSpec, Condition, Outcome};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The finished cells of attacks, in the plan's order.
pub fn attacked(run: &Run) -> impl Iterator<Item = &CellRecord> {
    run.records.iter().filter(|record| match &record.cell.spec {
        CellSpec::Evaluate(spec) => spec
            .conditions
            .iter()
            .any(|condition| matches!(condition, Condition::Attack(_))),
        CellSpec::Train(_) => false,
    })
}

/// `count` of the images that every attack was tried on (of a run without attacks: every cell), in the order in which
/// they were drawn; fewer where there are fewer.
///
/// # Errors
/// When rows cannot be read.
pub fn draw(run: &Run, count: usize) -> Result<Vec<u32>, ReportError> {
    let evaluated = run
        .records
        .iter()
        .filter(|record| matches!(record.cell.spec, CellSpec::Evaluate(_)));
    let evaluated: Vec<&CellRecord> = evaluated.collect();
    let attacked: Vec<&CellRecord> = attacked(run).collect();
    let shown = if attacked.is_empty() {
        &evaluated
    } else {
        &attacked
    };
    let mut common: Option<BTreeSet<u32>> = None;
    for record in shown {
        let rows: Vec<Outcome<Arc<Condition>>> =
            read_records(&run.folder(&record.cell).join("outcomes.parquet"))?;
        let own: BTreeSet<u32> = rows.iter().map(|row| row.image).collect();
        common = Some(match common {
            Some(common) => common.intersection(&own).copied().collect(),
            None => own,
        });
    }
    let sums = evaluated.iter().map(|record| {
        let rows = record.provenance.files.get("outcomes.parquet");
        format!("{} {}\n", record.cell.id, rows.map_or("", String::as_str))
    });
    let mut sums: Vec<String> = sums.collect();
    sums.sort_unstable();
    let seed = checksum(sums.concat().as_bytes());
    let mut ranked: Vec<(String, u32)> = common
        .unwrap_or_default()
        .into_iter()
        .map(|image| (checksum(format!("{seed} {image}").as_bytes()), image))
        .collect();
    ranked.sort_unstable();
    Ok(ranked.into_iter().take(count).map(|(_, image)| image).collect())
}
