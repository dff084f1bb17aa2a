//! A gate between two runs: what got worse, beyond chance and by how much; which images
//! flipped; and what the identities of weights, attacks, data and machines say of the cause.
//!
//! `check` is the nouns, `decide` the statistics, `pairs` the questions, `cause` the identities, `cost` passes, time and memory, `text` the words.

mod cause;
mod check;
mod cost;
mod decide;
mod pairs;
mod text;

pub use cause::Change;
pub use check::{Cause, Check, Limits, Question};
pub use decide::decide;

use crate::error::ReportError;
use crate::metrics::PredictionMatrix;
use crate::runs::Runs;
use rlnet_suites::{CellSpec, Gate};
use std::path::{Path, PathBuf};

/// What a gate says of two runs.
#[derive(Debug, Clone)]
pub struct GateVerdict {
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
    /// Cells that the older run has not finished: what they measure was not compared.
    pub unfinished: Vec<String>,
    /// Why the gate tripped, one line each; none when it did not.
    pub reasons: Vec<String>,
}

impl GateVerdict {
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
    pub(crate) matrices: Vec<PredictionMatrix>,
}

impl Side {
    fn load(dir: &Path) -> Result<Self, ReportError> {
        let runs = Runs::load(&[dir.to_owned()])?;
        let matrices = runs
            .models
            .iter()
            .map(PredictionMatrix::of)
            .collect::<Result<_, _>>()?;
        Ok(Self { runs, matrices })
    }
}

/// Compares a newer run with an older one.
///
/// # Errors
/// When a folder is not a run, a file is damaged, the runs share no model, or nothing can be
/// tested: a gate without a test has let nothing through.
pub fn compare(base: &Path, current: &Path, gate: &Gate) -> Result<GateVerdict, ReportError> {
    let (old, new) = (Side::load(base)?, Side::load(current)?);
    let shared = |name: &str| new.runs.model(name).is_some();
    if !old.runs.models.iter().any(|model| shared(&model.name)) {
        return Err(ReportError::Unfit {
            what: format!("{} against {}", current.display(), base.display()),
            message: format!(
                "they evaluate no model of the same name: the older run has {}, the newer one {}; give a model one name in \
                 both with rlnet eval --name NAME",
                names(&old.runs),
                names(&new.runs)
            ),
        });
    }
    let (questions, mut reasons) = pairs::questions(&old, &new, gate);
    let unfinished = |side: &Side| -> Vec<String> {
        let missing = side.runs.missing().into_iter();
        let measures = missing.filter(|(_, cell)| matches!(cell.spec, CellSpec::Evaluate(_)));
        measures.map(|(_, cell)| cell.name.clone()).collect()
    };
    if questions.is_empty() && reasons.is_empty() {
        return Err(ReportError::Unfit {
            what: format!("{} against {}", current.display(), base.display()),
            message: nothing_to_test(gate, &unfinished(&old), &unfinished(&new)),
        });
    }
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
    reasons.extend(cost::rises(&old, &new, gate));
    Ok(GateVerdict {
        gate: gate.clone(),
        base: base.to_owned(),
        current: current.to_owned(),
        checks,
        changes,
        unfinished: unfinished(&old),
        reasons,
    })
}

/// The names of a run's models.
fn names(runs: &Runs) -> String {
    let names: Vec<&str> = runs.models.iter().map(|model| model.name.as_str()).collect();
    names.join(", ")
}

fn nothing_to_test(gate: &Gate, old: &[String], new: &[String]) -> String {
    let sides = [("older", old), ("newer", new)]
        .into_iter()
        .filter(|(_, cells)| !cells.is_empty());
    let missing: Vec<String> = sides
        .map(|(which, cells)| format!("the {which} run has not finished {}", text::named(cells)))
        .collect();
    match missing.as_slice() {
        [] => format!(
            "no rule of gate {} names a number that the older run has, so nothing was tested; see its rules",
            gate.name
        ),
        some => format!(
            "there is nothing to test: {}; run its command again to finish it",
            some.join("; ")
        ),
    }
}
