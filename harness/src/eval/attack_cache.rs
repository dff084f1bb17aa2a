//! Adversarial images that other cells have made, so that they need not be made again: an attack that
//! follows a network through some branches makes the same image whoever is shown it.

use super::saved::Saved;
use crate::attack::PassCount;
use rlnet_suites::{Branch, CellId};
use std::cell::Cell;
use std::collections::HashMap;
use tch::{Device, Kind, Tensor};

/// Images of one attack on one network, by the branches whose gradient was followed.
#[derive(Debug, Default)]
pub struct AttackCache {
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Set {
    cell: CellId,
    followed: Vec<Branch>,
    /// `[N, 3, H, W]`.
    images: Tensor,
    /// Rows by positions in the test set.
    rows: HashMap<u32, usize>,
    spent: PassCount,
    used: Cell<bool>,
}

/// Those of some images that are there already.
#[derive(Debug)]
pub struct Known {
    /// Their places among the images asked for.
    pub places: Vec<usize>,
    /// `[M, 3, H, W]`, one a place.
    pub images: Tensor,
    /// What making them cost.
    pub spent: PassCount,
}

impl AttackCache {
    /// Adds what a cell's file has, and nothing here has yet, of the attacked images of the branches
    /// they are judged on for which `followed` says what was followed.
    pub fn add(&mut self, cell: &CellId, saved: &Saved, followed: impl Fn(Branch) -> Option<Vec<Branch>>) {
        for set in saved.images() {
            let Some(followed) = followed(set.branch) else {
                continue;
            };
            let there = |index: &u32| {
                let mut sets = self.sets.iter().filter(|set| set.followed == followed);
                sets.any(|set| set.rows.contains_key(index))
            };
            let (mut rows, mut taken) = (HashMap::new(), Vec::new());
            for (row, index) in saved.indices().iter().enumerate() {
                let attacked = set.spent.forwards.get(row).is_some_and(|&forwards| forwards > 0);
                if attacked && !there(index) {
                    rows.insert(*index, taken.len());
                    taken.push(row);
                }
            }
            if taken.is_empty() {
                continue;
            }
            let places: Vec<i64> = taken.iter().map(|&row| row as i64).collect();
            let places = Tensor::from_slice(&places).to_kind(Kind::Int64);
            self.sets.push(Set {
                cell: cell.clone(),
                images: set.images.index_select(0, &places),
                spent: set.spent.select(&taken),
                used: Cell::new(false),
                rows,
                followed,
            });
        }
    }

    /// Of the images at these positions of the test set those that were made through these branches.
    pub fn find(&self, followed: &[Branch], indices: &[u32], device: Device) -> Option<Known> {
        let mut known: Vec<(usize, &Set, usize)> = Vec::new();
        for (place, index) in indices.iter().enumerate() {
            let mut sets = self.sets.iter().filter(|set| set.followed == followed);
            known.extend(sets.find_map(|set| Some((place, set, *set.rows.get(index)?))));
        }
        if known.is_empty() {
            return None;
        }
        let image = |(_, set, row): &(usize, &Set, usize)| {
            set.used.set(true);
            set.images.narrow(0, *row as i64, 1)
        };
        let images: Vec<Tensor> = known.iter().map(image).collect();
        let mut spent = PassCount::default();
        for (_, set, row) in &known {
            spent.append(set.spent.select(&[*row]));
        }
        Some(Known {
            spent,
            places: known.iter().map(|(place, ..)| *place).collect(),
            images: Tensor::cat(&images, 0).to_device(device),
        })
    }

    /// The cells whose images were found.
    pub fn used(&self) -> Vec<CellId> {
        let used = self.sets.iter().filter(|set| set.used.get());
        used.map(|set| set.cell.clone()).collect()
    }
}
