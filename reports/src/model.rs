//! A model of a report.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Unknown;
use polars::prelude::*;
use rlnet_suites::{
    AttackSpec, Branch, Cell, CellId, CellSpec, Condition, GradientProbe, LayerValue, ModelRecord, NormBanks,
    ReluCount, TrainSpec,
};

/// A model that is evaluated, with all of its rows.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name in this report.
    pub name: String,
    /// Index of its run.
    pub run: usize,
    /// Its training cell, when the run trained it.
    pub trained: Option<Cell>,
    /// What it is, when its training cell is finished.
    pub record: Option<ModelRecord>,
    /// Its ReLUs: as its layers have them, else as its user states them.
    pub relus: Option<ReluCount>,
    /// Its branches, in bank order.
    pub branches: Vec<Branch>,
    /// Branches that mix the banks of two others, as far as they were gone through: readings of
    /// their own, never part of the oracle or the worst of branches.
    pub mixed: Vec<Branch>,
    /// What its preflight found and `--allow` let through, each once.
    pub allowed: Vec<String>,
    /// What its preflight found that refuses no model, each once.
    pub warnings: Vec<String>,
    /// Number of classes of the data set: as its cells say; of older runs, as the network or else the
    /// labels and answers of its rows say.
    pub classes: u32,
    /// Their names, where the network or the data set has them.
    pub class_names: Vec<String>,
    /// What was probed of its gradients.
    pub probe: Vec<GradientProbe>,
    /// How alike its activations are to its teacher's.
    pub similarity: Vec<LayerValue>,
    /// Under each certificate, the units of its layers whose sign the ball leaves open.
    pub unstable: Vec<(AttackSpec, Vec<LayerValue>)>,
    /// Conditions that are planned, each with its cell, in the plan's order.
    pub planned: Vec<(Condition, CellId)>,
    /// Conditions that were measured.
    pub measured: Vec<Condition>,
    /// Its banks of batch norm, where they are known.
    pub banks: Option<NormBanks>,
    /// Its outcome rows.
    pub rows: DataFrame,
}

impl Model {
    /// The name of a class.
    pub fn class(&self, label: usize) -> String {
        let name = self.class_names.get(label).cloned();
        name.unwrap_or_else(|| format!("class {label}"))
    }

    /// Why nothing is known of its layers, where nothing is.
    pub fn without_record(&self) -> Unknown {
        match self.trained {
            Some(_) => Unknown::Unfinished("not trained yet".to_owned()),
            None => Unknown::because("imported: its file does not describe its layers"),
        }
    }

    /// How it was trained.
    pub fn spec(&self) -> Option<&TrainSpec> {
        match &self.trained.as_ref()?.spec {
            CellSpec::Train(spec) => Some(spec),
            CellSpec::Evaluate(_) => None,
        }
    }

    /// Every way in which it is read.
    pub fn policies(&self) -> Vec<BranchPolicy> {
        let mixed = self.mixed.iter().map(|branch| BranchPolicy::Fixed(*branch));
        BranchPolicy::of(&self.branches)
            .into_iter()
            .chain(mixed)
            .collect()
    }

    /// The cell of a condition.
    pub fn cell_of(&self, condition: &Condition) -> Option<&CellId> {
        self.planned
            .iter()
            .find(|(known, _)| known == condition)
            .map(|(_, id)| id)
    }

    /// The training of the same run that this one repeats with another seed.
    pub fn repeats(&self) -> Option<&str> {
        self.trained.as_ref()?.repeats.as_deref()
    }

    /// Whether it keeps only some of its ReLUs.
    pub fn is_partial(&self) -> bool {
        self.record
            .as_ref()
            .is_some_and(|record| record.kept() < record.total())
    }
}
