//! Right answers: the rows of a model under a reading, one answer an image and condition,
//! and how many of them are right under each condition.

use crate::error::ReportError;
use crate::metrics::estimate::{Estimate, Known, Unknown};
use crate::metrics::reading::Reading;
use crate::parquet;
use crate::runs::{Model, Runs};
use polars::prelude::*;
use rlnet_suites::Condition;
use std::collections::BTreeMap;

/// The answers of a model under a reading, to the rows that `only` picks: columns `image`,
/// `at`, `corruption`, `by_name`, `by_severity`, `right`.
pub fn answers(model: &Model, reading: Reading, only: Expr) -> LazyFrame {
    let rest = ["image", "at", "corruption", "by_name", "by_severity"].map(col);
    let rows = model.rows.clone().lazy().filter(only);
    let rows = match reading.on(&model.branches) {
        Reading::Fixed(branch) => rows.filter(col("branch").eq(lit(branch.name()))),
        Reading::Oracle => rows.filter(col("own").eq(lit(1_u32))),
        // The rest follows from image and condition.
        Reading::Worst => rows.group_by([col("slot")]).agg(
            [
                &[col("right").min()][..],
                &rest.clone().map(|column| column.first()),
            ]
            .concat(),
        ),
    };
    rows.select([&rest[..], &[col("right")]].concat())
}

/// For every condition that is no corruption, and every image: whether the answer is right.
pub type ByImage = BTreeMap<Condition, BTreeMap<u32, bool>>;

/// The answers to clean and attacked images, one by one, for paired tests.
///
/// # Errors
/// When the query fails.
pub fn by_image(model: &Model, reading: Reading) -> Result<ByImage, ReportError> {
    let query = || {
        let only = col("severity").eq(lit(0_u32));
        let frame = answers(model, reading, only).collect()?;
        let images = parquet::u32s(&frame, "image")?.into_iter();
        let right = parquet::u32s(&frame, "right")?.into_iter();
        let mut found: Vec<BTreeMap<u32, bool>> = vec![BTreeMap::new(); model.conditions.len()];
        for ((at, image), right) in parquet::u32s(&frame, "at")?.into_iter().zip(images).zip(right) {
            found[at as usize].insert(image, right == 1);
        }
        PolarsResult::Ok(model.conditions.iter().cloned().zip(found).collect())
    };
    query().map_err(|error| ReportError::make(format!("the answers of `{}`", model.name), error))
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
                let count = count(model, answers(model, reading, lit(true)))
                    .map_err(|error| ReportError::make(format!("the counts of `{}`", model.name), error))?;
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

fn count(model: &Model, answers: LazyFrame) -> PolarsResult<BTreeMap<String, Estimate>> {
    let frame = answers
        .group_by([col("at")])
        .agg([
            col("right").sum().cast(DataType::UInt32).alias("right"),
            len().cast(DataType::UInt32).alias("n"),
        ])
        .collect()?;
    let at = parquet::u32s(&frame, "at")?.into_iter();
    let conditions = at.map(|at| model.conditions[at as usize].to_string());
    let counts = parquet::u32s(&frame, "right")?
        .into_iter()
        .zip(parquet::u32s(&frame, "n")?);
    Ok(conditions
        .zip(counts.map(|(right, n)| Estimate::of_images(right.into(), n.into())))
        .collect())
}
