//! Outcome rows and training curves as Parquet files: the only files the harness hands to
//! the reports. Equal rows give equal bytes (one thread, one row group order, no clock), so
//! two runs can be compared with `cmp`.

use crate::error::ReportError;
use crate::parquet::{f32s, read_parquet, strs, u32s, write_parquet};
use polars::prelude::*;
use rlnet_suites::{Branch, Condition, CurvePoint, Outcome};
use std::collections::BTreeMap;
use std::path::Path;

/// Columns of `outcomes.parquet`. `label` and `prediction` are 16 bits in memory; polars
/// without its small-integer features has no such column, and compression evens it out.
const OUTCOME_COLUMNS: [(&str, DataType); 11] = [
    ("image", DataType::UInt32),
    ("branch", DataType::String),
    ("condition", DataType::String),
    ("label", DataType::UInt32),
    ("prediction", DataType::UInt32),
    ("rounded", DataType::UInt32),
    ("margin", DataType::Float32),
    ("loss", DataType::Float32),
    ("norm", DataType::Float32),
    ("forwards", DataType::UInt32),
    ("backwards", DataType::UInt32),
];

/// Columns of `train.parquet`.
const CURVE_COLUMNS: [(&str, DataType); 3] = [
    ("epoch", DataType::UInt32),
    ("metric", DataType::String),
    ("value", DataType::Float64),
];

/// Outcome rows as a frame.
pub fn outcome_frame(rows: &[Outcome]) -> Result<DataFrame, ReportError> {
    // A condition's text is written once per distinct condition, not once per row.
    let mut texts: BTreeMap<&Condition, String> = BTreeMap::new();
    for row in rows {
        texts
            .entry(&row.condition)
            .or_insert_with(|| row.condition.to_string());
    }
    let conditions: Vec<&str> = rows.iter().map(|row| texts[&row.condition].as_str()).collect();
    let branches: Vec<&str> = rows.iter().map(|row| row.branch.name()).collect();
    df!(
        "image" => rows.iter().map(|row| row.image).collect::<Vec<u32>>(),
        "branch" => branches,
        "condition" => conditions,
        "label" => rows.iter().map(|row| u32::from(row.label)).collect::<Vec<u32>>(),
        "prediction" => rows.iter().map(|row| u32::from(row.prediction)).collect::<Vec<u32>>(),
        "rounded" => rows.iter().map(|row| u32::from(row.rounded)).collect::<Vec<u32>>(),
        "margin" => rows.iter().map(|row| row.margin).collect::<Vec<f32>>(),
        "loss" => rows.iter().map(|row| row.loss).collect::<Vec<f32>>(),
        "norm" => rows.iter().map(|row| row.norm).collect::<Vec<f32>>(),
        "forwards" => rows.iter().map(|row| row.forwards).collect::<Vec<u32>>(),
        "backwards" => rows.iter().map(|row| row.backwards).collect::<Vec<u32>>(),
    )
    .map_err(|error| ReportError::make("the outcome rows", error))
}

/// What to do about a damaged file of a cell.
const CURE: &str = "delete its cell and run the suite again";

/// Writes outcome rows, in their order, whole or not at all.
///
/// # Errors
/// When the file cannot be written (the message names it).
pub fn write_outcomes(path: &Path, rows: &[Outcome]) -> Result<(), ReportError> {
    write_parquet(path, outcome_frame(rows)?)
}

/// Reads outcome rows as a frame, columns checked.
///
/// # Errors
/// When the file cannot be read or is not a file of outcome rows.
pub fn read_outcomes(path: &Path) -> Result<DataFrame, ReportError> {
    read_parquet(path, &OUTCOME_COLUMNS, CURE)
}

/// Reads outcome rows as values.
///
/// # Errors
/// As [`read_outcomes`], and when a branch, condition or class is none that can be.
pub fn read_outcome_rows(path: &Path) -> Result<Vec<Outcome>, ReportError> {
    let frame = read_outcomes(path)?;
    let bad = |message: String| ReportError::file(path, message);
    let polars = |error: PolarsError| bad(format!("not readable as outcome rows: {error}"));
    let mut conditions: BTreeMap<String, Condition> = BTreeMap::new();
    let (image, branch) = (u32s(&frame, "image"), strs(&frame, "branch"));
    let (image, branch) = (image.map_err(polars)?, branch.map_err(polars)?);
    let condition = strs(&frame, "condition").map_err(polars)?;
    let label = u32s(&frame, "label").map_err(polars)?;
    let prediction = u32s(&frame, "prediction").map_err(polars)?;
    let rounded = u32s(&frame, "rounded").map_err(polars)?;
    let margin = f32s(&frame, "margin").map_err(polars)?;
    let loss = f32s(&frame, "loss").map_err(polars)?;
    let norm = f32s(&frame, "norm").map_err(polars)?;
    let forwards = u32s(&frame, "forwards").map_err(polars)?;
    let backwards = u32s(&frame, "backwards").map_err(polars)?;
    let class =
        |value: u32| u16::try_from(value).map_err(|_| bad(format!("class {value} is larger than any class")));
    let mut rows = Vec::with_capacity(frame.height());
    for i in 0..frame.height() {
        let text = condition[i];
        let condition = match conditions.get(text) {
            Some(known) => known.clone(),
            None => {
                let parsed: Condition = text.parse().map_err(|error| bad(format!("{error}")))?;
                conditions.insert(text.to_owned(), parsed.clone());
                parsed
            }
        };
        rows.push(Outcome {
            image: image[i],
            branch: branch[i]
                .parse::<Branch>()
                .map_err(|error| bad(format!("{error}")))?,
            condition,
            label: class(label[i])?,
            prediction: class(prediction[i])?,
            rounded: class(rounded[i])?,
            margin: margin[i],
            loss: loss[i],
            norm: norm[i],
            forwards: forwards[i],
            backwards: backwards[i],
        });
    }
    Ok(rows)
}

