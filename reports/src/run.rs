//! One run directory, as it lies on the disk: the plan, the finished cells and their rows.
//! Cells that are not finished yet are listed, not an error: a report may be drawn while a
//! run is under way.

use crate::columns::{self, Record};
use crate::error::ReportError;
use crate::files;
use polars::prelude::*;
use rlnet_suites::external::{ExternalEvaluation, ExternalRow, FOLDER};
use rlnet_suites::{Cell, CellRecord, CellSpec, Condition, NormBanks, Outcome, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A run directory.
#[derive(Debug, Clone)]
pub struct Run {
    /// The folder.
    pub dir: PathBuf,
    /// What was to be done.
    pub plan: Plan,
    /// The finished cells, in the plan's order.
    pub records: Vec<CellRecord>,
    /// The cells that are not finished, in the plan's order.
    pub missing: Vec<Cell>,
    /// Every planned condition, in the plan's order.
    pub conditions: Vec<Condition>,
    /// Evaluations of images from elsewhere, beside cells of attacks.
    pub external: Vec<ExternalEvaluation>,
    /// All outcome rows, with the columns `model` and `cell`. What images from elsewhere broke is broken.
    pub outcomes: DataFrame,
}

impl Run {
    /// Reads a run directory.
    ///
    /// # Errors
    /// When the folder is not a run, or a file of a finished cell is missing or damaged.
    pub fn load(dir: &Path) -> Result<Self, ReportError> {
        let plan_file = dir.join("plan.json");
        if !plan_file.is_file() {
            return Err(ReportError::NotARun { path: dir.to_owned() });
        }
        let plan: Plan = json(&plan_file)?;
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for cell in &plan.cells {
            let file = dir.join("cells").join(&cell.id.0).join("cell.json");
            if !file.is_file() {
                missing.push(cell.clone());
                continue;
            }
            let mut record: CellRecord = json(&file)?;
            if record.cell.id != cell.id {
                return Err(ReportError::file(
                    &file,
                    format!(
                        "records cell {}, but lies in the folder of cell {}; delete that folder and run the suite again",
                        record.cell.id, cell.id
                    ),
                ));
            }
            // Names are labels and no part of a cell's identity: a cell shared with another
            // suite may be recorded under that suite's name for it.
            record.cell.name.clone_from(&cell.name);
            record.cell.model.clone_from(&cell.model);
            records.push(record);
        }
        let mut conditions: Vec<Condition> = Vec::new();
        let mut seen: BTreeSet<&Condition> = BTreeSet::new();
        for cell in &plan.cells {
            if let CellSpec::Evaluate(spec) = &cell.spec {
                let all = spec.conditions.iter();
                conditions.extend(all.filter(|condition| seen.insert(*condition)).cloned());
            }
        }
        let mut run = Self {
            dir: dir.to_owned(),
            plan,
            records,
            missing,
            conditions,
            external: external(dir)?,
            outcomes: DataFrame::empty(),
        };
        run.outcomes = run.read_rows()?;
        Ok(run)
    }

    /// The folder of a cell.
    pub fn folder(&self, cell: &Cell) -> PathBuf {
        self.dir.join("cells").join(&cell.id.0)
    }

    /// Records that a finished cell kept in a file of its folder; none when it kept none.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn kept<R: Record>(&self, cell: &Cell, file: &str) -> Result<Vec<R>, ReportError> {
        let file = self.folder(cell).join(file);
        if file.is_file() {
            columns::read_records(&file)
        } else {
            Ok(Vec::new())
        }
    }

    /// Banks of batch norm of a model: as trained, else as planned.
    pub fn banks(&self, model: &str) -> Option<NormBanks> {
        // An imported network has no training cell: its evaluations say what it is.
        let mut recorded = self.records.iter().filter(|record| record.cell.model == model);
        let planned = self.plan.cells.iter().find(|cell| cell.name == model);
        recorded
            .find_map(|record| record.model.as_ref().map(|model| model.norm))
            .or_else(|| match &planned?.spec {
                CellSpec::Train(spec) => Some(spec.norm),
                CellSpec::Evaluate(_) => None,
            })
    }

    /// The rows of all finished evaluations in one frame.
    fn read_rows(&self) -> Result<DataFrame, ReportError> {
        let failed = |error| ReportError::make("the table of all outcome rows", error);
        let planned: BTreeSet<String> = self.conditions.iter().map(ToString::to_string).collect();
        // Without a finished cell there are the columns alone.
        let mut frames = vec![labelled(
            Outcome::<Condition>::frame(&[]).map_err(failed)?,
            "",
            "",
        )];
        for record in &self.records {
            if !matches!(record.cell.spec, CellSpec::Evaluate(_)) {
                continue;
            }
            let file = self.folder(&record.cell).join("outcomes.parquet");
            let mut frame = columns::read_frame::<Outcome>(&file)?;
            let rows = frame.height();
            if rows as u64 != record.rows {
                return Err(ReportError::file(
                    &file,
                    format!(
                        "holds {rows} rows where cell.json says {}; delete the folder of this cell and run the suite again",
                        record.rows
                    ),
                ));
            }
            let texts = frame.column("condition").and_then(Column::str).map_err(failed)?;
            let texts: BTreeSet<&str> = texts.iter().flatten().collect();
            if let Some(text) = texts.into_iter().find(|text| !planned.contains(*text)) {
                return Err(ReportError::file(
                    &file,
                    format!(
                        "has rows of `{text}`, which plan.json does not ask for; delete the folder of this cell and run the suite again"
                    ),
                ));
            }
            let beside = || self.external.iter().filter(|found| found.cell == record.cell.id);
            let broken: Vec<&ExternalRow> = beside().flat_map(|found| &found.broken).collect();
            let proven: BTreeSet<_> = beside().flat_map(|found| found.proven.iter().copied()).collect();
            if !broken.is_empty() || !proven.is_empty() {
                let mut rows: Vec<Outcome> = columns::read_records(&file)?;
                lower(&mut rows, &broken);
                raise(&mut rows, &proven);
                frame = Outcome::frame(&rows).map_err(failed)?;
            }
            frames.push(labelled(frame, &record.cell.model, &record.cell.id.0));
        }
        // In one piece: each filter of a frame in as many pieces as there are cells visits them all.
        let whole = UnionArgs {
            rechunk: true,
            ..UnionArgs::default()
        };
        concat(&frames, whole)
            .and_then(LazyFrame::collect)
            .map_err(failed)
    }
}

