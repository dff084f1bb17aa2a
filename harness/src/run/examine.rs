//! The preflight of a plan's models, before anything is written: the plan of a model that is refused
//! must not replace the plan that a folder's numbers belong to.

use super::execute::Executor;
use crate::error::Result;
use rlnet_suites::cell::EvaluateSpec;
use rlnet_suites::{Cell, CellSpec, Plan};

impl Executor<'_> {
    /// Opens each model of a plan that trains none, as its cells will, for all that they ask
    /// together.
    ///
    /// # Errors
    /// When a file cannot be read, the model lacks a branch, or a finding refuses it.
    pub fn examine(&self, plan: &Plan) -> Result<()> {
        let mut models: Vec<(&Cell, EvaluateSpec)> = Vec::new();
        for cell in &plan.cells {
            let CellSpec::Evaluate(spec) = &cell.spec else {
                continue;
            };
            match models.iter_mut().find(|(first, _)| first.model == cell.model) {
                Some((_, whole)) => {
                    whole.conditions.extend(spec.conditions.iter().cloned());
                    whole.surrogates.extend(spec.surrogates.clone());
                }
                None => models.push((cell, spec.clone())),
            }
        }
        // The first one is opened last: it stays open for its cells.
        for (cell, spec) in models.iter().rev() {
            self.opened.replace(Some(self.open(cell, spec)?));
        }
        Ok(())
    }
}
