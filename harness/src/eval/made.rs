//! Adversarial images that other cells have made, so that no attack is run twice: one that follows a
//! network through a branch makes the same image whoever is shown it.

use super::saved::Saved;
use rlnet_suites::Branch;
use std::collections::HashMap;
use tch::{Device, Tensor};

/// Images of one attack on one network, by the branch whose gradient was followed.
#[derive(Debug, Default)]
pub struct Made {
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Set {
    followed: Branch,
    /// `[N, 3, H, W]`.
    images: Tensor,
    /// Rows of the attacked ones, by their positions in the test set.
    rows: HashMap<u32, usize>,
    forwards: Vec<u32>,
    backwards: Vec<u32>,
}

/// Those of some images that are there already.
#[derive(Debug)]
pub struct Known {
    /// Their places among the images asked for.
    pub places: Vec<usize>,
    /// `[M, 3, H, W]`, one a place.
    pub images: Tensor,
    /// Forward passes of making each.
    pub forwards: Vec<u32>,
    /// Backward passes.
    pub backwards: Vec<u32>,
}

impl Made {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Adds the images of a file; of those that were not attacked nothing is known. They follow
    /// `through`, or each the branch it is judged on.
    pub fn add(&mut self, saved: &Saved, through: Option<Branch>) {
        for set in saved.images() {
            let cost = set.forwards.iter().zip(saved.indices()).enumerate();
            let attacked = cost.filter(|(_, (forwards, _))| **forwards > 0);
            self.sets.push(Set {
                followed: through.unwrap_or(set.branch),
                rows: attacked.map(|(row, (_, index))| (*index, row)).collect(),
                images: set.images,
                forwards: set.forwards,
                backwards: set.backwards,
            });
        }
    }

    /// Of the images at these positions of the test set those that were made through a branch.
    pub fn find(&self, followed: Branch, indices: &[u32], device: Device) -> Option<Known> {
        let mut known: Vec<(usize, &Set, usize)> = Vec::new();
        for (place, index) in indices.iter().enumerate() {
            let mut sets = self.sets.iter().filter(|set| set.followed == followed);
            known.extend(sets.find_map(|set| Some((place, set, *set.rows.get(index)?))));
        }
        if known.is_empty() {
            return None;
        }
        let images: Vec<Tensor> = known
            .iter()
            .map(|(_, set, row)| set.images.narrow(0, *row as i64, 1))
            .collect();
        Some(Known {
            places: known.iter().map(|(place, ..)| *place).collect(),
            images: Tensor::cat(&images, 0).to_device(device),
            forwards: known.iter().map(|(_, set, row)| set.forwards[*row]).collect(),
            backwards: known.iter().map(|(_, set, row)| set.backwards[*row]).collect(),
        })
    }
}
