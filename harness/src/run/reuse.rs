//! Which finished cells of a run have made the images that a cell's attack would make.

use super::evaluate_cell::Opened;
use super::execute::Executor;
use crate::error::Result;
use crate::eval::{AttackCache, Saved, saved};
use rlnet_suites::attack::{BranchChoice, Loss, Surrogate};
use rlnet_suites::cell::EvaluateSpec;
use rlnet_suites::{AttackSpec, Branch, Cell, CellId, CellSpec, Condition};
use std::collections::BTreeMap;

impl Executor<'_> {
    /// The images of a cell's attack that are there.
    ///
    /// # Errors
    /// When a file cannot be read, or the network that is followed lacks a branch.
    pub(super) fn made(&self, cell: &Cell, spec: &EvaluateSpec, opened: &Opened) -> Result<AttackCache> {
        let mut made = AttackCache::default();
        let Some(own) = Followed::by(cell, spec) else {
            return Ok(made);
        };
        // Which of its parts broke an image is told of this one, and not kept.
        if own.attack.is_union() && own.attack.follows_itself() {
            return Ok(made);
        }
        let mut wanted = Vec::new();
        for &branch in &opened.branches {
            wanted.push(opened.networks.through(own.attack, branch)?);
        }
        for id in self.directory.finished()? {
            let Some(record) = self.record(&id) else {
                continue;
            };
            let CellSpec::Evaluate(other) = &record.cell.spec else {
                continue;
            };
            let same_images = record.cell.data.dataset == cell.data.dataset
                && record.cell.data.checksum == cell.data.checksum;
            let same_attack = Followed::by(&record.cell, other).is_some_and(|its| {
                // Which network it was judged on is of no matter.
                its.network == own.network && its.itself == own.itself
            });
            let kept = record.provenance.files.contains_key(saved::FILE);
            if !(same_images && same_attack && kept && record.cell.versions == cell.versions) {
                continue;
            }
            let Condition::Attack(attack) = &other.conditions[0] else {
                continue;
            };
            if self.directory.check_file(&id, saved::FILE).is_err() {
                continue;
            }
            let saved = Saved::read(&self.directory.cell(&id).join(saved::FILE))?;
            let all: Vec<Branch> = saved.branches().collect();
            made.add(&id, &saved, |judged| {
                let through = match attack.branch() {
                    BranchChoice::All if other.branches.is_none() => all.clone(),
                    BranchChoice::All => return None,
                    BranchChoice::Same => vec![judged],
                    BranchChoice::One(branch) => vec![branch],
                };
                wanted.contains(&through).then_some(through)
            });
        }
        Ok(made)
    }
}

/// What decides the images of a cell's attack, beside the branches.
struct Followed<'a> {
    attack: &'a AttackSpec,
    /// The network that is followed.
    network: &'a CellId,
    /// The evaluation as it would be of that network through the branch it is judged on.
    itself: EvaluateSpec,
}

impl<'a> Followed<'a> {
    /// Nothing where more decides the images: changed ReLUs, a teacher's logits, the other images
    /// of the batch.
    fn by(cell: &'a Cell, spec: &'a EvaluateSpec) -> Option<Self> {
        let [Condition::Attack(attack)] = spec.conditions.as_slice() else {
            return None;
        };
        // An attack without the choice has no images that another could reuse.
        if !attack.chooses_network() || attack.reference_rng() || attack.loss() == Loss::KlTeacher {
            return None;
        }
        let network = match attack.surrogate() {
            Surrogate::Own => cell.parents.first()?,
            other => spec.surrogates.get(other.other()?)?,
        };
        let itself = EvaluateSpec {
            conditions: vec![Condition::Attack(attack.on_itself())],
            surrogates: BTreeMap::new(),
            images: None,
            branches: None,
            ..spec.clone()
        };
        Some(Self {
            attack,
            network,
            itself,
        })
    }
}
