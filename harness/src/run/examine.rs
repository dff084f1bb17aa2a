//! A model that a plan evaluates, looked at before anything is written: that of a model nobody can use
//! must not replace the plan that a folder's numbers belong to.

use super::Prepared;
use super::evaluate_cell::preflight;
use crate::error::Result;
use crate::eval::Networks;
use crate::eval::preflight::Finding;
use rlnet_suites::{CellId, CellSpec, Condition, Plan};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::Device;

/// Loads the model of a plan that trains none, with what its attacks follow, and examines it.
/// `files` are the models by their ids in the cells.
///
/// # Errors
/// When a file cannot be read, the model lacks a branch, or a finding refuses it.
pub fn examine(
    plan: &Plan,
    files: &BTreeMap<CellId, PathBuf>,
    data: &Prepared,
    device: Device,
    allowed: &[Finding],
) -> Result<()> {
    let mut conditions: Vec<Condition> = Vec::new();
    let mut others = BTreeMap::new();
    let mut model = None;
    let mut branches = None;
    for cell in &plan.cells {
        let CellSpec::Evaluate(spec) = &cell.spec else {
            continue;
        };
        model = model.or_else(|| files.get(&cell.parents[0]));
        branches = branches.or(spec.branches.as_ref());
        conditions.extend(spec.conditions.iter().cloned());
        let named = spec.surrogates.iter();
        others.extend(named.filter_map(|(name, id)| Some((name.clone(), files.get(id)?.clone()))));
    }
    let Some(model) = model else { return Ok(()) };
    let networks = Networks::load(model, &conditions, &others, device)?;
    preflight(networks.model(), data, device, allowed)?;
    branches.map_or(Ok(()), |branches| networks.check(branches).map(|_| ()))
}
