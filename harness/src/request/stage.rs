//! A single training stage: the finished cells it builds on, found and checked.

use super::cells::{FinishedCell, find};
use crate::error::{Error, Result};
use rlnet_suites::published;
use rlnet_suites::single_stage::{Images, NAME, SingleStage};
use rlnet_suites::train::{Allocation, Budget, ImportedMask, Stage};
use rlnet_suites::{CellId, Plan};
use std::path::{Path, PathBuf};

/// A requested stage, and the finished cells it builds on, parents first.
pub struct StageRequest {
    /// The stage.
    pub hand: SingleStage,
    /// The cells.
    pub above: Vec<FinishedCell>,
}

impl StageRequest {
    /// A stage that builds on nothing yet, of images that are still to be named.
    pub fn new(stage: Stage) -> Self {
        let images = Images {
            dataset: String::new(),
            train: None,
            test: None,
            validation: None,
        };
        Self {
            hand: SingleStage::new(stage, images),
            above: Vec::new(),
        }
    }

    /// Builds on this teacher.
    ///
    /// # Errors
    /// When there is no such cell, or it is another stage.
    pub fn teacher(&mut self, text: &str) -> Result<()> {
        let found = find(text, "--teacher")?;
        let stage = found.spec()?.stage;
        if stage != Stage::Teacher {
            return Err(Error::Usage(format!(
                "--teacher {text}: it is a {} stage; name a teacher (rlnet train teacher)",
                stage.name()
            )));
        }
        self.hand.teacher = Some(self.add(found)?);
        Ok(())
    }

    /// Takes the units of a search, by its cell, or of a mask in a file.
    ///
    /// # Errors
    /// When there is no such cell or file, it is another stage, or a file comes without a teacher.
    pub fn mask(&mut self, text: &str) -> Result<()> {
        let path = Path::new(text);
        let in_cell = path
            .parent()
            .is_some_and(|folder| folder.join("cell.json").exists());
        if path.is_file() && !in_cell {
            if self.hand.teacher.is_none() {
                return Err(Error::Usage(format!(
                    "--mask {text}: a mask file has no teacher; name one with --teacher CELL"
                )));
            }
            let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
            // A suite is read anywhere.
            let path = std::path::absolute(path).map_err(|error| Error::reading(path, error))?;
            self.hand.imported = Some(ImportedMask {
                path: path.display().to_string(),
                blake3: blake3::hash(&bytes).to_hex().to_string(),
            });
            return Ok(());
        }
        let found = find(text, "--mask")?;
        let stage = found.spec()?.stage;
        if !stage.is_search() {
            return Err(Error::Usage(format!(
                "--mask {text}: it is a {} stage; name a mask or snl stage (rlnet train mask), or a mask file \
                 (rlnet export MODEL --format mask)",
                stage.name()
            )));
        }
        let id = self.add(found)?;
        match self.hand.teacher {
            Some(_) => self.hand.units = Some(id),
            None => self.hand.mask = Some(id),
        }
        Ok(())
    }

    /// Keeps a budget's units, or those of a published list.
    ///
    /// # Errors
    /// When it is neither.
    pub fn keep(&mut self, text: &str) -> Result<()> {
        let name = text.strip_prefix("published:").unwrap_or(text);
        if let Ok(list) = published::find(name) {
            self.hand.allocation = Some(Allocation::Published(list));
            return Ok(());
        }
        let why = "nor is it a published list (rlnet model budgets)";
        let budget = text.parse::<Budget>();
        self.hand.budget = Some(budget.map_err(|error| Error::Usage(format!("--{error}; {why}")))?);
        Ok(())
    }

    /// Adds a cell with all it builds on, and gives its id.
    fn add(&mut self, found: FinishedCell) -> Result<CellId> {
        let id = found.record.cell.id.clone();
        if self.above.iter().any(|other| other.record.cell.id == id) {
            return Ok(id);
        }
        for parent in &found.record.cell.parents {
            let folder = found.folder.with_file_name(&parent.0);
            let parent = find(&folder.display().to_string(), "what it builds on")?;
            self.add(parent)?;
        }
        self.above.push(found);
        Ok(id)
    }

    /// Where the cell goes: beside what it builds on.
    pub fn out(&self) -> PathBuf {
        let beside = self
            .above
            .last()
            .and_then(|found| found.folder.parent()?.parent());
        match beside {
            Some(run) if run.as_os_str().is_empty() => PathBuf::from("."),
            Some(run) => run.to_path_buf(),
            None => Path::new("out").join(NAME),
        }
    }

    /// Refuses cells that this program would not make again as they are: the suite would train them
    /// anew, and the stage would build on others than were named.
    ///
    /// # Errors
    /// At the first of them, with the reason.
    pub fn are_known(&self, plan: &Plan) -> Result<()> {
        for found in &self.above {
            let cell = &found.record.cell;
            if plan.cells.iter().any(|planned| planned.id == cell.id) {
                continue;
            }
            let twin = plan.cells.iter().find(|planned| planned.spec == cell.spec);
            let data = &cell.data;
            let why = match twin.map(|twin| &twin.data) {
                Some(now) if now.checksum != data.checksum => format!(
                    "it was trained on other images of {} than are found now (--data-dir); train it again",
                    data.dataset
                ),
                Some(now) if now != data => "it was trained on another number of images than the teacher; \
                                             train both on as many"
                    .to_owned(),
                _ => {
                    "it is of another version of the program, whose results differ; train it again".to_owned()
                }
            };
            return Err(Error::Usage(format!("{}: {why}", found.folder.display())));
        }
        Ok(())
    }
}
