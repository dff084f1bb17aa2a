//! One run directory, as it lies on the disk: the plan, the finished cells and their rows.
//! Cells that are not finished yet are listed, not an error: a report may be drawn while a
//! run is under way.

use crate::error::ReportError;
use crate::files;
use crate::store;
use polars::prelude::*;
use rlnet_suites::{Cell, CellRecord, CellSpec, Condition, CurvePoint, NormBanks, Plan};
use std::collections::BTreeMap;
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
    /// All outcome rows, with the columns `model`, `cell`, `kind`, `corruption`, `severity`,
    /// `right` (1 when the prediction is the label) and `own` (1 when the row is of the
    /// branch that is meant for its kind of image).
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
        let mut run = Self {
            dir: dir.to_owned(),
            plan,
            records,
            missing,
            outcomes: DataFrame::empty(),
        };
        run.outcomes = run.read_rows()?;
        Ok(run)
    }

    /// The folder of a cell.
    pub fn folder(&self, cell: &Cell) -> PathBuf {
        self.dir.join("cells").join(&cell.id.0)
    }

    /// The curves of a finished training cell; none when it kept none.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn curves(&self, cell: &Cell) -> Result<Vec<CurvePoint>, ReportError> {
        let file = self.folder(cell).join("train.parquet");
        if !file.is_file() {
            return Ok(Vec::new());
        }
        store::read_curves(&file)
    }

    /// Banks of batch norm of a model: as trained, else as planned.
    pub fn banks(&self, model: &str) -> Option<NormBanks> {
        let recorded = self.records.iter().find(|record| record.cell.name == model);
        let planned = self.plan.cells.iter().find(|cell| cell.name == model);
        recorded
            .and_then(|record| record.model.as_ref().map(|model| model.norm))
            .or_else(|| match &planned?.spec {
                CellSpec::Train(spec) => Some(spec.norm),
                CellSpec::Evaluate(_) => None,
            })
    }

    fn read_rows(&self) -> Result<DataFrame, ReportError> {
        let mut frames = Vec::new();
        for record in &self.records {
            if !matches!(record.cell.spec, CellSpec::Evaluate(_)) {
                continue;
            }
            let file = self.folder(&record.cell).join("outcomes.parquet");
            let frame = store::read_outcomes(&file)?;
            if frame.height() as u64 != record.rows {
                return Err(ReportError::file(
                    &file,
                    format!(
                        "holds {} rows where cell.json says {}; delete the folder of this cell and run the suite again",
                        frame.height(),
                        record.rows
                    ),
                ));
            }
            let banks = self.banks(&record.cell.model);
            let (model, id) = (&record.cell.model, &record.cell.id.0);
            frames.push(annotate(frame, model, id, banks, &file)?.lazy());
        }
        if frames.is_empty() {
            return annotate(store::outcome_frame(&[])?, "", "", None, &self.dir);
        }
        concat(&frames, UnionArgs::default())
            .and_then(LazyFrame::collect)
            .map_err(|error| ReportError::make("the table of all outcome rows", error))
    }
}

/// Adds what a cell knows of its rows.
fn annotate(
    frame: DataFrame,
    model: &str,
    id: &str,
    banks: Option<NormBanks>,
    file: &Path,
) -> Result<DataFrame, ReportError> {
    let mut parsed: BTreeMap<String, Condition> = BTreeMap::new();
    let polars = |error: PolarsError| ReportError::file(file, error.to_string());
    let texts = store::strs(&frame, "condition").map_err(polars)?;
    for text in &texts {
        if !parsed.contains_key(*text) {
            let condition = text
                .parse()
                .map_err(|error| ReportError::file(file, format!("{error}")))?;
            parsed.insert((*text).to_owned(), condition);
        }
    }
    let branches = store::strs(&frame, "branch").map_err(polars)?;
    let mut kind = Vec::with_capacity(texts.len());
    let mut corruption = Vec::with_capacity(texts.len());
    let mut severity = Vec::with_capacity(texts.len());
    let mut own = Vec::with_capacity(texts.len());
    for (text, branch) in texts.iter().zip(branches) {
        let condition = &parsed[*text];
        let (of, name, level) = match condition {
            Condition::Clean => ("clean", "", 0),
            Condition::Corruption { name, severity } => ("corruption", name.as_str(), *severity),
            Condition::Attack(_) => ("attack", "", 0),
        };
        kind.push(of);
        corruption.push(name);
        severity.push(u32::from(level));
        own.push(u32::from(banks.is_none_or(|banks| own_branch(banks, condition).name() == branch)));
    }
    let columns = [
        Column::new("kind".into(), kind),
        Column::new("corruption".into(), corruption),
        Column::new("severity".into(), severity),
        Column::new("own".into(), own),
    ];
    let frame = frame.hstack(&columns).map_err(polars)?;
    frame
        .lazy()
        .with_columns([
            col("label").eq(col("prediction")).cast(DataType::UInt32).alias("right"),
            lit(model).alias("model"),
            lit(id).alias("cell"),
        ])
        .collect()
        .map_err(polars)
}

/// The branch that was trained for a kind of image: what papers read each number through.
pub fn own_branch(banks: NormBanks, condition: &Condition) -> rlnet_suites::Branch {
    use rlnet_suites::train::View;
    banks.branch_of(match condition {
        Condition::Clean => View::Clean,
        Condition::Corruption { .. } => View::Augmix,
        Condition::Attack(_) => View::Adversarial,
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
