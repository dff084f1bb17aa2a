//! Everything that is measured, from runs to verdicts.

use crate::error::ReportError;
use crate::metrics::bootstrap::{self, Bootstrap};
use crate::metrics::checks::{self, Flag};
use crate::metrics::{
    Comparison, Diagnosis, Gap, Grid, Link, Measured, Reading, Resampled, Tally, Triple, Verdict, compare,
    diagnosis, mce, reduction, resampled, triple,
};
use crate::runs::Runs;
use crate::words::AttackNames;

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
