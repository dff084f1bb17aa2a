//! Everything that is measured, from runs to verdicts.

use crate::error::ReportError;
use crate::format::AttackNames;
use crate::measured_cost::PrivateInference;
use crate::metrics::bootstrap::{self, Bootstrap};
use crate::metrics::compare::{self, Found};
use crate::metrics::flags::{self, Flag};
use crate::metrics::{
    AccuracyCount, BootstrapComparison, BranchPolicy, Columns, Comparison, Diagnosis, DiagnosisVerdict, Gap,
    Known, Measure, Measured, OverTrainings, PredictionMatrix, Quantity, Triple, Unknown,
    bootstrap_comparison, diagnosis, mce, reduction, trainings, triple,
};
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::Condition;
use std::collections::BTreeMap;

/// Everything a report says of some runs.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The runs.
    pub runs: Runs,
    /// What each kind of number is measured on.
    pub columns: Columns,
    /// Accuracy per model, reading and condition.
    pub tally: AccuracyCount,
    /// Every model's answers as plain columns, in the runs' order of models: for questions about one
    /// model. What puts models beside each other takes [`Self::comparable`] or [`Self::answers`].
    matrices: Vec<PredictionMatrix>,
    /// Those of models that answered a condition on other images than its column is about, without it.
    narrowed: BTreeMap<String, PredictionMatrix>,
    /// Error rates per model and reading, for every definition of mCE.
    pub measured: Vec<Measured>,
    /// Every model against the baseline, by bootstrap.
    pub resampled: Vec<BootstrapComparison>,
    /// What private inference is costed with.
    pub private: PrivateInference,
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
        let matrices: Vec<PredictionMatrix> = runs
            .models
            .iter()
            .map(PredictionMatrix::of)
            .collect::<Result<_, _>>()?;
        let columns = Columns::of(&runs, &matrices);
        let tally = AccuracyCount::of(&runs, &matrices, &columns);
        let triples = triple::triples(&runs, &matrices, &tally, &columns);
        let images = matrices
            .iter()
            .map(|matrix| matrix.images.len())
            .max()
            .unwrap_or(0);
        let bootstrap = Bootstrap::new(images, bootstrap::RESAMPLES);
        let measured = mce::measure(&runs, &matrices, &columns, &bootstrap);
        let diagnoses = diagnosis::diagnoses(&runs, &matrices);
        let found = Found {
            runs: &runs,
            matrices: &matrices,
            columns: &columns,
            triples: &triples,
        };
        Ok(Self {
            narrowed: narrowed(&runs, &matrices, &columns),
            names: AttackNames::of(&runs.attacks()),
            gaps: triple::gaps(&triples),
            sweeps: reduction::sweeps(&found),
            comparisons: compare::comparisons(&found),
            flags: flags::flags(&runs, &matrices, &tally, &diagnoses),
            diagnoses,
            resampled: bootstrap_comparison::comparisons(&runs, &matrices, &measured, &bootstrap),
            private: PrivateInference::default(),
            matrices,
            columns,
            measured,
            tally,
            triples,
            runs,
        })
    }

    /// Whether some network has several branches: else nothing need be said of branches.
    pub fn has_branches(&self) -> bool {
        self.runs.models.iter().any(|model| model.branches.len() > 1)
    }

    /// The answers of a model.
    pub fn matrix(&self, model: &str) -> Option<&PredictionMatrix> {
        let at = self.runs.models.iter().position(|known| known.name == model)?;
        self.matrices.get(at)
    }

    /// Every model with the answers that may stand beside the other models': under each condition on the
    /// images that its column is about.
    pub fn comparable(&self) -> impl Iterator<Item = (&Model, &PredictionMatrix)> {
        let models = self.runs.models.iter().zip(&self.matrices);
        models.map(|(model, matrix)| (model, self.narrowed.get(&model.name).unwrap_or(matrix)))
    }

    /// A model's answers, where its number of this kind may stand beside the other models'.
    ///
    /// # Errors
    /// When it was measured on something else.
    pub fn answers(&self, model: &Model, quantity: &Quantity) -> Known<&PredictionMatrix> {
        self.columns.admit(model, quantity)?;
        self.matrix(&model.name)
            .ok_or_else(|| Unknown::because("it has no answers"))
    }

    /// How often a model was trained.
    pub fn trainings(&self, model: &str) -> usize {
        let at = self.runs.models.iter().position(|known| known.name == model);
        at.map_or(0, |at| trainings::trainings_of(&self.runs, at).len())
    }

    /// The mean of a model (its place in the report) over its trainings; nothing where it was trained
    /// once, or where its number is not in the column of the others.
    pub fn over_trainings(&self, at: usize, policy: BranchPolicy, measure: Measure) -> Option<OverTrainings> {
        let triple = self.triple(&self.runs.models[at].name, policy)?;
        triple.of(measure)?.as_ref().ok()?;
        trainings::over_trainings(&self.runs, &self.matrices, at, policy, measure)
    }

    /// Two models (their places in the report) against each other, read in one way.
    pub fn compare(&self, policy: BranchPolicy, this: usize, other: usize) -> Vec<Comparison> {
        let found = Found {
            runs: &self.runs,
            matrices: &self.matrices,
            columns: &self.columns,
            triples: &self.triples,
        };
        compare::compare(&found, policy, this, other)
    }

    /// Error rates of one reading of one model.
    pub fn errors(&self, model: &str, policy: BranchPolicy) -> Option<&Measured> {
        let policy = policy.on(&self.runs.model(model)?.branches);
        self.measured
            .iter()
            .find(|found| found.model == model && found.policy == policy)
    }

    /// The verdict on the AdvA of one reading: on the branch it is read through; for the worst
    /// of branches, the worst verdict.
    pub fn verdict(&self, model: &str, policy: BranchPolicy) -> Option<DiagnosisVerdict> {
        let known = self.runs.model(model)?;
        let own = self.matrix(model)?;
        let headline = self.runs.headline.clone().map(Condition::Attack);
        let of = |diagnosis: &&Diagnosis| {
            diagnosis.model == model
                && match policy.on(&known.branches) {
                    BranchPolicy::Fixed(branch) => diagnosis.branch == branch,
                    BranchPolicy::Worst => true,
                    BranchPolicy::Oracle => headline
                        .as_ref()
                        .is_some_and(|condition| own.own(condition) == Some(diagnosis.branch)),
                }
        };
        let found = self.diagnoses.iter().filter(of);
        found.map(|diagnosis| diagnosis.verdict).max()
    }

    /// One reading of one model.
    pub fn triple(&self, model: &str, policy: BranchPolicy) -> Option<&Triple> {
        let branches = &self.runs.model(model)?.branches;
        let policy = policy.on(branches);
        self.triples
            .iter()
            .find(|triple| triple.model == model && triple.policy == policy)
    }
}

/// The answers of each model that has some on other images than those of their column, without these.
fn narrowed(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    columns: &Columns,
) -> BTreeMap<String, PredictionMatrix> {
    let models = runs.models.iter().zip(matrices);
    let narrow = models.filter_map(|(model, matrix)| {
        let refused = |condition: &&Condition| {
            let quantity = Quantity::Accuracy(Condition::clone(condition));
            columns.admit(model, &quantity).is_err()
        };
        let refused: Vec<&Condition> = matrix.conditions().into_iter().filter(refused).collect();
        (!refused.is_empty()).then(|| (model.name.clone(), matrix.without(&refused)))
    });
    narrow.collect()
}
