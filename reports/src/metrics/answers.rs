//! Right answers: the rows of a model under a reading, one answer an image and condition,
//! and how many of them are right under each condition.

use crate::error::ReportError;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::reading::Reading;
use crate::runs::{Model, Runs};
use crate::store;
use polars::prelude::*;
use rlnet_suites::Condition;
use std::collections::BTreeMap;

/// The answers of a model under a reading: columns `image`, `condition`, `kind`,
/// `corruption`, `severity`, `right`.
pub fn answers(model: &Model, reading: Reading) -> LazyFrame {
    let rows = model.rows.clone().lazy();
    let keys = ["image", "condition", "kind", "corruption", "severity"].map(col);
    let rows = match reading.on(&model.branches) {
        Reading::Fixed(branch) => rows.filter(col("branch").eq(lit(branch.name()))),
        Reading::Oracle => rows.filter(col("own").eq(lit(1_u32))),
        Reading::Worst => rows.group_by(keys.clone()).agg([col("right").min()]),
    };
    rows.select([&keys[..], &[col("right")]].concat())
}

/// For every image of one condition, in the order of images: whether the answer is right.
///
/// # Errors
/// When the query fails.
pub fn per_image(
    model: &Model,
    reading: Reading,
    condition: &Condition,
) -> Result<BTreeMap<u32, bool>, ReportError> {
    let query = || {
        let frame = answers(model, reading)
            .filter(col("condition").eq(lit(condition.to_string())))
            .collect()?;
        let images = store::u32s(&frame, "image")?;
        let right = store::u32s(&frame, "right")?;
        PolarsResult::Ok(images.into_iter().zip(right.into_iter().map(|r| r == 1)).collect())
    };
    query().map_err(|error| {
        ReportError::make(format!("the answers of `{}` under {condition}", model.name), error)
    })
}

/// Counts of right answers per model, reading and condition.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    counts: BTreeMap<(String, Reading), BTreeMap<String, Estimate>>,
}

impl Tally {
    /// Counts everything once.
    ///
    /// # Errors
    /// When a query fails.
    pub fn of(runs: &Runs) -> Result<Self, ReportError> {
        let mut counts = BTreeMap::new();
        for model in &runs.models {
            for reading in Reading::of(&model.branches) {
                let count = count(answers(model, reading)).map_err(|error| {
                    ReportError::make(format!("the counts of `{}`", model.name), error)
                })?;
                counts.insert((model.name.clone(), reading), count);
            }
        }
        Ok(Self { counts })
    }

    /// Accuracy of a model under a reading and condition, with Wilson's interval.
    ///
    /// # Errors
    /// When it was not measured, with the reason.
    pub fn accuracy(&self, model: &Model, reading: Reading, condition: &Condition) -> Known<Estimate> {
        let reading = reading.on(&model.branches);
        self.counts
            .get(&(model.name.clone(), reading))
            .and_then(|counts| counts.get(&condition.to_string()))
            .cloned()
            .ok_or_else(|| match model.cell_of(condition) {
                Some(id) => Unknown::because(format!("unfinished: cell {id}")),
                None => Unknown::because("not part of the suite"),
            })
    }
}

fn count(answers: LazyFrame) -> PolarsResult<BTreeMap<String, Estimate>> {
    let frame = answers
        .group_by([col("condition")])
        .agg([
            col("right").sum().cast(DataType::UInt32).alias("right"),
            len().cast(DataType::UInt32).alias("n"),
        ])
        .collect()?;
    let conditions = store::strs(&frame, "condition")?;
    let counts = store::u32s(&frame, "right")?.into_iter().zip(store::u32s(&frame, "n")?);
    Ok(conditions
        .into_iter()
        .map(str::to_owned)
        .zip(counts.map(|(right, n)| Estimate::of_images(right.into(), n.into())))
        .collect())
}
