//! The evaluation of models that are given: from a validated request to a plan, and the plan to its cells.

use super::compatibility::ModelFiles;
use super::corrupted::{Folders, check_size};
use super::execute::Executor;
use super::heartbeat::Heartbeat;
use super::{CorruptedSource, Executed, Participation, Prepared, RunDirectory};
use crate::device;
use crate::error::{Error, Result};
use crate::eval::preflight::Finding;
use crate::files::open_folder;
use crate::progress::announce;
use rlnet_reports::format::count;
use rlnet_suites::attack::{Norm, diagnosis};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::{
    AtScale, AttackSpec, Cell, CellSpec, Condition, Corrupted, EvalRequest, EvalSubject, ImageRanges, Plan,
    ReluCount,
};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;

/// A model, and what is asked of it.
#[derive(Debug)]
pub struct Subject {
    /// The model and its surrogates.
    pub files: ModelFiles,
    /// The conditions.
    pub request: EvalRequest,
}

/// What to evaluate, of which models, on which images.
#[derive(Debug)]
pub struct Evaluation {
    /// The models, each with what fits it; at least one.
    pub subjects: Vec<Subject>,
    /// The model that the others are compared with.
    pub baseline: Option<String>,
    /// ReLUs of models that do not describe their layers, by their names.
    pub relus: BTreeMap<String, ReluCount>,
    /// The data set.
    pub dataset: String,
    /// The number of test images, from the first; all when absent.
    pub limit: Option<u32>,
    /// The test images, where they are not the first ones.
    pub images: Option<ImageRanges>,
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
    /// The scale of the suite, where one was picked.
    pub scale: Option<AtScale>,
}

/// An evaluation with its images and its cells.
pub struct PlannedEvaluation {
    files: Vec<ModelFiles>,
    /// The attack that AdvA is the accuracy under, where the request names one.
    headline: Option<AttackSpec>,
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
        let data = Prepared::load_test(&self.dataset, data_dir, self.limit, self.images.as_ref())?;
        if diagnose {
            self.add_diagnosis()?;
        }
        // All models are shown the same corrupted images.
        let corruptions = &self.subjects[0].request;
        check_size(self.corrupted, corruptions, data.size)
            .map_err(|why| Error::Usage(format!("{}: {why}", self.dataset)))?;
        let corrupted = CorruptedSource::new(self.corrupted, folders, corruptions, &data)?;
        let images = DataSpec {
            dataset: self.dataset.clone(),
            train: None,
            test: data.limit,
            images: data.images.clone(),
            validation: rlnet_suites::suite::VALIDATION,
            seed: 0,
            checksum: data.checksum.clone(),
        };
        let mut cells = Vec::new();
        for Subject { files, request } in &self.subjects {
            let surrogate = |name: &str| files.surrogates.get(name).map(|file| file.id.clone());
            cells.extend(request.cells(&EvalSubject {
                model: &files.model.facts.name,
                parent: &files.model.id,
                surrogate: &surrogate,
                data: &images,
                context: &corrupted.context(&data),
            })?);
        }
        let (names, title) = (self.names(), self.names().join(", "));
        let ids = self
            .subjects
            .iter()
            .map(|subject| subject.files.model.id.0.as_str());
        let plan = Plan {
            schema: rlnet_suites::suite::SCHEMA,
            suite: match &names[..] {
                [first, _, _, ..] => format!("eval-{first}-and-{}-more", names.len() - 1),
                names => format!("eval-{}", names.join("-")),
            },
            title: AtScale::title(self.scale.as_ref(), &format!("{title} on {}", self.dataset)),
            scale: self.scale,
            description: format!(
                "{} Model file, blake3 {}.",
                self.description,
                ids.collect::<Vec<_>>().join(", ")
            ),
            headline: self.headline.clone().or_else(|| headline(&cells)),
            baseline: self.baseline,
            relus: self.relus,
            evaluation_batch: self.batch,
            save_images: self.save_images,
            cells,
        };
        let files: Vec<ModelFiles> = self.subjects.into_iter().map(|subject| subject.files).collect();
        for files in &files {
            files.are_used(&plan)?;
        }
        Ok(PlannedEvaluation {
            files,
            headline: self.headline,
            data,
            corrupted,
            plan,
        })
    }

    fn names(&self) -> Vec<&str> {
        let names = self
            .subjects
            .iter()
            .map(|subject| subject.files.model.facts.name.as_str());
        names.collect()
    }

    /// Refuses models that cannot be told apart, and a baseline that is none of them.
    ///
    /// # Errors
    /// With the names, and what to do.
    pub fn check_names(&self) -> Result<()> {
        let names = self.names();
        for (place, subject) in self.subjects.iter().enumerate() {
            let twin = self.subjects[..place].iter().find(|other| {
                let (one, two) = (&other.files.model, &subject.files.model);
                one.id == two.id || one.facts.name == two.facts.name
            });
            if let Some(twin) = twin {
                return Err(Error::Usage(format!(
                    "{} and {} are one model or have one name; leave one out, or give every model its own name, in \
                     their order: --name A --name B",
                    twin.files.model.facts.name, names[place]
                )));
            }
        }
        match self.baseline.as_deref().filter(|name| !names.contains(name)) {
            Some(name) => Err(Error::Usage(format!(
                "--baseline {name}: no model has this name; the models are {}",
                names.join(", ")
            ))),
            None => Ok(()),
        }
    }

    /// Adds the checklist's conditions in AdvA's norm, behind the attacks that were requested.
    fn add_diagnosis(&mut self) -> Result<()> {
        let requested = self
            .subjects
            .iter()
            .flat_map(|subject| subject.request.attacks.clone());
        let requested: Vec<AttackSpec> = requested.collect();
        // Attacks of the checklist are AdvA only where no other was requested.
        self.headline = self
            .headline
            .take()
            .or_else(|| AttackSpec::headline(&requested).cloned());
        let headline = self.headline.as_ref();
        let norm = headline.map_or(Norm::Linf, AttackSpec::norm);
        let group = diagnosis::group_in(norm).ok_or_else(|| {
            Error::Usage(format!(
                "--diagnose: there is no checklist in {norm}, because neither noise nor square is defined in it; AdvA \
                 is {}: request an attack in linf or l2",
                headline.map(ToString::to_string).unwrap_or_default()
            ))
        })?;
        for Subject { files, request } in &mut self.subjects {
            request.probe = true;
            for attack in files.attacks(&[group.to_owned()], request.branches.as_deref())? {
                if !request.attacks.contains(&attack) {
                    request.attacks.push(attack);
                }
            }
        }
        Ok(())
    }
}

