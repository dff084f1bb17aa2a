//! Finished cells and their models, by any of the names that people give them.

use crate::error::{Error, Result};
use crate::eval::model_source::ModelKind;
use crate::nn::Network;
use crate::nn::model::{self, ModelHeader};
use crate::run::difference::{in_run, open};
use rlnet_suites::{Branch, CellRecord, CellSpec, TrainSpec};
use std::path::{Path, PathBuf};
use tch::Device;

/// A finished cell that was named.
pub struct FinishedCell {
    /// Its folder.
    pub folder: PathBuf,
    /// What it was.
    pub record: CellRecord,
}

impl FinishedCell {
    /// What was trained.
    ///
    /// # Errors
    /// When it is an evaluation.
    pub fn spec(&self) -> Result<&TrainSpec> {
        match &self.record.cell.spec {
            CellSpec::Train(spec) => Ok(spec),
            CellSpec::Evaluate(_) => Err(Error::Missing(format!(
                "{}: this cell is an evaluation, which trains nothing; name a training stage",
                self.folder.display()
            ))),
        }
    }
}

/// A finished training cell by its folder, its model file, or RUN:NAME.
///
/// # Errors
/// When there is no such cell; `what` is the option that names it.
pub fn find(text: &str, what: &str) -> Result<FinishedCell> {
    let path = Path::new(text);
    let folder = match (path.is_file(), path.parent()) {
        (true, Some(folder)) if folder.join("cell.json").exists() => folder.display().to_string(),
        (true, _) => {
            return Err(Error::Missing(format!(
                "{what} {text}: it lies in no cell of a run, so its training data are unknown; name a finished cell \
                 (OUT/cells/ID), or train one with rlnet train"
            )));
        }
        _ => text.to_owned(),
    };
    let (folder, record) =
        open(&folder).map_err(|error| Error::Missing(format!("{what} {text}: {error}")))?;
    Ok(FinishedCell { folder, record })
}

/// A model's file: itself, or that of a finished training cell, by the cell's folder or RUN:NAME.
///
/// # Errors
/// When there is no such file or cell, or the cell has no model.
pub fn model_file(named: &Path) -> Result<PathBuf> {
    let cell = named.join("cell.json").exists();
    if named.exists() && !named.is_dir() {
        return Ok(named.to_path_buf());
    }
    let text = named.to_str().filter(|text| cell || in_run(text).is_some());
    let Some(text) = text else {
        let why = if named.is_dir() {
            "this folder is not a finished cell"
        } else {
            "there is no such file"
        };
        return Err(Error::reading(
            named,
            format!(
                "{why}; name a model's file, its cell's folder (OUT/cells/ID), or RUN:NAME as out/demo:rlnet"
            ),
        ));
    };
    let (folder, record) = open(text)?;
    if let CellSpec::Evaluate(_) = record.cell.spec {
        return Err(Error::Missing(format!(
            "{text}: this cell is an evaluation of {} and has no model; name the cell that trained it",
            record.cell.model
        )));
    }
    let file = folder.join("model.safetensors");
    if !file.is_file() {
        return Err(Error::reading(
            &file,
            "it is missing from its cell; rlnet run SUITE --verify moves such cells aside, so that they are trained again",
        ));
    }
    Ok(file)
}

/// A model of this program, on the CPU, by its file or by its cell.
///
/// # Errors
/// As [`model_file`], and when the file is not a model of this program.
pub fn load_model(named: &Path) -> Result<(PathBuf, Network, ModelHeader)> {
    let file = model_file(named)?;
    match model::load(&file, Device::Cpu) {
        Ok((network, header)) => Ok((file, network, header)),
        Err(error) if ModelKind::of(&file) == ModelKind::TorchScript => Err(Error::Model(format!(
            "{error}; this command needs a model.safetensors, not TorchScript (rlnet eval evaluates it; rlnet import \
             makes a model from a PyTorch checkpoint)"
        ))),
        Err(error) => Err(error),
    }
}

/// A branch that was named, when the network has it or the banks that it mixes.
///
/// # Errors
/// When it has not.
pub fn check_branch(network: &Network, branch: Branch) -> Result<Branch> {
    let banks = network.spec().norm.branches();
    if branch.banks().all(|bank| banks.contains(&bank)) {
        return Ok(branch);
    }
    let names: Vec<&str> = banks.iter().map(|bank| bank.name()).collect();
    Err(Error::Usage(format!(
        "--branch {branch}: the model has only {}",
        names.join(", ")
    )))
}
