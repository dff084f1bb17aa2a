//! Adversarial images as a file, floats as the attack made them, so that a model says of them
//! again exactly what it said.

use crate::error::{Error, Result};
use crate::nn::checkpoint::Tensors;
use rlnet_suites::{Branch, Condition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Tensor};

/// The file's name in an evaluation cell.
pub const FILE: &str = "adversarial.safetensors";

/// What the file says of its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    kind: String,
    condition: Condition,
    shape: Vec<i64>,
    branches: Vec<Branch>,
    indices: Vec<u32>,
    labels: Vec<u16>,
}

/// Adversarial images of one attack, by the branch that was attacked.
#[derive(Debug, Default)]
pub struct Saved {
    condition: Option<Condition>,
    pieces: BTreeMap<Branch, Vec<Tensor>>,
    indices: Vec<u32>,
    labels: Vec<u16>,
}

impl Saved {
    /// Adds a batch: images `[N, 3, H, W]`, their positions in the test set and their labels.
    pub fn push(
        &mut self,
        condition: &Condition,
        branch: Branch,
        indices: &[u32],
        labels: &[u16],
        images: &Tensor,
    ) {
        self.condition.get_or_insert_with(|| condition.clone());
        let pieces = self.pieces.entry(branch).or_default();
        pieces.push(images.detach().to_device(Device::Cpu));
        // The first branch to bring a batch brings its labels too.
        if self.indices.last() != indices.last() {
            self.indices.extend(indices);
            self.labels.extend(labels);
        }
    }

    /// Adds the images that come after these.
    pub fn append(&mut self, after: Self) {
        if self.condition.is_none() {
            self.condition = after.condition;
        }
        for (branch, pieces) in after.pieces {
            self.pieces.entry(branch).or_default().extend(pieces);
        }
        self.indices.extend(after.indices);
        self.labels.extend(after.labels);
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let empty = || Error::Work(format!("writing {}: no image was kept", path.display()));
        let mut tensors = Tensors::default();
        let mut shape = Vec::new();
        for (branch, pieces) in &self.pieces {
            let all = Tensor::cat(pieces, 0);
            shape = all.size();
            tensors.put(branch.name(), &all);
        }
        let header = Header {
            kind: "adversarial".into(),
            condition: self.condition.clone().ok_or_else(empty)?,
            shape,
            branches: self.pieces.keys().copied().collect(),
            indices: self.indices.clone(),
            labels: self.labels.clone(),
        };
        tensors.save(path, &header)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is absent, truncated or not a file of adversarial images.
    pub fn read(path: &Path) -> Result<Self> {
        let (tensors, header): (Tensors, Header) = Tensors::load(path)?;
        let mut pieces = BTreeMap::new();
        for branch in &header.branches {
            pieces.insert(*branch, vec![tensors.get(branch.name(), &header.shape)?]);
        }
        Ok(Self {
            condition: Some(header.condition),
            pieces,
            indices: header.indices,
            labels: header.labels,
        })
    }

    /// The attacked branches with their images `[N, 3, H, W]`.
    pub fn images(&self) -> impl Iterator<Item = (Branch, Tensor)> {
        self.pieces
            .iter()
            .map(|(branch, pieces)| (*branch, Tensor::cat(pieces, 0)))
    }

    /// Positions in the test set.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// True classes.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }
}
