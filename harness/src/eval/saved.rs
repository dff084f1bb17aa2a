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
    /// Of the backward passes those whose gradient could not be followed.
    #[serde(default)]
    unusable: BTreeMap<Branch, Vec<u32>>,
}

/// The images made against one branch, and what they cost.
#[derive(Debug, Default)]
struct BranchImages {
    pieces: Vec<Tensor>,
    /// Without what broke each; empty in files that do not say.
    spent: PassCount,
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
    /// What making each cost; empty where the file does not say.
    pub spent: PassCount,
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
        made.spent.append(spent.clone());
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
            made.spent.append(after.spent);
        }
        self.indices.extend(after.indices);
        self.labels.extend(after.labels);
    }

    /// `count` of the images, from place `first` on.
    #[must_use]
    pub fn part(self, first: usize, count: usize) -> Self {
        let within = first..first + count;
        let places: Vec<usize> = within.clone().collect();
        let made = self.made.into_iter().map(|(branch, made)| {
            let images = Tensor::cat(&made.pieces, 0);
            let part = BranchImages {
                pieces: vec![images.narrow(0, first as i64, count as i64)],
                spent: match made.spent.forwards.len() < within.end {
                    true => PassCount::default(),
                    false => made.spent.select(&places),
                },
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
            unusable: BTreeMap::new(),
        };
        // One branch after the other: all images lie in memory twice at most.
        for (branch, made) in self.made {
            let all = Tensor::cat(&made.pieces, 0);
            header.shape = all.size();
            header.forwards.insert(branch, made.spent.forwards);
            header.backwards.insert(branch, made.spent.backwards);
            header.unusable.insert(branch, made.spent.unusable);
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
            let forwards = header.forwards.remove(branch).unwrap_or_default();
            let mut spent = PassCount::none(forwards.len());
            spent.forwards = forwards;
            let counts = [
                (&mut spent.backwards, &mut header.backwards),
                (&mut spent.unusable, &mut header.unusable),
            ];
            for (own, known) in counts {
                let known = known.remove(branch).filter(|known| known.len() == own.len());
                *own = known.unwrap_or_else(|| std::mem::take(own));
            }
            let branches_own = BranchImages {
                pieces: vec![tensors.get(branch.name(), &header.shape)?],
                spent,
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
            spent: made.spent.clone(),
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
