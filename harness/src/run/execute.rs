//! Runs the cells of a plan that are missing, parents first.

use super::corrupted::CorruptedSource;
use super::directory::RunDirectory;
use super::prepare::Prepared;
use super::provenance;
use crate::attack::Classifier;
use crate::data::images_to_tensor;
use crate::error::{Error, Result};
use crate::eval::preflight::{self, Finding};
use crate::eval::{EvaluationInput, Networks, evaluate, examples, probe, similarity};
use crate::nn::Quirks;
use crate::nn::model::{self, ModelHeader};
use crate::nn::{Network, NetworkSpec};
use crate::progress::{Progress, announce};
use crate::train::stage::CHECKPOINT;
use crate::train::{StageInput, train};
use rlnet_reports::store::{write_curves, write_outcomes};
use rlnet_suites::asked::TEACHER;
use rlnet_suites::cell::EvaluateSpec;
use rlnet_suites::{Cell, CellId, CellRecord, CellSpec, Plan, TrainSpec};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use tch::{Device, Tensor};

/// Test images that a model is examined on before it is evaluated.
const PREFLIGHT_IMAGES: usize = 16;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executed {
    /// Cells computed now.
    pub computed: usize,
    /// Cells that were done before.
    pub found: usize,
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
    pub external: BTreeMap<CellId, PathBuf>,
    /// Preflight findings that do not refuse a model.
    pub allowed: Vec<Finding>,
}

