//! Whether the rows of a run can be rows: what was planned, each once, and nothing that contradicts anything else.

use crate::columns::read_records;
use crate::error::ReportError;
use crate::files;
use crate::run::Run;
use rlnet_suites::attack::is_inside;
use rlnet_suites::io::checksum;
use rlnet_suites::{Branch, CellRecord, CellSpec, Condition, EvaluateSpec, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Row = Outcome<Arc<Condition>>;

/// What rows of one run must agree on.
#[derive(Default)]
pub(super) struct Known {
    /// Class of each image.
    labels: BTreeMap<u32, u16>,
    /// Images that a model has wrong through a branch, before any attack.
    wrong: BTreeSet<(String, Branch, u32)>,
    /// Rows looked at.
    pub(super) rows: usize,
}

/// Everything that is wrong with the rows of a run, a sentence each, at most one a cell.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn contradictions(run: &Run) -> Result<(Vec<String>, Known), ReportError> {
    let (mut found, mut known) = (Vec::new(), Known::default());
    // Clean rows come first in every plan.
    for record in &run.records {
        let CellSpec::Evaluate(spec) = &record.cell.spec else {
            continue;
        };
        let path = run.folder(&record.cell).join("outcomes.parquet");
        let said = record.provenance.files.get("outcomes.parquet");
        if said.is_none_or(|said| *said != checksum(&files::read(&path).unwrap_or_default())) {
            found.push(format!(
                "{}: its rows have another checksum than its record says",
                record.cell.name
            ));
        }
        let rows: Vec<Row> = read_records(&path)?;
        if let Err(why) = known.add(record, spec, &rows) {
            found.push(format!("{}: {why}", record.cell.name));
        }
    }
    Ok((found, known))
}

impl Known {
    fn add(&mut self, record: &CellRecord, spec: &EvaluateSpec, rows: &[Row]) -> Result<(), String> {
        self.rows += rows.len();
        let mut seen: BTreeSet<(&Condition, Branch, u32)> = BTreeSet::new();
        let (mut images, mut branches) = (BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let at = || format!("image {}, branch {}, {}", row.image, row.branch, row.condition);
            if !spec.conditions.contains(&row.condition) {
                return Err(format!("{}: not a condition of this cell", at()));
            }
            if !seen.insert((&row.condition, row.branch, row.image)) {
                return Err(format!("{}: two rows", at()));
            }
            images.insert(row.image);
            branches.insert(row.branch);
            self.row(record, row).map_err(|why| format!("{}: {why}", at()))?;
        }
        let whole = images.len() * branches.len() * spec.conditions.len();
        if whole != rows.len() {
            return Err(format!(
                "{} rows, where {} images, {} branches and {} conditions make {whole}",
                rows.len(),
                images.len(),
                branches.len(),
                spec.conditions.len()
            ));
        }
        match spec.images.or(record.cell.data.test) {
            Some(planned) if planned as usize != images.len() => {
                Err(format!("{} images, where {planned} were planned", images.len()))
            }
            _ => Ok(()),
        }
    }

    fn row(&mut self, record: &CellRecord, row: &Row) -> Result<(), String> {
        let label = *self.labels.entry(row.image).or_insert(row.label);
        if label != row.label {
            return Err(format!("label {}, elsewhere {label}", row.label));
        }
        let classes = record.provenance.classes;
        if classes > 0 && u32::from(label) >= classes {
            return Err(format!("label {label} of {classes} classes"));
        }
        let right = row.prediction == row.label;
        // A margin of zero is a tie, which goes to the lower class.
        if right && row.margin < 0.0 || !right && row.margin > 0.0 {
            return Err(format!(
                "prediction {} of label {label} contradicts the margin {}",
                row.prediction, row.margin
            ));
        }
        let key = || (record.cell.model.clone(), row.branch, row.image);
        let Condition::Attack(attack) = row.condition.as_ref() else {
            if row.norm != 0.0 {
                return Err(format!(
                    "perturbed by {}, although its condition has no attack",
                    row.norm
                ));
            }
            if *row.condition == Condition::Clean && !right {
                self.wrong.insert(key());
            }
            return Ok(());
        };
        if attack.base().is_none() && attack.eot() == 1 && right && self.wrong.contains(&key()) {
            return Err("right under attack and wrong before it".to_owned());
        }
        match attack.radius() {
            Some(radius) if !within(f64::from(row.norm), radius) => {
                Err(format!("perturbed by {}, outside the radius {radius}", row.norm))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a length lies within a radius, but for the arithmetic.
pub(super) fn within(length: f64, radius: f64) -> bool {
    length >= 0.0 && is_inside(length, radius)
}