/// Writes training curves, in their order, whole or not at all.
///
/// # Errors
/// When the file cannot be written (the message names it).
pub fn write_curves(path: &Path, points: &[CurvePoint]) -> Result<(), ReportError> {
    let metrics: Vec<&str> = points.iter().map(|point| point.metric.as_str()).collect();
    let frame = df!(
        "epoch" => points.iter().map(|point| point.epoch).collect::<Vec<u32>>(),
        "metric" => metrics,
        "value" => points.iter().map(|point| point.value).collect::<Vec<f64>>(),
    )
    .map_err(|error| ReportError::make("the training curves", error))?;
    write_parquet(path, frame)
}

/// Reads training curves.
///
/// # Errors
/// When the file cannot be read or is not a file of training curves.
pub fn read_curves(path: &Path) -> Result<Vec<CurvePoint>, ReportError> {
    let frame = read_parquet(path, &CURVE_COLUMNS, CURE)?;
    let polars = |error: PolarsError| ReportError::file(path, format!("not readable as curves: {error}"));
    let epoch = u32s(&frame, "epoch").map_err(polars)?;
    let metric = strs(&frame, "metric").map_err(polars)?;
    let value = frame.column("value").and_then(Column::f64).map_err(polars)?;
    Ok(epoch
        .into_iter()
        .zip(metric)
        .zip(value.iter())
        .map(|((epoch, metric), value)| CurvePoint {
            epoch,
            metric: metric.to_owned(),
            value: value.unwrap_or(f64::NAN),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Outcome> {
        ["clean", "fog/3", "pgd:steps=3"]
            .iter()
            .flat_map(|text| {
                (0..50).map(|image| Outcome {
                    image,
                    branch: Branch::Adversarial,
                    condition: text.parse().expect("a condition"),
                    label: (image % 7) as u16,
                    prediction: (image % 5) as u16,
                    rounded: (image % 3) as u16,
                    margin: image as f32 - 20.5,
                    loss: 0.1 * image as f32,
                    norm: 8.0 / 255.0,
                    forwards: 21,
                    backwards: 20,
                })
            })
            .collect()
    }

    #[test]
    fn outcomes_come_back_as_written_and_equal_rows_give_equal_bytes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
        write_outcomes(&a, &rows()).expect("write");
        write_outcomes(&b, &rows()).expect("write");
        assert_eq!(read_outcome_rows(&a).expect("read"), rows());
        assert_eq!(std::fs::read(&a).expect("a"), std::fs::read(&b).expect("b"));
        write_outcomes(&a, &[]).expect("no rows");
        assert!(read_outcome_rows(&a).expect("read").is_empty());
    }

    #[test]
    fn curves_come_back_as_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("train.parquet");
        let points: Vec<CurvePoint> = (1..9)
            .map(|epoch| CurvePoint {
                epoch,
                metric: "loss/total".into(),
                value: 1.0 / f64::from(epoch),
            })
            .collect();
        write_curves(&path, &points).expect("write");
        assert_eq!(read_curves(&path).expect("read"), points);
        let error = read_outcomes(&path).expect_err("wrong file").to_string();
        assert!(error.contains("no column `image`"), "{error}");
    }

    #[test]
    fn what_is_not_parquet_is_an_error_with_the_path() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("outcomes.parquet");
        let error = read_outcomes(&path).expect_err("absent").to_string();
        assert!(error.contains("outcomes.parquet"), "{error}");
        std::fs::write(&path, b"PAR1 but cut off").expect("write");
        let error = read_outcomes(&path).expect_err("cut").to_string();
        assert!(
            error.contains("outcomes.parquet") && error.contains("not a readable"),
            "{error}"
        );
    }
}
