//! The model under evaluation, and the networks whose gradient an attack on it may follow.

use super::bounded;
use super::model_source::{ModelKind, ModelSource};
use crate::attack::Classifier;
use crate::attack::lanes::in_batches;
use crate::certify::Graph;
use crate::error::{Error, Result};
use crate::nn::{ReluMask, model};
use rlnet_suites::attack::{Arithmetic, BranchChoice, Loss, Surrogate};
use rlnet_suites::plan::TEACHER;
use rlnet_suites::{AttackSpec, Branch, Condition, ModelRecord};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tch::{Device, Kind, Tensor};

/// A model and its surrogates, by the names that attacks know them by.
pub struct Networks {
    source: ModelSource,
    model: Box<dyn Classifier>,
    record: Option<ModelRecord>,
    others: BTreeMap<String, Other>,
    /// What certificates bound, by branch and side of the images.
    graphs: RefCell<BTreeMap<(Branch, i64), Rc<Graph>>>,
    device: Device,
}

/// A network beside the model, and the file that it was made of.
struct Other {
    source: ModelSource,
    network: Box<dyn Classifier>,
    record: Option<ModelRecord>,
}

impl Networks {
    /// Loads a model file and what the conditions need beside it: `sources` holds teachers and
    /// other models by name; relaxed masks are made from the model itself.
    ///
    /// # Errors
    /// When a file cannot be read, or a relaxed mask is asked of a model that has none.
    pub fn load(
        source: &ModelSource,
        conditions: &[Condition],
        sources: &BTreeMap<String, ModelSource>,
        device: Device,
    ) -> Result<Self> {
        let mut networks = Self::open(source, device)?;
        networks.add(conditions, sources)?;
        Ok(networks)
    }

    /// Loads a model file, and nothing beside it yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(source: &ModelSource, device: Device) -> Result<Self> {
        let (model, record) = source.open(device)?;
        Ok(Self {
            source: source.clone(),
            model,
            record,
            others: BTreeMap::new(),
            graphs: RefCell::default(),
            device,
        })
    }

    /// Loads what these conditions need and is not there yet. `sources` has the surrogates by name.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn add(&mut self, conditions: &[Condition], sources: &BTreeMap<String, ModelSource>) -> Result<()> {
        for (name, source) in sources {
            if !self.has(name, source) {
                let (network, record) = source.open(self.device)?;
                self.insert(name.clone(), source, network, record);
            }
        }
        for condition in conditions {
            let Condition::Attack(spec) = condition else {
                continue;
            };
            let (surrogate, key) = (spec.surrogate(), followed_name(spec));
            let other = surrogate.other().and_then(|name| sources.get(name));
            let source = other.unwrap_or(&self.source).clone();
            let relax = surrogate.is_relaxed();
            let kind = (spec.arithmetic() == Arithmetic::Bf16).then_some(Kind::BFloat16);
            if (relax || kind.is_some()) && !self.has(&key, &source) {
                let network = remade(spec, &source, kind, self.device)?;
                self.insert(key, &source, network, self.record.clone());
            }
        }
        Ok(())
    }

    fn has(&self, name: &str, source: &ModelSource) -> bool {
        self.others.get(name).is_some_and(|other| other.source == *source)
    }

    fn insert(
        &mut self,
        name: String,
        source: &ModelSource,
        network: Box<dyn Classifier>,
        record: Option<ModelRecord>,
    ) {
        let other = Other {
            source: source.clone(),
            network,
            record,
        };
        self.others.insert(name, other);
    }

    /// The model under evaluation.
    pub fn model(&self) -> &dyn Classifier {
        self.model.as_ref()
    }

    /// A branch of the model as a graph that bounds go through, for images of a side.
    ///
    /// # Errors
    /// When it cannot be bounded.
    pub fn graph(&self, branch: Branch, side: i64) -> Result<Rc<Graph>> {
        if let Some(known) = self.graphs.borrow().get(&(branch, side)) {
            return Ok(Rc::clone(known));
        }
        let graph = Rc::new(bounded::graph(&self.source, branch, side, self.device)?);
        self.graphs.borrow_mut().insert((branch, side), Rc::clone(&graph));
        Ok(graph)
    }

    /// The network of this name beside it.
    pub fn other(&self, name: &str) -> Option<&dyn Classifier> {
        self.others.get(name).map(|other| other.network.as_ref())
    }

    /// What its file says of it; nothing for TorchScript.
    pub fn record(&self) -> Option<&ModelRecord> {
        self.record.as_ref()
    }

    /// Whether this program trained the model, or the network of this name beside it.
    pub fn is_own(&self, other: Option<&str>) -> bool {
        let record = match other {
            None => self.record.as_ref(),
            Some(name) => self.others.get(name).and_then(|other| other.record.as_ref()),
        };
        record.is_some_and(|record| !record.imported)
    }

    /// Its branches.
    pub fn branches(&self) -> &[Branch] {
        self.model.branches()
    }

    /// Where images must live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The network whose gradient an attack follows, through these branches.
    ///
    /// # Errors
    /// When there is no such network, or it has no such branch.
    pub fn followed(&self, spec: &AttackSpec, branches: &[Branch]) -> Result<&dyn Classifier> {
        let network = match followed_name(spec).as_str() {
            "self" => self.model.as_ref(),
            name => self.find(spec, name)?,
        };
        // A single-norm network answers every branch.
        if network.branches() != [Branch::Single] {
            within(
                branches,
                network.branches(),
                &format!("{spec}: the network it follows"),
            )?;
        }
        Ok(network)
    }

    /// The branches whose gradient an attack that is judged on one branch follows, as the followed
    /// network calls them.
    ///
    /// # Errors
    /// When there is no such network or branch.
    pub fn through(&self, spec: &AttackSpec, judged: Branch) -> Result<Vec<Branch>> {
        let branches = match spec.branch() {
            BranchChoice::Same => vec![judged],
            BranchChoice::All => self.branches().to_vec(),
            BranchChoice::One(branch) => vec![branch],
        };
        let followed = self.followed(spec, &branches)?;
        // A single-norm network answers every branch.
        match (followed.branches(), branches.as_slice()) {
            ([Branch::Single], [_]) => Ok(vec![Branch::Single]),
            _ => Ok(branches),
        }
    }

    /// The branches, when the model has them.
    ///
    /// # Errors
    /// When it has not.
    pub fn check<'a>(&self, branches: &'a [Branch]) -> Result<&'a [Branch]> {
        within(branches, self.branches(), "the model")?;
        Ok(branches)
    }

    /// The teacher's logits of clean images, through its first branch, about `batch` images at a time, for attacks that use
    /// them.
    ///
    /// # Errors
    /// When the attack needs a teacher and there is none.
    pub fn taught(&self, spec: &AttackSpec, images: &Tensor, batch: usize) -> Result<Option<Tensor>> {
        if spec.loss() != Loss::KlTeacher {
            return Ok(None);
        }
        let teacher = self.find(spec, TEACHER)?;
        Ok(Some(in_batches(teacher, images, teacher.branches()[0], batch)?))
    }

    fn find(&self, spec: &AttackSpec, name: &str) -> Result<&dyn Classifier> {
        self.other(name).ok_or_else(|| {
            Error::Usage(format!(
                "{spec}: there is no network `{name}`; give its file with --surrogate {name}=FILE"
            ))
        })
    }
}

