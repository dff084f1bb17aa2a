//! Frames as Parquet files, and columns as plain values.

use crate::error::ReportError;
use crate::files;
use polars::prelude::*;
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use polars_io::parquet::write::{ParquetCompression, ParquetWriter};
use std::io::Cursor;
use std::path::Path;

/// A whole number column as values; nothing writes a missing one.
pub(crate) fn u32s(frame: &DataFrame, name: &str) -> PolarsResult<Vec<u32>> {
    Ok(frame
        .column(name)?
        .u32()?
        .iter()
        .map(Option::unwrap_or_default)
        .collect())
}

/// A text column as values.
pub(crate) fn strs<'a>(frame: &'a DataFrame, name: &str) -> PolarsResult<Vec<&'a str>> {
    Ok(frame
        .column(name)?
        .str()?
        .iter()
        .map(Option::unwrap_or_default)
        .collect())
}

/// A column of small floats as values.
pub(crate) fn f32s(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f32>> {
    Ok(frame
        .column(name)?
        .f32()?
        .iter()
        .map(|value| value.unwrap_or(f32::NAN))
        .collect())
}

/// Writes a frame, whole or not at all.
pub(crate) fn write_parquet(path: &Path, mut frame: DataFrame) -> Result<(), ReportError> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .set_parallel(false)
        .finish(&mut frame)
        .map_err(|error| ReportError::make(path.display().to_string(), error))?;
    files::write_atomic(path, &bytes)
}

/// Reads a frame and checks that it has these columns, without missing values. `cure` says what to do
/// about a file that is no frame.
pub(crate) fn read_parquet(
    path: &Path,
    columns: &[(&str, DataType)],
    cure: &str,
) -> Result<DataFrame, ReportError> {
    let bytes = files::read(path)?;
    let frame = ParquetReader::new(Cursor::new(bytes))
        .finish()
        .map_err(|error| ReportError::file(path, format!("not a readable Parquet file ({error}); {cure}")))?;
    for (name, dtype) in columns {
        match frame.column(name) {
            Ok(column) if column.dtype() == dtype && column.null_count() == 0 => {}
            Ok(column) => {
                return Err(ReportError::file(
                    path,
                    format!(
                        "column `{name}` is {} with {} missing values, where {dtype} with none was expected",
                        column.dtype(),
                        column.null_count()
                    ),
                ));
            }
            Err(_) => {
                return Err(ReportError::file(
                    path,
                    format!(
                        "has no column `{name}`: not written by `rlnet run`, or by another version of it"
                    ),
                ));
            }
        }
    }
    Ok(frame)
}
