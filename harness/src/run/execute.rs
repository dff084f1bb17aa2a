//! Runs the cells of a plan that are missing, parents first, beside any number of other processes
//! that do the same.
//!
//! A process goes through the plan and takes what it can claim and nobody has done: a training
//! cell, a shard of an evaluation. It waits only when all that is left is in other hands.

use super::claim::SharedClaims;
use super::contradiction;
use super::corrupted::CorruptedSource;
use super::directory::RunDirectory;
use super::estimate::loads;
use super::eta::{Eta, Load};
use super::evaluate_cell::Opened;
use super::failure::Failures;
use super::memory::MemoryGuard;
use super::prepare::Prepared;
use super::progress::duration;
use super::work::Images;
use crate::error::{Error, Result};
use crate::eval::model_source::ModelSource;
use crate::eval::preflight::Finding;
use crate::progress::{self, announce};
use crate::stop;
use rlnet_suites::{Cell, CellId, CellRecord, CellSpec, Plan};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::Device;

/// Between two looks at a directory where all that is left is in other hands.
const LOOK: Duration = Duration::from_millis(300);

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executed {
    /// Cells finished by this process now.
    pub computed: usize,
    /// Cells that were done before.
    pub found: usize,
    /// Cells that other processes finished meanwhile.
    pub shared: usize,
    /// Cells that are not done: others still work on them, and this process was told not to wait.
    pub left: usize,
}

/// How a process takes part.
#[derive(Debug, Clone)]
pub struct Participation {
    /// Images of one attack in a shard.
    pub shard: usize,
    /// Whether to wait for what other processes have claimed.
    pub wait: bool,
    /// What this run is called among the processes that share it: they do not try again what
    /// failed for one of them.
    pub session: String,
    /// The cells to take part in; all when absent.
    pub cells: Option<BTreeSet<CellId>>,
    /// Claims among machines that do not share the run directory, where there are some.
    pub shared: Option<Arc<dyn SharedClaims>>,
}

impl Default for Participation {
    fn default() -> Self {
        Self {
            shard: super::shard::ATTACKED,
            wait: true,
            session: super::heartbeat::process(),
            cells: None,
            shared: None,
        }
    }
}

/// Computes cells.
pub struct Executor<'a> {
    /// Where results go.
    pub directory: &'a RunDirectory,
    /// The images.
    pub data: &'a Prepared,
    /// Where corrupted images come from.
    pub corrupted: &'a CorruptedSource,
    /// Where it runs.
    pub device: Device,
    /// Models that no cell of the plan makes: their ids in evaluation cells, and their files.
    pub external: BTreeMap<CellId, ModelSource>,
    /// Preflight findings that do not refuse a model.
    pub allowed: Vec<Finding>,
    /// How this process takes part.
    pub part: Participation,
    /// The model that was evaluated last.
    pub(super) opened: RefCell<Option<Opened>>,
    /// Records of finished cells that were read.
    pub(super) records: RefCell<BTreeMap<CellId, Rc<CellRecord>>>,
}

/// What came of a visit to a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// This process finished it.
    Finished,
    /// It is not done yet; this process did something for it.
    Helped,
    /// It is in other hands, or done by now; there was nothing to do.
    Elsewhere,
}

