//! Right answers: one an image and condition, and how many of them are right under each
//! condition.

use crate::metrics::bits::Answers;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::grid::Grid;
use crate::metrics::reading::Reading;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::Condition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For every condition that is no corruption, the answer to every image.
pub type ByImage = BTreeMap<Condition, Answers>;

/// The answers to clean and attacked images, one by one, for paired tests.
pub fn by_image(grid: &Grid, reading: Reading) -> ByImage {
    let conditions = grid.conditions().into_iter();
    let plain = conditions.filter(|condition| !matches!(condition, Condition::Corruption { .. }));
    let images: Arc<[u32]> = grid.images.as_slice().into();
    plain
        .filter_map(|condition| {
            let right = grid.right(reading, condition)?;
            Some((condition.clone(), Answers::of(&images, &right)))
        })
        .collect()
}

/// Counts of right answers per model, reading and condition.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    counts: BTreeMap<(String, Reading), BTreeMap<Condition, Estimate>>,
}

impl Tally {
    /// Counts everything once; `grids` are the models' answers, in their order.
    pub fn of(runs: &Runs, grids: &[Grid]) -> Self {
        let mut counts = BTreeMap::new();
        for (model, grid) in runs.models.iter().zip(grids) {
            for reading in model.readings() {
                counts.insert((model.name.clone(), reading), count(grid, reading));
            }
        }
        Self { counts }
    }

    /// Accuracy of a model under a reading and condition, with Wilson's interval.
    ///
    /// # Errors
    /// When it was not measured, with the reason.
    pub fn accuracy(&self, model: &Model, reading: Reading, condition: &Condition) -> Known<Estimate> {
        let reading = reading.on(&model.branches);
        self.counts
            .get(&(model.name.clone(), reading))
            .and_then(|counts| counts.get(condition))
            .cloned()
            .ok_or_else(|| match model.cell_of(condition) {
                Some(id) => Unknown::because(format!("unfinished: cell {id}")),
                None => Unknown::because("not part of the suite"),
            })
    }
}

fn count(grid: &Grid, reading: Reading) -> BTreeMap<Condition, Estimate> {
    let mut counts = BTreeMap::new();
    for condition in grid.conditions() {
        let Some(answers) = grid.right(reading, condition) else {
            continue;
        };
        let (mut right, mut n) = (0, 0);
        for answer in answers.into_iter().flatten() {
            right += u64::from(answer);
            n += 1;
        }
        counts.insert(condition.clone(), Estimate::of_images(right, n));
    }
    counts
}
