//! Adversarial images as a file, floats as the attack made them, so that a model says of them
//! again exactly what it said.

use crate::attack::PassCount;
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
    /// Passes that each image cost, by branch; none for one that was not attacked.
    #[serde(default)]
    forwards: BTreeMap<Branch, Vec<u32>>,
    #[serde(default)]
    backwards: BTreeMap<Branch, Vec<u32>>,
}

/// The images made against one branch, and what they cost.
#[derive(Debug, Default)]
struct BranchImages {
    pieces: Vec<Tensor>,
    forwards: Vec<u32>,
    backwards: Vec<u32>,
}

/// Adversarial images of one attack, by the branch that was attacked.
#[derive(Debug, Default)]
pub struct Saved {
    condition: Option<Condition>,
    made: BTreeMap<Branch, BranchImages>,
    indices: Vec<u32>,
    labels: Vec<u16>,
}

/// What a file has of one branch.
#[derive(Debug)]
pub struct Images {
    /// The branch that was attacked.
    pub branch: Branch,
    /// `[N, 3, H, W]`.
    pub images: Tensor,
    /// Forward passes of making each.
    pub forwards: Vec<u32>,
    /// Backward passes.
    pub backwards: Vec<u32>,
}

impl Saved {
    /// Adds a batch: images `[N, 3, H, W]` with what they cost, their positions in the test set and
    /// their labels.
    pub fn push(
        &mut self,
        condition: &Condition,
        branch: Branch,
        indices: &[u32],
        labels: &[u16],
        (images, spent): (&Tensor, &PassCount),
    ) {
        self.condition.get_or_insert_with(|| condition.clone());
        let made = self.made.entry(branch).or_default();
        made.pieces.push(images.detach().to_device(Device::Cpu));
        made.forwards.extend(&spent.forwards);
        made.backwards.extend(&spent.backwards);
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
        for (branch, after) in after.made {
            let made = self.made.entry(branch).or_default();
            made.pieces.extend(after.pieces);
            made.forwards.extend(after.forwards);
            made.backwards.extend(after.backwards);
        }
        self.indices.extend(after.indices);
        self.labels.extend(after.labels);
    }

    /// `count` of the images, from place `first` on.
    #[must_use]
    pub fn part(self, first: usize, count: usize) -> Self {
        let within = first..first + count;
        let passes = |all: Vec<u32>| all.get(within.clone()).map(<[u32]>::to_vec).unwrap_or_default();
        let made = self.made.into_iter().map(|(branch, made)| {
            let images = Tensor::cat(&made.pieces, 0);
            let part = BranchImages {
                pieces: vec![images.narrow(0, first as i64, count as i64)],
                forwards: passes(made.forwards),
                backwards: passes(made.backwards),
            };
            (branch, part)
        });
        Self {
            condition: self.condition,
            made: made.collect(),
            indices: self.indices[within.clone()].to_vec(),
            labels: self.labels[within.clone()].to_vec(),
        }
    }

    /// Some of the images, in this order, by their positions in the test set, without what they cost; nothing where
    /// one is not there.
    #[must_use]
    pub fn select(self, images: &[u32]) -> Option<Self> {
        let place = |image: &u32| self.indices.iter().position(|known| known == image);
        let places: Vec<usize> = images.iter().map(place).collect::<Option<_>>()?;
        let rows: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let made = self.made.iter().map(|(branch, made)| {
            let chosen = Tensor::cat(&made.pieces, 0).index_select(0, &Tensor::from_slice(&rows));
            let chosen = BranchImages {
                pieces: vec![chosen],
                ..BranchImages::default()
            };
            (*branch, chosen)
        });
        Some(Self {
            condition: self.condition.clone(),
            made: made.collect(),
            indices: images.to_vec(),
            labels: places.iter().map(|&place| self.labels[place]).collect(),
        })
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(self, path: &Path) -> Result<()> {
        let empty = || Error::Internal(format!("writing {}: no image was kept", path.display()));
        let mut tensors = Tensors::default();
        let mut header = Header {
            kind: "adversarial".into(),
            condition: self.condition.ok_or_else(empty)?,
            shape: Vec::new(),
            branches: self.made.keys().copied().collect(),
            indices: self.indices,
            labels: self.labels,
            forwards: BTreeMap::new(),
            backwards: BTreeMap::new(),
        };
        // One branch after the other: all images lie in memory twice at most.
        for (branch, made) in self.made {
            let all = Tensor::cat(&made.pieces, 0);
            header.shape = all.size();
            header.forwards.insert(branch, made.forwards);
            header.backwards.insert(branch, made.backwards);
            drop(made.pieces);
            tensors.put(branch.name(), &all);
        }
        tensors.save(path, &header)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is absent, truncated or not a file of adversarial images.
    pub fn read(path: &Path) -> Result<Self> {
        let (tensors, mut header): (Tensors, Header) = Tensors::load(path)?;
        let images = header.indices.len();
        let whole =
            matches!(header.shape[..], [n, 3, _, _] if n == images as i64) && header.labels.len() == images;
        if header.kind != "adversarial" || !whole {
            return Err(Error::reading(
                path,
                "its header does not describe adversarial images with their labels",
            ));
        }
        let mut made = BTreeMap::new();
        for branch in &header.branches {
            let branches_own = BranchImages {
                pieces: vec![tensors.get(branch.name(), &header.shape)?],
                forwards: header.forwards.remove(branch).unwrap_or_default(),
                backwards: header.backwards.remove(branch).unwrap_or_default(),
            };
            made.insert(*branch, branches_own);
        }
        Ok(Self {
            condition: Some(header.condition),
            made,
            indices: header.indices,
            labels: header.labels,
        })
    }

    /// What they were made by.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// The attacked branches with their images.
    pub fn images(&self) -> impl Iterator<Item = Images> {
        self.made.iter().map(|(branch, made)| Images {
            branch: *branch,
            images: Tensor::cat(&made.pieces, 0),
            forwards: made.forwards.clone(),
            backwards: made.backwards.clone(),
        })
    }

    /// The attacked branches, in their order.
    pub fn branches(&self) -> impl Iterator<Item = Branch> {
        self.made.keys().copied()
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
