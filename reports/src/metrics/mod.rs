//! What the rows mean. One idea a file; every metric is a query over outcome rows, counts
//! are whole numbers, and no number is a mean of batch means.

pub mod answers;
pub mod checks;
pub mod compare;
pub mod cost;
pub mod estimate;
pub mod natural;
pub mod paired;
pub mod reading;
pub mod triple;

pub use answers::Tally;
pub use compare::{Comparison, Measure};
pub use cost::PrivateCost;
pub use estimate::{Estimate, Interval, Known, Unknown};
pub use natural::Natural;
pub use paired::{Difference, McNemar};
pub use reading::Reading;
pub use triple::{Gap, Triple};

use crate::error::ReportError;
use crate::runs::Runs;
use checks::Flag;

/// Everything a report says of some runs.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The runs.
    pub runs: Runs,
    /// Accuracy per model, reading and condition.
    pub tally: Tally,
    /// CA, NPA and AdvA per model and reading.
    pub triples: Vec<Triple>,
    /// What one branch cannot keep.
    pub gaps: Vec<Gap>,
    /// Every model against the baseline.
    pub comparisons: Vec<Comparison>,
    /// Signs of trouble.
    pub flags: Vec<Flag>,
}

impl Analysis {
    /// Measures everything.
    ///
    /// # Errors
    /// When a query fails.
    pub fn of(runs: Runs) -> Result<Self, ReportError> {
        let tally = Tally::of(&runs)?;
        let triples = triple::triples(&runs, &tally)?;
        Ok(Self {
            gaps: triple::gaps(&triples),
            comparisons: compare::comparisons(&runs, &triples)?,
            flags: checks::flags(&runs, &tally)?,
            tally,
            triples,
            runs,
        })
    }

    /// One reading of one model.
    pub fn triple(&self, model: &str, reading: Reading) -> Option<&Triple> {
        let branches = &self.runs.model(model)?.branches;
        let reading = reading.on(branches);
        self.triples
            .iter()
            .find(|triple| triple.model == model && triple.reading == reading)
    }
}