impl Executor<'_> {
    /// Runs what is missing. Cells whose name does not match `only` are left out.
    ///
    /// # Errors
    /// At the first cell that fails; what was finished stays finished.
    pub fn run(&self, plan: &Plan, only: Option<&str>) -> Result<Executed> {
        self.directory.write_plan(plan)?;
        let mut executed = Executed::default();
        let wanted = wanted(plan, only)?;
        let missing = wanted
            .iter()
            .filter(|cell| !self.directory.is_done(&cell.id))
            .count();
        for cell in wanted {
            if self.directory.is_done(&cell.id) {
                executed.found += 1;
                continue;
            }
            let ordinal = format!("[{}/{missing}]", executed.computed + 1);
            match &cell.spec {
                CellSpec::Train(spec) => self.train(cell, spec, &ordinal)?,
                CellSpec::Evaluate(spec) => {
                    self.evaluate(cell, spec, plan.evaluation_batch, &ordinal)?;
                }
            }
            executed.computed += 1;
        }
        Ok(executed)
    }

    fn train(&self, cell: &Cell, spec: &TrainSpec, ordinal: &str) -> Result<()> {
        announce(&format!(
            "{ordinal} train {} ({}, {} epochs)",
            cell.name, spec.arch, spec.epochs
        ));
        let mut provenance = provenance::start(self.device);
        let parents = cell
            .parents
            .iter()
            .map(|id| Ok(model::load(&self.model_file(id), self.device)?.0))
            .collect::<Result<Vec<Network>>>()?;
        let work = self.directory.work(&cell.id)?;
        let trained = train(&StageInput {
            cell: &cell.id.0,
            name: &cell.name,
            spec,
            network: NetworkSpec {
                arch: spec.arch.parse()?,
                image_size: self.data.size as u64,
                classes: self.data.classes.len(),
                norm: spec.norm,
                quirks: Quirks::default(),
                mean: self.data.mean,
                std: self.data.std,
            },
            teacher: parents.first(),
            start: parents.get(1),
            train: self.data.train.clone(),
            validation: &self.data.validation,
            device: self.device,
            work: &work,
        })?;
        let header = ModelHeader::of(
            &trained.network,
            &self.data.classes,
            &self.data.name,
            trained.epoch,
        );
        model::save(&work.join("model.safetensors"), &trained.network, &header)?;
        write_curves(&work.join("train.parquet"), &trained.curves).map_err(report_error)?;
        provenance.seconds = trained.seconds;
        provenance.resumed = trained.resumed;
        provenance.peak_memory = provenance::peak_memory();
        let mut record = CellRecord {
            cell: cell.clone(),
            model: Some(header.record),
            rows: 0,
            provenance,
        };
        self.directory.finish(&mut record, &[CHECKPOINT])
    }

    fn evaluate(&self, cell: &Cell, spec: &EvaluateSpec, batch: usize, ordinal: &str) -> Result<()> {
        announce(&format!("{ordinal} evaluate {}", cell.name));
        let started = Instant::now();
        let mut provenance = provenance::start(self.device);
        let parent = &cell.parents[0];
        let files = spec.surrogates.iter();
        let files = files
            .map(|(name, id)| (name.clone(), self.model_file(id)))
            .collect();
        let networks = Networks::load(&self.model_file(parent), &spec.conditions, &files, self.device)?;
        provenance.allowed = self.preflight(networks.model())?;
        let branches = match &spec.branches {
            Some(branches) => networks.check(branches)?.to_vec(),
            None => networks.branches().to_vec(),
        };
        let stream = self.directory.root().join("corrupted");
        let corrupted = self.corrupted.images(spec, &stream, self.data)?;
        let first = spec.images.map(|images| self.data.test.take(images as usize));
        let test = first.as_ref().unwrap_or(&self.data.test);
        let total = (test.len() * spec.conditions.len()) as u64;
        let progress = Progress::new(&cell.name, "images", total, 0);
        let evaluated = evaluate(
            &EvaluationInput {
                networks: &networks,
                test,
                conditions: &spec.conditions,
                branches: &branches,
                corrupted,
                batch,
                seed: spec.seed,
                save_images: spec.save_images,
            },
            &progress,
        )?;
        progress.finish();
        let work = self.directory.work(&cell.id)?;
        write_outcomes(&work.join("outcomes.parquet"), &evaluated.outcomes).map_err(report_error)?;
        if spec.probe {
            let points = probe::probe(&networks, &self.data.test, &branches, batch, spec.seed)?;
            write_curves(&work.join("probe.parquet"), &points).map_err(report_error)?;
        }
        if let Some(teacher) = spec.surrogates.get(TEACHER).filter(|_| spec.similarity) {
            let student = model::load(&self.model_file(parent), self.device)?.0;
            let teacher = model::load(&self.model_file(teacher), self.device)?.0;
            let points = similarity::similarity(&student, &teacher, test)?;
            write_curves(&work.join("similarity.parquet"), &points).map_err(report_error)?;
        }
        examples::write_strip(&work.join("examples.png"), &evaluated.examples, self.data.size)?;
        if let Some(saved) = &evaluated.saved {
            saved.write(&work)?;
        }
        provenance.corruptions = self.corrupted.describe(spec)?;
        provenance.seconds = started.elapsed().as_secs_f64();
        provenance.peak_memory = provenance::peak_memory();
        // The model's own record travels with the training cell; an external one has none.
        let external = self.external.contains_key(parent);
        let mut record = CellRecord {
            cell: cell.clone(),
            model: networks.record().filter(|_| external).cloned(),
            rows: evaluated.outcomes.len() as u64,
            provenance,
        };
        self.directory.finish(&mut record, &[])
    }

    /// Examines a model on the first test images, through each branch.
    fn preflight(&self, model: &dyn Classifier) -> Result<Vec<String>> {
        let test = self.data.test.take(PREFLIGHT_IMAGES.min(self.data.test.len()));
        let images = images_to_tensor(&test.images, test.len(), test.size, self.device);
        let labels: Vec<i64> = test.labels.iter().map(|&label| i64::from(label)).collect();
        let labels = Tensor::from_slice(&labels).to_device(self.device);
        let mut findings = Vec::new();
        for &branch in model.branches() {
            for finding in preflight::examine(model, branch, &images, &labels, self.data.classes.len())? {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        preflight::judge(&findings, &self.allowed)
    }

    fn model_file(&self, id: &CellId) -> PathBuf {
        match self.external.get(id) {
            Some(path) => path.clone(),
            None => self.directory.cell(id).join("model.safetensors"),
        }
    }
}

fn report_error(error: rlnet_reports::ReportError) -> Error {
    Error::Work(error.to_string())
}

/// The cells to run: all, or those whose name matches and all they need.
fn wanted<'a>(plan: &'a Plan, only: Option<&str>) -> Result<Vec<&'a Cell>> {
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
        return Err(Error::Input(format!(
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
