//! Named tensors with a JSON header in one safetensors file, read strictly.
//!
//! A file is refused unless it has exactly the tensors asked for, with their shapes and
//! types: a checkpoint that loads is the network it says it is.

use super::mask::ReluMask;
use super::network::Network;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The header's key in the safetensors metadata.
const HEADER: &str = "rlnet";

/// Tensors by name, as bytes. f32 for weights, u8 for masks, f64 for scores.
#[derive(Debug, Default)]
pub struct Tensors {
    items: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    /// Adds an f32 tensor (any device, any strides).
    pub fn put(&mut self, name: impl Into<String>, tensor: &Tensor) {
        let _guard = no_grad_guard();
        let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut bytes = vec![0_u8; flat.numel() * 4];
        flat.copy_data_u8(&mut bytes, flat.numel());
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        self.items.insert(name.into(), (Dtype::F32, shape, bytes));
    }

    /// Adds bytes of one layer's mask.
    pub fn put_units(&mut self, name: impl Into<String>, units: &[u8]) {
        let item = (Dtype::U8, vec![units.len()], units.to_vec());
        self.items.insert(name.into(), item);
    }

    /// Adds one layer's scores.
    pub fn put_scores(&mut self, name: impl Into<String>, scores: &[f64]) {
        let bytes = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
        let item = (Dtype::F64, vec![scores.len()], bytes);
        self.items.insert(name.into(), item);
    }

    /// All of a network's tensors under `prefix`.
    pub fn put_network(&mut self, prefix: &str, network: &Network) {
        for param in network.params().iter() {
            self.put(format!("{prefix}{}", param.name), &param.tensor);
        }
    }

    /// A mask, one tensor a layer, under `prefix`.
    pub fn put_mask(&mut self, prefix: &str, mask: &ReluMask) {
        for (layer, units) in mask.layers().iter().enumerate() {
            self.put_units(format!("{prefix}{layer:03}"), units);
        }
    }

    /// blake3 of all names, types, shapes and bytes.
    pub fn checksum(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for (name, (dtype, shape, bytes)) in &self.items {
            hash.update(format!("{name} {dtype:?} {shape:?} ").as_bytes());
            hash.update(bytes);
        }
        hash.finalize().to_hex().to_string()
    }

    /// Writes a file with a header, atomically.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, path: &Path, header: &impl Serialize) -> Result<()> {
        let header = serde_json::to_string(header).map_err(Error::internal)?;
        self.write(path, Some(HashMap::from([(HEADER.to_owned(), header)])))
    }

    /// Writes a file without a header, atomically, for any reader of safetensors.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save_plain(&self, path: &Path) -> Result<()> {
        self.write(path, None)
    }

    fn write(&self, path: &Path, metadata: Option<HashMap<String, String>>) -> Result<()> {
        let views = self
            .items
            .iter()
            .map(|(name, (dtype, shape, bytes))| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.clone(), view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(Error::internal)?;
        let bytes = serialize(views, metadata).map_err(Error::internal)?;
        write_atomic(path, &bytes)
    }

    /// Reads a file and its header.
    ///
    /// # Errors
    /// When it is absent, truncated, not safetensors, or not written by this program.
    pub fn load<H: DeserializeOwned>(path: &Path) -> Result<(Self, H)> {
        let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
        let header = Self::header(path, &bytes)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| broken(path, error))?;
        let items = tensors
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let item = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
                (name, item)
            })
            .collect();
        Ok((Self { items }, header))
    }

    /// The header of a file with these bytes; `path` is for messages.
    ///
    /// # Errors
    /// When they are truncated, not safetensors, or not written by this program.
    pub fn header<H: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<H> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| broken(path, error))?;
        let header = metadata
            .metadata()
            .as_ref()
            .and_then(|map| map.get(HEADER))
            .ok_or_else(|| broken(path, "it has no `rlnet` header"))?;
        serde_json::from_str(header).map_err(|error| broken(path, error))
    }

    /// The tensor of this name, with exactly this shape.
    ///
    /// # Errors
    /// When it is missing or of another shape or type.
    pub fn get(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let (dtype, have, bytes) = self.item(name)?;
        let want: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
        if *dtype != Dtype::F32 || *have != want {
            return Err(Error::Model(format!(
                "tensor `{name}` is {dtype:?} {have:?}, this network needs F32 {want:?}: \
                 the checkpoint belongs to another architecture"
            )));
        }
        Ok(Tensor::from_data_size(bytes, shape, Kind::Float))
    }

    /// Copies the tensors under `prefix` into a network, in place.
    ///
    /// # Errors
    /// When names or shapes are not exactly the network's.
    pub fn get_network(&self, prefix: &str, network: &Network) -> Result<()> {
        let _guard = no_grad_guard();
        let mine = network.params().iter().count();
        let theirs = self.items.keys().filter(|name| name.starts_with(prefix)).count();
        if mine != theirs {
            return Err(Error::Model(format!(
                "the checkpoint has {theirs} tensors under `{prefix}`, {} has {mine}",
                network.spec().arch
            )));
        }
        for param in network.params().iter() {
            let stored = self.get(&format!("{prefix}{}", param.name), &param.tensor.size())?;
            param.tensor.shallow_clone().copy_(&stored);
        }
        Ok(())
    }

    /// The mask under `prefix`.
    ///
    /// # Errors
    /// When a layer is missing.
    pub fn get_mask(&self, prefix: &str, layers: usize) -> Result<ReluMask> {
        let layer = |layer| Ok(self.item(&format!("{prefix}{layer:03}"))?.2.clone());
        Ok(ReluMask::from_layers(
            (0..layers).map(layer).collect::<Result<_>>()?,
        ))
    }

    /// One layer's scores.
    ///
    /// # Errors
    /// When they are missing or not scores.
    pub fn get_scores(&self, name: &str) -> Result<Vec<f64>> {
        let (dtype, _, bytes) = self.item(name)?;
        if *dtype != Dtype::F64 {
            return Err(Error::Model(format!(
                "tensor `{name}` is {dtype:?}, scores are F64"
            )));
        }
        let (words, _) = bytes.as_chunks::<8>();
        Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
    }

    /// Whether a tensor of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    fn item(&self, name: &str) -> Result<&(Dtype, Vec<usize>, Vec<u8>)> {
        self.items
            .get(name)
            .ok_or_else(|| Error::Model(format!("the checkpoint has no tensor `{name}`")))
    }
}

/// The error of a file that is no checkpoint.
fn broken(path: &Path, why: impl Display) -> Error {
    Error::reading(
        path,
        format!("{why}; the file is truncated or not a checkpoint of this program"),
    )
}