/// The attack that AdvA is the accuracy under where nobody names one: the strongest of those in a plan.
fn headline(cells: &[Cell]) -> Option<AttackSpec> {
    let attacks = cells.iter().filter_map(|cell| match &cell.spec {
        CellSpec::Evaluate(spec) => match spec.conditions.first()? {
            Condition::Attack(attack) => Some(attack.clone()),
            _ => None,
        },
        CellSpec::Train(_) => None,
    });
    AttackSpec::headline(&attacks.collect::<Vec<_>>()).cloned()
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
    /// Adds what an earlier evaluation of one of these models on these images has finished in a folder, so that the
    /// report has it too.
    pub fn add_finished(&mut self, out: &Path) {
        let directory = RunDirectory::at(out);
        let known = std::fs::read(out.join("plan.json")).ok();
        let Some(earlier) = known.and_then(|bytes| serde_json::from_slice::<Plan>(&bytes).ok()) else {
            return;
        };
        let images = self.plan.cells.first().map(|cell| cell.data.clone());
        let ours = |cell: &Cell| {
            let models = self.files.iter().map(|files| &files.model);
            let known = models
                .clone()
                .any(|model| cell.parents.first() == Some(&model.id) && cell.model == model.facts.name);
            known
                && images
                    .as_ref()
                    .is_some_and(|images| cell.data.shows_the_images_of(images))
                && !self.plan.cells.iter().any(|own| own.name == cell.name)
        };
        let finished = earlier
            .cells
            .into_iter()
            .filter(|cell| ours(cell) && directory.is_done(&cell.id));
        let finished: Vec<Cell> = finished.collect();
        if finished.is_empty() {
            return;
        }
        announce(&format!(
            "{} has {} more of this model; the report includes them",
            out.display(),
            count(finished.len(), "finished cell"),
        ));
        self.plan.cells.extend(finished);
        // As one evaluation would have ordered them: clean images, corruptions, attacks.
        self.plan.cells.sort_by_key(|cell| match &cell.spec {
            CellSpec::Evaluate(spec) => match spec.conditions.first() {
                Some(Condition::Attack(_)) => 2,
                Some(Condition::Corruption { .. }) => 1,
                _ => 0,
            },
            CellSpec::Train(_) => 0,
        });
        self.plan.headline = self.headline.clone().or_else(|| headline(&self.plan.cells));
    }

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
            external: self.files.iter().flat_map(ModelFiles::sources).collect(),
            allowed: execution.allowed,
            part: execution.part,
            opened: Default::default(),
            records: Default::default(),
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
