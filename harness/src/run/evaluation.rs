//! The evaluation of a single model: from a validated request to a plan, and the plan to its cells.

use super::compatibility::ModelFiles;
use super::corrupted::{Folders, check_size};
use super::execute::Executor;
use super::heartbeat::Heartbeat;
use super::{CorruptedSource, Executed, Participation, Prepared, RunDirectory};
use crate::device;
use crate::error::{Error, Result};
use crate::eval::preflight::Finding;
use crate::files::open_folder;
use rlnet_suites::attack::{Norm, diagnosis};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::{AttackSpec, Corrupted, EvalRequest, EvalSubject, Plan};
use std::path::Path;
use tch::Device;

/// What to evaluate, of which model, on which images.
#[derive(Debug)]
pub struct Evaluation {
    /// The model and its surrogates.
    pub files: ModelFiles,
    /// The data set.
    pub dataset: String,
    /// The number of test images, from the first; all when absent.
    pub limit: Option<u32>,
    /// The conditions.
    pub request: EvalRequest,
    /// Where corrupted images come from.
    pub corrupted: Corrupted,
    /// The attack that AdvA is the accuracy under; the strongest when absent.
    pub headline: Option<AttackSpec>,
    /// Whether adversarial images are stored.
    pub save_images: bool,
    /// Images a batch.
    pub batch: usize,
    /// What the evaluation is, for the report.
    pub description: String,
}

/// An evaluation with its images and its cells.
pub struct PlannedEvaluation {
    files: ModelFiles,
    data: Prepared,
    corrupted: CorruptedSource,
    /// The cells.
    pub plan: Plan,
}

impl Evaluation {
    /// Loads the images and makes the plan; `diagnose` adds the checklist of gradient masking.
    ///
    /// # Errors
    /// When images are missing, or the request does not fit the model or the images.
    pub fn plan(mut self, data_dir: &Path, folders: &Folders, diagnose: bool) -> Result<PlannedEvaluation> {
        let data = Prepared::load_test(&self.dataset, data_dir, self.limit)?;
        let strongest = |request: &EvalRequest| AttackSpec::headline(&request.attacks).cloned();
        // Attacks of the checklist are AdvA only where no other was requested.
        self.headline = self.headline.or_else(|| strongest(&self.request));
        if diagnose {
            self.add_diagnosis()?;
        }
        check_size(self.corrupted, &self.request, data.size)
            .map_err(|why| Error::Usage(format!("{}: {why}", self.dataset)))?;
        let corrupted = CorruptedSource::new(self.corrupted, folders, &self.request, &data)?;
        let name = &self.files.model.facts.name;
        let id = &self.files.model.id;
        let images = DataSpec {
            dataset: self.dataset.clone(),
            train: None,
            test: data.limit,
            validation: rlnet_suites::suite::VALIDATION,
            seed: 0,
            checksum: data.checksum.clone(),
        };
        let surrogate = |name: &str| self.files.surrogates.get(name).map(|file| file.id.clone());
        let cells = self.request.cells(&EvalSubject {
            model: name,
            parent: id,
            surrogate: &surrogate,
            data: &images,
            context: &corrupted.context(&data),
        })?;
        let plan = Plan {
            schema: rlnet_suites::suite::SCHEMA,
            suite: format!("eval-{name}"),
            title: format!("{name} on {}", self.dataset),
            description: format!("{} Model file, blake3 {id}.", self.description),
            headline: self.headline.or_else(|| strongest(&self.request)),
            baseline: None,
            evaluation_batch: self.batch,
            save_images: self.save_images,
            cells,
        };
        self.files.are_used(&plan)?;
        Ok(PlannedEvaluation {
            files: self.files,
            data,
            corrupted,
            plan,
        })
    }

    /// Adds the checklist's conditions in AdvA's norm, behind the attacks that were requested.
    fn add_diagnosis(&mut self) -> Result<()> {
        self.request.probe = true;
        let headline = self.headline.as_ref();
        let norm = headline.map_or(Norm::Linf, AttackSpec::norm);
        let group = diagnosis::group_in(norm).ok_or_else(|| {
            Error::Usage(format!(
                "--diagnose: there is no checklist in {norm}, because neither noise nor square is defined in it; AdvA \
                 is {}: request an attack in linf or l2",
                headline.map(ToString::to_string).unwrap_or_default()
            ))
        })?;
        let branches = self.request.branches.as_deref();
        for attack in self.files.attacks(&[group.to_owned()], branches)? {
            if !self.request.attacks.contains(&attack) {
                self.request.attacks.push(attack);
            }
        }
        Ok(())
    }
}

/// How one process computes the cells of an evaluation.
pub struct Execution {
    /// Where.
    pub device: Device,
    /// Preflight findings that do not refuse a model.
    pub allowed: Vec<Finding>,
    /// Its share.
    pub part: Participation,
}

impl PlannedEvaluation {
    /// Computes what is missing in a folder.
    ///
    /// # Errors
    /// When the preflight refuses the model, or the work fails or is stopped.
    pub fn run(&self, out: &Path, execution: Execution) -> Result<Executed> {
        let directory = RunDirectory::at(out);
        let device = execution.device;
        let executor = Executor {
            directory: &directory,
            data: &self.data,
            corrupted: &self.corrupted,
            device,
            external: self.files.sources(),
            allowed: execution.allowed,
            part: execution.part,
            opened: Default::default(),
        };
        // A plan in the folder belongs to its numbers; the plan of a model that the preflight refuses
        // must not replace it.
        if !self.plan.cells.iter().all(|cell| directory.is_done(&cell.id)) {
            executor.examine(&self.plan)?;
        }
        open_folder(out)?;
        directory.make()?;
        drop(directory.own_plan(&self.plan)?);
        directory.repair(&self.plan)?;
        let _presence = Heartbeat::show(out, &device::name(device))?;
        executor.run(&self.plan, None)
    }
}
