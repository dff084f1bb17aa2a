//! Which finished cells of a run have made the images that a cell's attack would make.

use super::execute::Executor;
use crate::error::Result;
use crate::eval::{Made, Saved, saved};
use rlnet_suites::cell::EvaluateSpec;
use rlnet_suites::{AttackSpec, Branch, Cell, CellId, CellSpec, Condition};
use std::collections::BTreeMap;

impl Executor<'_> {
    /// The images of a cell's attack that are there, and the cells they are of.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn made(&self, cell: &Cell, spec: &EvaluateSpec) -> Result<(Made, Vec<CellId>)> {
        let (mut made, mut cells) = (Made::default(), Vec::new());
        let Some((follows, wanted)) = followed(cell, spec) else {
            return Ok((made, cells));
        };
        for id in self.directory.finished()? {
            let Ok(record) = self.directory.record(&id) else {
                continue;
            };
            let CellSpec::Evaluate(other) = &record.cell.spec else {
                continue;
            };
            let same_images = record.cell.data.dataset == cell.data.dataset
                && record.cell.data.checksum == cell.data.checksum;
            let Some((attacked, its)) = followed(&record.cell, other) else {
                continue;
            };
            // Which network it was judged on is of no matter.
            let same = attacked == follows && its == wanted && record.cell.versions == cell.versions;
            if !(same_images && same && record.provenance.files.contains_key(saved::FILE)) {
                continue;
            }
            if self.directory.check_file(&id, saved::FILE).is_err() {
                continue;
            }
            let through = match &other.conditions[0] {
                Condition::Attack(attack) => attack.word("through").parse::<Branch>().ok(),
                _ => None,
            };
            made.add(
                &Saved::read(&self.directory.cell(&id).join(saved::FILE))?,
                through,
            );
            cells.push(id);
        }
        Ok((made, cells))
    }
}

/// The network that a cell's one attack follows, and the attack as it would be made on that network
/// through the branch it is judged on. Nothing where more decides the images: several branches,
/// changed ReLUs, a teacher's logits, the stages of AutoAttack.
fn followed<'a>(cell: &'a Cell, spec: &'a EvaluateSpec) -> Option<(&'a CellId, EvaluateSpec)> {
    let [Condition::Attack(attack)] = spec.conditions.as_slice() else {
        return None;
    };
    let network = match attack.word("surrogate") {
        "self" => cell.parents.first()?,
        "all-relu" | "linear" => return None,
        name => spec.surrogates.get(name)?,
    };
    if attack.word("through") == "all" || attack.word("loss") == "kl-teacher" || attack.name() == "autoattack"
    {
        return None;
    }
    let plain = |attack: &AttackSpec| attack.with("surrogate", "self")?.with("through", "same");
    let itself = EvaluateSpec {
        conditions: vec![Condition::Attack(plain(attack).ok()?)],
        surrogates: BTreeMap::new(),
        images: None,
        branches: None,
        ..spec.clone()
    };
    Some((network, itself))
}
