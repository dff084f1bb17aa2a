//! A trained network as a file: weights, mask, and all that is needed to build it again.

use super::arch::Arch;
use super::build::Quirks;
use super::checkpoint::Tensors;
use super::network::{Network, NetworkSpec};
use crate::error::{Error, Result};
use rlnet_suites::{ModelRecord, NormBanks};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::Device;

/// The header of a model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHeader {
    /// `model`, to tell it from a stage's checkpoint.
    pub kind: String,
    /// What tables say of it.
    pub record: ModelRecord,
    /// Data set it was trained on.
    pub dataset: String,
    /// Per-channel mean in its first layer.
    pub mean: [f64; 3],
    /// Per-channel deviation in its first layer.
    pub std: [f64; 3],
    /// Whether shortcut norms have a bank a branch.
    pub banked_shortcut: bool,
    /// Whether blocks that keep their shape add their input.
    pub identity_skip: bool,
    /// Whether stage outputs are handed out through the norm that follows them.
    #[serde(default)]
    pub normed_stages: bool,
}

impl ModelHeader {
    /// The header of a network.
    pub fn of(network: &Network, classes: &[String], dataset: &str, epoch: u32) -> Self {
        let spec = network.spec();
        Self {
            kind: "model".into(),
            record: ModelRecord {
                arch: spec.arch.to_string(),
                image_size: spec.image_size as u32,
                classes: classes.to_vec(),
                norm: spec.norm,
                parameters: network.params().count(),
                macs: network.macs(),
                layers: network.mask().records(network.layers()),
                linear: network.linear().to_vec(),
                dropped: network.dropped(),
                epoch,
                overfitted: None,
                imported: false,
                deployed: None,
            },
            dataset: dataset.to_owned(),
            mean: spec.mean,
            std: spec.std,
            banked_shortcut: spec.quirks.banked_shortcut,
            identity_skip: spec.quirks.identity_skip,
            normed_stages: spec.quirks.normed_stages,
        }
    }

    fn network_spec(&self) -> Result<NetworkSpec> {
        Ok(NetworkSpec {
            arch: self.record.arch.parse::<Arch>()?,
            image_size: u64::from(self.record.image_size),
            classes: self.record.classes.len(),
            norm: self.record.norm,
            quirks: Quirks {
                banked_shortcut: self.banked_shortcut,
                identity_skip: self.identity_skip,
                normed_stages: self.normed_stages,
            },
            mean: self.mean,
            std: self.std,
        })
    }

    /// Banks of batch norm.
    pub fn norm(&self) -> NormBanks {
        self.record.norm
    }
}

/// Writes a model file, atomically.
///
/// # Errors
/// When the disk refuses.
pub fn save(path: &Path, network: &Network, header: &ModelHeader) -> Result<()> {
    let mut tensors = Tensors::default();
    tensors.put_network("param/", network);
    tensors.put_mask("mask/", network.mask());
    tensors.save(path, header)
}

/// Reads a model file onto a device.
///
/// # Errors
/// When it is damaged, not a model, or of an unknown architecture.
pub fn load(path: &Path, device: Device) -> Result<(Network, ModelHeader)> {
    let (tensors, header): (Tensors, ModelHeader) = Tensors::load(path)?;
    if header.kind != "model" {
        return Err(Error::reading(path, "it is a training checkpoint, not a model"));
    }
    let spec = header.network_spec()?;
    // The seed is of no consequence: every tensor is overwritten.
    let mut network = Network::new(spec, 0, device);
    network.replace_dropped(header.record.dropped);
    tensors.get_network("param/", &network)?;
    let layers = network.layers().len();
    network.set_mask(tensors.get_mask("mask/", layers)?)?;
    Ok((network, header))
}
