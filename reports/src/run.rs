//! One run directory, as it lies on the disk: the plan, the finished cells and their rows.
//! Cells that are not finished yet are listed, not an error: a report may be drawn while a
//! run is under way.

use crate::error::ReportError;
use crate::files;
use crate::parquet;
use crate::run_files;
use polars::prelude::*;
use rlnet_suites::corruption::{BENCHMARK, EXTRA};
use rlnet_suites::{Cell, CellRecord, CellSpec, Condition, CurvePoint, NormBanks, Plan};
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
    /// All outcome rows, with the columns `model`, `cell` and those of [`annotate`].
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
        run_files::read_curves(&file)
    }

    /// What a finished evaluation cell probed of a model's gradients; nothing when it did not.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn probe(&self, cell: &Cell) -> Result<Vec<CurvePoint>, ReportError> {
        match &cell.spec {
            CellSpec::Evaluate(spec) if spec.probe => {
                run_files::read_curves(&self.folder(cell).join("probe.parquet"))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Where a finished training cell's mask keeps ReLUs: per layer (`kept/LAYER`) and place, row by
    /// row, the share of channels kept; nothing when it keeps all, or an older program made it.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn mask_map(&self, cell: &Cell) -> Result<Vec<CurvePoint>, ReportError> {
        let file = self.folder(cell).join("mask_map.parquet");
        if !file.is_file() {
            return Ok(Vec::new());
        }
        run_files::read_curves(&file)
    }

    /// How alike a model's activations are to its teacher's, as a finished evaluation cell
    /// compared them; nothing when it did not.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn similarity(&self, cell: &Cell) -> Result<Vec<CurvePoint>, ReportError> {
        match &cell.spec {
            CellSpec::Evaluate(spec) if spec.similarity => {
                run_files::read_curves(&self.folder(cell).join("similarity.parquet"))
            }
            _ => Ok(Vec::new()),
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

    fn read_rows(&self) -> Result<DataFrame, ReportError> {
        let mut frames = Vec::new();
        for record in &self.records {
            if !matches!(record.cell.spec, CellSpec::Evaluate(_)) {
                continue;
            }
            let file = self.folder(&record.cell).join("outcomes.parquet");
            let frame = run_files::read_outcomes(&file)?;
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
            let frame = annotate(frame, &self.conditions, banks, &file)?.lazy();
            frames.push(
                frame.with_columns([lit(model.as_str()).alias("model"), lit(id.as_str()).alias("cell")]),
            );
        }
        if frames.is_empty() {
            let none = annotate(run_files::outcome_frame(&[])?, &[], None, &self.dir)?.lazy();
            frames.push(none.with_columns([lit("").alias("model"), lit("").alias("cell")]));
        }
        concat(&frames, UnionArgs::default())
            .and_then(LazyFrame::collect)
            .map_err(|error| ReportError::make("the table of all outcome rows", error))
    }
}

/// Place of a corruption in the lists of all corruptions; the benchmark's 15 come first.
pub fn corruption_index(name: &str) -> Option<usize> {
    BENCHMARK.iter().chain(&EXTRA).position(|known| *known == name)
}

/// Adds to rows, as whole numbers (groups over texts are several times slower):
///
/// - `right`: 1 when the prediction is the label;
/// - `own`: 1 when the row is of the branch that is meant for its kind of image;
/// - `at`: the condition's place in the plan;
/// - `corruption`, `severity`: place of the corruption and its severity, or 999 and 0;
/// - `slot`, `by_name`, `by_severity`: the image, with each of these three, as one key.
fn annotate(
    frame: DataFrame,
    conditions: &[Condition],
    banks: Option<NormBanks>,
    file: &Path,
) -> Result<DataFrame, ReportError> {
    let polars = |error: PolarsError| ReportError::file(file, error.to_string());
    let known: BTreeMap<String, (usize, &Condition)> = conditions
        .iter()
        .enumerate()
        .map(|(at, condition)| (condition.to_string(), (at, condition)))
        .collect();
    let texts = parquet::strs(&frame, "condition").map_err(polars)?;
    let branches = parquet::strs(&frame, "branch").map_err(polars)?;
    let images = parquet::u32s(&frame, "image").map_err(polars)?;
    let mut small: [Vec<u32>; 4] = Default::default();
    let mut keys: [Vec<u64>; 3] = Default::default();
    for ((text, branch), image) in texts.iter().zip(branches).zip(images) {
        let Some((at, condition)) = known.get(*text) else {
            return Err(ReportError::file(
                file,
                format!(
                    "has rows of `{text}`, which plan.json does not ask for; delete the folder of this cell and run the suite again"
                ),
            ));
        };
        let (corruption, severity) = match condition {
            Condition::Corruption { name, severity } => (corruption_index(name).unwrap_or(999), *severity),
            _ => (999, 0),
        };
        let own = banks.is_none_or(|banks| own_branch(banks, condition).name() == branch);
        let row = [u32::from(own), *at as u32, corruption as u32, u32::from(severity)];
        for (column, value) in small.iter_mut().zip(row) {
            column.push(value);
        }
        for (column, value) in keys.iter_mut().zip(&row[1..]) {
            column.push(u64::from(image) << 16 | u64::from(*value));
        }
    }
    let small = ["own", "at", "corruption", "severity"].into_iter().zip(small);
    let keys = ["slot", "by_name", "by_severity"].into_iter().zip(keys);
    let columns: Vec<Column> = small
        .map(|(name, values)| Column::new(name.into(), values))
        .chain(keys.map(|(name, values)| Column::new(name.into(), values)))
        .collect();
    let right = col("label")
        .eq(col("prediction"))
        .cast(DataType::UInt32)
        .alias("right");
    let frame = frame.hstack(&columns).map_err(polars)?.lazy();
    frame.with_columns([right]).collect().map_err(polars)
}

/// The branch that was trained for a kind of image: what papers read each number through.
pub fn own_branch(banks: NormBanks, condition: &Condition) -> rlnet_suites::Branch {
    use rlnet_suites::view::View;
    banks.branch_of(match condition {
        Condition::Clean => View::Clean,
        Condition::AugMix | Condition::Corruption { .. } => View::Augmix,
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