/// That all these branches, or the banks they mix, are among those that somebody has.
///
/// # Errors
/// When one is not.
fn within(asked: &[Branch], have: &[Branch], whose: &str) -> Result<()> {
    let names = |branches: &[Branch]| branches.iter().map(|b| b.name()).collect::<Vec<_>>().join(", ");
    match asked
        .iter()
        .find(|branch| !branch.banks().all(|bank| have.contains(&bank)))
    {
        None => Ok(()),
        Some(branch) => Err(Error::Incompatible(format!(
            "{whose} has no branch {branch}, only {}",
            names(have)
        ))),
    }
}

/// The name in [`Networks`] of what an attack follows.
fn followed_name(spec: &AttackSpec) -> String {
    match spec.arithmetic() {
        Arithmetic::Bf16 => format!("{} in bf16", spec.surrogate()),
        Arithmetic::Fp32 => spec.surrogate().to_string(),
    }
}

/// The weights of a file with the mask and in the arithmetic that an attack follows.
fn remade(
    spec: &AttackSpec,
    source: &ModelSource,
    kind: Option<Kind>,
    device: Device,
) -> Result<Box<dyn Classifier>> {
    let file = &source.path;
    if ModelKind::of(file) != ModelKind::Own {
        return Err(Error::Incompatible(format!(
            "{spec}: {} is no model of this program, so its ReLUs and arithmetic cannot be changed; evaluate a \
             model.safetensors",
            file.display()
        )));
    }
    let (mut network, _) = model::load(file, device)?;
    let sizes = network.layer_sizes();
    match spec.surrogate() {
        Surrogate::Linear => {
            let none = sizes.iter().map(|&n| vec![0; n as usize]).collect();
            network.set_mask(ReluMask::from_layers(none))?;
        }
        Surrogate::AllRelu => network.set_mask(ReluMask::full(&sizes))?,
        _ => {}
    }
    Ok(Box::new(network.into_frozen_in(kind)))
}
