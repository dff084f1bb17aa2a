//! What the rows mean. One idea a file; every metric is a query over outcome rows, counts
//! are whole numbers, and no number is a mean of batch means.

pub mod anchors;
pub mod answers;
pub mod bits;
pub mod bootstrap;
pub mod calibration;
pub mod checks;
pub mod classes;
pub mod compare;
pub mod confusion;
pub mod cost;
pub mod diagnosis;
pub mod estimate;
pub mod grid;
pub mod mce;
pub mod natural;
pub mod ordered;
pub mod paired;
pub mod reading;
pub mod reduction;
pub mod resampled;
pub mod robust;
pub mod steps;
pub mod threat;
pub mod triple;

pub use answers::Tally;
pub use compare::{Comparison, Measure};
pub use cost::{Link, PrivateCost};
pub use diagnosis::{Diagnosis, Verdict};
pub use estimate::{Estimate, Interval, Known, Unknown};
pub use grid::Grid;
pub use mce::Measured;
pub use natural::Natural;
pub use paired::{Difference, McNemar};
pub use reading::Reading;
pub use resampled::Resampled;
pub use triple::{Gap, Triple};

use crate::error::ReportError;
use crate::runs::Runs;
use crate::words::AttackNames;
use bootstrap::Bootstrap;
use checks::Flag;

/// Everything a report says of some runs.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The runs.
    pub runs: Runs,
    /// Accuracy per model, reading and condition.
    pub tally: Tally,
    /// Every model's answers as plain columns, in the runs' order of models.
    pub grids: Vec<Grid>,
    /// Error rates per model and reading, for every definition of mCE.
    pub measured: Vec<Measured>,
    /// Every model against the baseline, by bootstrap.
    pub resampled: Vec<Resampled>,
    /// The network link that private inference is costed with.
    pub link: Link,
    /// CA, NPA and AdvA per model and reading.
    pub triples: Vec<Triple>,
    /// What one branch cannot keep.
    pub gaps: Vec<Gap>,
    /// Every model against the baseline.
    pub comparisons: Vec<Comparison>,
    /// Accuracy against the reduction, of networks that differ in nothing else.
    pub sweeps: Vec<reduction::Sweep>,
    /// Whether robust numbers can be trusted, per model and branch.
    pub diagnoses: Vec<Diagnosis>,
    /// Signs of trouble.
    pub flags: Vec<Flag>,
    /// What the planned attacks are called.
    pub names: AttackNames,
}

impl Analysis {
    /// Measures everything.
    ///
    /// # Errors
    /// When a query fails.
    pub fn of(runs: Runs) -> Result<Self, ReportError> {
        let grids: Vec<Grid> = runs.models.iter().map(Grid::of).collect::<Result<_, _>>()?;
        let tally = Tally::of(&runs, &grids);
        let triples = triple::triples(&runs, &grids, &tally);
        let images = grids.iter().map(|grid| grid.images.len()).max().unwrap_or(0);
        let bootstrap = Bootstrap::new(images, bootstrap::RESAMPLES);
        let measured = mce::measure(&runs, &grids, &bootstrap);
        let diagnoses = diagnosis::diagnoses(&runs, &grids);
        Ok(Self {
            names: AttackNames::of(&runs.attacks()),
            gaps: triple::gaps(&triples),
            sweeps: reduction::sweeps(&runs, &grids, &triples),
            comparisons: compare::comparisons(&runs, &grids, &triples),
            flags: checks::flags(&runs, &grids, &tally, &diagnoses),
            diagnoses,
            resampled: resampled::comparisons(&runs, &grids, &measured, &bootstrap),
            link: Link::default(),
            grids,
            measured,
            tally,
            triples,
            runs,
        })
    }

    /// The answers of a model.
    pub fn grid(&self, model: &str) -> Option<&Grid> {
        let at = self.runs.models.iter().position(|known| known.name == model)?;
        self.grids.get(at)
    }

    /// Error rates of one reading of one model.
    pub fn errors(&self, model: &str, reading: Reading) -> Option<&Measured> {
        let reading = reading.on(&self.runs.model(model)?.branches);
        self.measured
            .iter()
            .find(|found| found.model == model && found.reading == reading)
    }

    /// The verdict on the AdvA of one reading: on the branch it is read through; for the worst
    /// of branches, the worst verdict.
    pub fn verdict(&self, model: &str, reading: Reading) -> Option<Verdict> {
        let known = self.runs.model(model)?;
        let own = self.grid(model)?;
        let headline = self.runs.headline.clone().map(rlnet_suites::Condition::Attack);
        let of = |diagnosis: &&Diagnosis| {
            diagnosis.model == model
                && match reading.on(&known.branches) {
                    Reading::Fixed(branch) => diagnosis.branch == branch,
                    Reading::Worst => true,
                    Reading::Oracle => headline
                        .as_ref()
                        .is_some_and(|condition| own.own(condition) == Some(diagnosis.branch)),
                }
        };
        let found = self.diagnoses.iter().filter(of);
        found.map(|diagnosis| diagnosis.verdict).max()
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
