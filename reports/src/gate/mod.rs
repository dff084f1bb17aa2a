//! A gate between two runs: what got worse, beyond chance and by how much; which images
//! flipped; and what the identities of weights, attacks, data and machines say of the cause.
//!
//! `check` is the nouns, `decide` the statistics, `pairs` the questions, `cause` the identities, `text` the words.

mod cause;
mod check;
mod decide;
mod pairs;
mod text;

pub use cause::Change;
pub use check::{Cause, Check, Limits, Question};
pub use decide::decide;

use crate::error::ReportError;
use crate::metrics::Grid;
use crate::runs::Runs;
use rlnet_suites::Gate;
use std::path::{Path, PathBuf};

/// What a gate says of two runs.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The gate.
    pub gate: Gate,
    /// The older run.
    pub base: PathBuf,
    /// The newer run.
    pub current: PathBuf,
    /// Every question that was asked.
    pub checks: Vec<Check>,
    /// What differs between the runs besides answers, over all models.
    pub changes: Vec<Change>,
    /// Why the gate tripped, one line each; none when it did not.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Whether the gate tripped.
    pub fn tripped(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// Markdown summary.
    pub fn markdown(&self) -> String {
        text::markdown(self)
    }

    /// `JUnit` XML: one test case a question.
    pub fn junit(&self) -> String {
        text::junit(self)
    }

    /// Everything, with every flipped image.
    pub fn json(&self) -> serde_json::Value {
        text::json(self)
    }

    /// Writes the `JUnit` file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_junit(&self, path: &Path) -> Result<(), ReportError> {
        crate::files::write_atomic(path, self.junit().as_bytes())
    }
}

/// One run of the two.
pub(crate) struct Side {
    pub(crate) runs: Runs,
    pub(crate) grids: Vec<Grid>,
}

impl Side {
    fn load(dir: &Path) -> Result<Self, ReportError> {
        let runs = Runs::load(&[dir.to_owned()])?;
        let grids = runs.models.iter().map(Grid::of).collect::<Result<_, _>>()?;
        Ok(Self { runs, grids })
    }
}

/// Compares a newer run with an older one.
///
/// # Errors
/// When a folder is not a run, a file is damaged, or the runs share no model.
pub fn compare(base: &Path, current: &Path, gate: &Gate) -> Result<Verdict, ReportError> {
    let (old, new) = (Side::load(base)?, Side::load(current)?);
    let shared = |name: &str| new.runs.model(name).is_some();
    if !old.runs.models.iter().any(|model| shared(&model.name)) {
        return Err(ReportError::Unfit {
            what: format!("{} against {}", current.display(), base.display()),
            message: "they evaluate no model of the same name".into(),
        });
    }
    let (questions, mut reasons) = pairs::questions(&old, &new, gate);
    let changes = cause::changes(&old, &new);
    let data: Vec<&Change> = changes
        .iter()
        .filter(|change| change.cause == Cause::Data)
        .collect();
    reasons.extend(data.iter().map(|change| format!("drifted data: {}", change.what)));
    let mut checks = decide(questions, gate.level);
    for check in &mut checks {
        if check.moved() {
            check.causes = cause::explain(&old, &new, check);
        }
        if let Some(reason) = check.reason() {
            reasons.push(reason);
        }
    }
    reasons.extend(cause::flips(&old, &new, gate));
    Ok(Verdict {
        gate: gate.clone(),
        base: base.to_owned(),
        current: current.to_owned(),
        checks,
        changes,
        reasons,
    })
}