/// The evaluations of images from elsewhere that a run keeps, in the order of their files' names.
fn external(run: &Path) -> Result<Vec<ExternalEvaluation>, ReportError> {
    let Ok(entries) = std::fs::read_dir(run.join(FOLDER)) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort();
    files.iter().map(|file| json(file)).collect()
}

/// Writes over the rows of images that fell to images from elsewhere and not to the attack.
fn lower(rows: &mut [Outcome], broken: &[&ExternalRow]) {
    let by_image: BTreeMap<_, _> = (broken.iter())
        .map(|row| ((row.image, row.branch), row))
        .collect();
    for row in rows {
        if let Some(found) = by_image.get(&(row.image, row.branch))
            && row.prediction == row.label
        {
            (row.prediction, row.rounded, row.norm) = (found.prediction, found.rounded, found.norm);
        }
    }
}

/// Writes over the rows of images that a certificate left open and another verifier proved.
fn raise(rows: &mut [Outcome], proven: &BTreeSet<(u32, rlnet_suites::Branch)>) {
    for row in rows {
        if row.prediction == row.label && proven.contains(&(row.image, row.branch)) {
            // By how much is not known.
            row.margin = row.margin.max(f32::MIN_POSITIVE);
        }
    }
}

/// Rows with the columns `model` and `cell`.
fn labelled(frame: DataFrame, model: &str, cell: &str) -> LazyFrame {
    frame
        .lazy()
        .with_columns([lit(model).alias("model"), lit(cell).alias("cell")])
}

/// The branch that was trained for a kind of image: what papers read each number through.
pub fn own_branch(banks: NormBanks, condition: &Condition) -> rlnet_suites::Branch {
    use rlnet_suites::view::View;
    banks.branch_of(match condition {
        Condition::Clean => View::Clean,
        Condition::AugMix | Condition::Corruption { .. } | Condition::Frame { .. } => View::Augmix,
        Condition::Attack(_) | Condition::Certify(_) => View::Adversarial,
    })
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ReportError> {
    serde_json::from_slice(&files::read(path)?).map_err(|error| {
        ReportError::file(
            path,
            format!("not readable ({error}); it may come from another version of the program"),
        )
    })
}
