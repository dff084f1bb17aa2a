//! The common shape of most tables: rows of a model read through one branch policy, with columns
//! of what was measured there.

use super::{Cell, Column};
use crate::analysis::Analysis;
use crate::metrics::{BranchPolicy, Known, PredictionMatrix, Quantity};
use crate::model::Model;
use rlnet_suites::{CellId, Condition};

/// A model, read through one branch policy.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub analysis: &'a Analysis,
    /// Its place among the runs' models.
    pub at: usize,
    pub model: &'a Model,
    /// What may stand beside other models' numbers.
    pub matrix: &'a PredictionMatrix,
    pub policy: BranchPolicy,
}

/// Every model under every branch policy, in the order of tables.
pub(super) fn views(analysis: &Analysis) -> impl Iterator<Item = View<'_>> {
    analysis
        .comparable()
        .enumerate()
        .flat_map(move |(at, (model, matrix))| {
            model.policies().into_iter().map(move |policy| View {
                analysis,
                at,
                model,
                matrix,
                policy,
            })
        })
}

impl View<'_> {
    /// A row: the model and the branch policy, then these cells.
    pub(super) fn row(&self, cells: impl IntoIterator<Item = Cell>) -> Vec<Cell> {
        [Cell::text(&self.model.name), Cell::text(self.policy.label())]
            .into_iter()
            .chain(cells)
            .collect()
    }

    /// Its own answers under all conditions of a kind of number, where this number may stand in the
    /// column of the other models.
    pub(super) fn answers(&self, quantity: &Quantity) -> Known<&PredictionMatrix> {
        self.analysis.answers(self.model, quantity)
    }

    /// Accuracy under a condition.
    pub(super) fn accuracy(&self, condition: &Condition) -> Cell {
        let known = self.analysis.tally.accuracy(self.model, self.policy, condition);
        Cell::share(&known, &self.source(condition))
    }

    /// Where the number of a condition comes from.
    pub(super) fn source(&self, condition: &Condition) -> String {
        let id = self.model.cell_of(condition).map(CellId::to_string);
        format!(
            "condition {condition}{}, cell {}",
            self.policy.read(),
            id.unwrap_or_default()
        )
    }

    /// The cells of the conditions that are wanted.
    pub(super) fn cells(&self, wanted: impl Fn(&Condition) -> bool) -> String {
        let mut ids: Vec<&str> = Vec::new();
        for (condition, id) in &self.model.planned {
            if wanted(condition) && !ids.contains(&id.0.as_str()) {
                ids.push(&id.0);
            }
        }
        let cells = if ids.len() == 1 { "cell" } else { "cells" };
        let read = self.policy.read();
        let cells = format!("{read}, {cells} {}", ids.join(", "));
        cells.trim_start_matches(", ").to_owned()
    }
}

/// The columns that name a row of a view, then these.
pub(super) fn columns(read: &str, rest: impl IntoIterator<Item = Column>) -> Vec<Column> {
    [Column::text("model", "Model"), Column::text("reading", read)]
        .into_iter()
        .chain(rest)
        .collect()
}

/// Through which branch images go.
pub(super) const READ: &str = "Read through";
/// Against and through which branch attacked images go.
pub(super) const ATTACKED: &str = "Attacked and read through";