impl Executor<'_> {
    /// Runs what is missing. Cells whose name does not match `only` are left out. A cell that
    /// fails is left, with those that need it; the others are computed all the same.
    ///
    /// # Errors
    /// With the cells that failed; at once when the input is bad, the disk refuses, or a stop was
    /// asked for. What was finished stays finished.
    pub fn run(&self, plan: &Plan, only: Option<&str>) -> Result<Executed> {
        let mut wanted = wanted(plan, only)?;
        if let Some(mine) = &self.part.cells {
            wanted.retain(|cell| mine.contains(&cell.id));
        }
        let failures = Failures::new(self.directory, &self.part.session)?;
        let mut executed = Executed::default();
        let mut open: Vec<&Cell> = wanted.into_iter().collect();
        open.retain(|cell| !self.directory.is_done(&cell.id));
        executed.found = self.count(plan, only)? - open.len();
        let missing = open.len();
        let started = Instant::now();
        let weights = loads(&open, plan, self.directory.root(), Images::of(self.data));
        let mut eta = Eta::new(&weights, 1);
        // Asked of the directory only where a cell is visited: a plan may have thousands.
        let mut to_do: BTreeSet<&CellId> = open.iter().map(|cell| &cell.id).collect();
        let mut waiting = false;
        let room = MemoryGuard::of(plan, self.directory);
        loop {
            let mut moved = false;
            let mut next = Vec::new();
            for cell in open {
                if self.directory.is_done(&cell.id) {
                    executed.shared += 1;
                    to_do.remove(&cell.id);
                    continue;
                }
                if failures.blocks(cell) {
                    continue;
                }
                stop::check(&format!(
                    "{} cells are left of {missing}",
                    missing - executed.computed - executed.shared
                ))?;
                if !self.is_ready(cell) || room.is_short(cell, self.directory) {
                    next.push(cell);
                    continue;
                }
                let shared = self.part.shared.as_ref();
                if shared.is_some_and(|shared| !shared.take(&cell.id)) {
                    next.push(cell);
                    continue;
                }
                let done = |load: &Load| f64::from(u8::from(!to_do.contains(&load.id)));
                let far: Vec<f64> = weights.iter().map(done).collect();
                let left = eta
                    .left(&far, started.elapsed().as_secs_f64())
                    .filter(|_| weights.iter().all(Load::is_weighed))
                    .map_or(String::new(), |left| format!(", about {} left", duration(left)));
                let ordinal = format!("[{}/{missing}{left}]", executed.computed + executed.shared + 1);
                let visit = match &cell.spec {
                    CellSpec::Train(spec) => {
                        // Its memory may be needed.
                        self.opened.take();
                        self.train(cell, spec, &ordinal)
                    }
                    CellSpec::Evaluate(spec) => self.evaluate(cell, spec, plan, &ordinal),
                };
                match visit {
                    Ok(Visit::Finished) => {
                        executed.computed += 1;
                        to_do.remove(&cell.id);
                        moved = true;
                        failures.forget(cell);
                        continue;
                    }
                    Ok(Visit::Helped) => moved = true,
                    Ok(Visit::Elsewhere) => {}
                    Err(error) if error.is_of_one_cell() => {
                        announce(&format!("{} failed: {error}", cell.name));
                        if let Some(shared) = shared {
                            shared.give_up(&cell.id);
                        }
                        failures.record(cell, &error)?;
                        moved = true;
                    }
                    Err(other) => return Err(other),
                }
                next.push(cell);
            }
            open = next;
            open.retain(|cell| !failures.blocks(cell));
            if open.is_empty() {
                break;
            }
            if moved {
                continue;
            }
            if !self.part.wait {
                executed.left = open.len();
                break;
            }
            if !waiting {
                waiting = true;
                announce(&format!(
                    "waiting for another rlnet process to finish the remaining cells ({})",
                    some_names(&open)
                ));
            }
            progress::idle();
            std::thread::sleep(LOOK);
        }
        failures.judge(plan)?;
        contradiction::check(self.directory, plan)?;
        Ok(executed)
    }

    fn count(&self, plan: &Plan, only: Option<&str>) -> Result<usize> {
        let wanted = wanted(plan, only)?;
        let mine = |cell: &&&Cell| {
            self.part
                .cells
                .as_ref()
                .is_none_or(|mine| mine.contains(&cell.id))
        };
        Ok(wanted.iter().filter(mine).count())
    }

    /// Whether all that a cell needs is there.
    fn is_ready(&self, cell: &Cell) -> bool {
        cell.parents
            .iter()
            .all(|id| self.external.contains_key(id) || self.directory.is_done(id))
    }

    /// The record of a finished cell, read once; nothing where it cannot be read.
    pub(super) fn record(&self, id: &CellId) -> Option<Rc<CellRecord>> {
        if let Some(known) = self.records.borrow().get(id) {
            return Some(Rc::clone(known));
        }
        let record = Rc::new(self.directory.record(id).ok()?);
        self.records.borrow_mut().insert(id.clone(), Rc::clone(&record));
        Some(record)
    }

    pub(super) fn model_source(&self, id: &CellId) -> ModelSource {
        match self.external.get(id) {
            Some(source) => source.clone(),
            None => self.directory.cell(id).join("model.safetensors").into(),
        }
    }

    /// Whether the models that a cell needs are what their cells recorded. A damaged one is set
    /// aside, to be computed again.
    pub(super) fn parents_are_sound(&self, cell: &Cell) -> Result<bool> {
        for id in cell.parents.iter().filter(|id| !self.external.contains_key(id)) {
            if let Err(why) = self.directory.check_file(id, "model.safetensors") {
                self.directory.set_aside(id, &why)?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A few names for a line.
fn some_names(cells: &[&Cell]) -> String {
    let mut names: Vec<&str> = cells.iter().take(3).map(|cell| cell.name.as_str()).collect();
    if cells.len() > names.len() {
        names.push("...");
    }
    names.join(", ")
}

/// The cells to run: all, or those whose name matches and all they need.
pub fn wanted<'a>(plan: &'a Plan, only: Option<&str>) -> Result<Vec<&'a Cell>> {
    let Some(pattern) = only else {
        return Ok(plan.cells.iter().collect());
    };
    let mut need: Vec<&CellId> = Vec::new();
    // Parents come first in a plan, so one backward pass finds them all.
    for cell in plan.cells.iter().rev() {
        if matches(pattern, &cell.name) || need.contains(&&cell.id) {
            need.push(&cell.id);
            need.extend(&cell.parents);
        }
    }
    if need.is_empty() {
        let names: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
        return Err(Error::Usage(format!(
            "--only {pattern} matches no cell of {}; there are: {}",
            plan.suite,
            names.join(", ")
        )));
    }
    Ok(plan
        .cells
        .iter()
        .filter(|cell| need.contains(&&cell.id))
        .collect())
}

/// Shell-style matching with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => {
            let Some(tail) = name.strip_prefix(head) else {
                return false;
            };
            (0..=tail.len())
                .filter(|&at| tail.is_char_boundary(at))
                .any(|at| matches(rest, &tail[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_shell_patterns() {
        assert!(matches("rlnet/*", "rlnet/fog"));
        assert!(matches("*/pgd*20", "rlnet/pgd:steps=20"));
        assert!(matches("rlnet", "rlnet"));
        assert!(!matches("rlnet", "rlnet/fog"));
        assert!(!matches("*/fog", "rlnet/frost"));
    }
}
