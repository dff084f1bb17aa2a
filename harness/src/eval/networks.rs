//! The model under evaluation, and the networks whose gradient an attack on it may follow.

use crate::attack::target::whole_lanes;
use crate::attack::{Classifier, TorchScript};
use crate::error::{Error, Result};
use crate::nn::{ReluMask, model};
use rlnet_suites::{AttackSpec, Branch, Condition, ModelRecord};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor, no_grad_guard};

/// A model and its surrogates, by the names that attacks know them by.
pub struct Networks {
    model: Box<dyn Classifier>,
    record: Option<ModelRecord>,
    others: BTreeMap<String, Box<dyn Classifier>>,
    device: Device,
}

impl Networks {
    /// Loads a model file and what the conditions need beside it: `files` holds teachers and
    /// other models by name; relaxed masks are made from the model itself.
    ///
    /// # Errors
    /// When a file cannot be read, or a relaxed mask is asked of a model that has none.
    pub fn load(
        file: &Path,
        conditions: &[Condition],
        files: &BTreeMap<String, PathBuf>,
        device: Device,
    ) -> Result<Self> {
        let (model, record) = open(file, device)?;
        let mut others: BTreeMap<String, Box<dyn Classifier>> = BTreeMap::new();
        for (name, path) in files {
            others.insert(name.clone(), open(path, device)?.0);
        }
        for condition in conditions {
            let Condition::Attack(spec) = condition else {
                continue;
            };
            let name = spec.word("surrogate");
            if ["all-relu", "linear"].contains(&name) && !others.contains_key(name) {
                others.insert(name.to_owned(), relaxed(file, name, device)?);
            }
        }
        Ok(Self {
            model,
            record,
            others,
            device,
        })
    }

    /// The model under evaluation.
    pub fn model(&self) -> &dyn Classifier {
        self.model.as_ref()
    }

    /// What its file says of it; nothing for TorchScript.
    pub fn record(&self) -> Option<&ModelRecord> {
        self.record.as_ref()
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
        let network = match spec.word("surrogate") {
            "" | "self" => self.model.as_ref(),
            name => self.find(spec, name)?,
        };
        let have = network.branches();
        // A single-norm network answers every branch.
        if have != [Branch::Single] {
            for branch in branches {
                if !branch.banks().all(|bank| have.contains(&bank)) {
                    return Err(Error::Input(format!(
                        "{spec}: the network it follows has no branch {branch}, only {}",
                        have.iter()
                            .map(|branch| branch.name())
                            .collect::<Vec<_>>()
                            .join(", ")
                    )));
                }
            }
        }
        Ok(network)
    }

    /// The teacher's logits of clean images, through its first branch, for attacks that use them.
    ///
    /// # Errors
    /// When the attack needs a teacher and there is none.
    pub fn taught(&self, spec: &AttackSpec, images: &Tensor) -> Result<Option<Tensor>> {
        if spec.word("loss") != "kl-teacher" {
            return Ok(None);
        }
        let _guard = no_grad_guard();
        let teacher = self.find(spec, "teacher")?;
        Ok(Some(whole_lanes(teacher, images, teacher.branches()[0])?))
    }

    fn find(&self, spec: &AttackSpec, name: &str) -> Result<&dyn Classifier> {
        self.others.get(name).map(Box::as_ref).ok_or_else(|| {
            Error::Input(format!(
                "{spec}: there is no network `{name}`; give its file with --surrogate {name}=FILE"
            ))
        })
    }
}

/// Anything that is not safetensors is taken for TorchScript.
pub fn is_torchscript(path: &Path) -> bool {
    path.extension()
        .is_none_or(|extension| extension != "safetensors")
}

fn open(file: &Path, device: Device) -> Result<(Box<dyn Classifier>, Option<ModelRecord>)> {
    if is_torchscript(file) {
        return Ok((Box::new(TorchScript::load(file, device)?), None));
    }
    let (network, header) = model::load(file, device)?;
    Ok((Box::new(network.into_frozen()), Some(header.record)))
}

/// The same weights with every ReLU, or with none.
fn relaxed(file: &Path, name: &str, device: Device) -> Result<Box<dyn Classifier>> {
    if is_torchscript(file) {
        return Err(Error::Input(format!(
            "surrogate={name}: {} is TorchScript, whose ReLUs cannot be changed; evaluate a model.safetensors",
            file.display()
        )));
    }
    let (mut network, _) = model::load(file, device)?;
    let sizes = network.layer_sizes();
    let mask = if name == "linear" {
        ReluMask::from_layers(sizes.iter().map(|&n| vec![0; n as usize]).collect())
    } else {
        ReluMask::full(&sizes)
    };
    network.set_mask(mask)?;
    Ok(Box::new(network.into_frozen()))
}
