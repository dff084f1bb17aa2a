//! Records as columns: one table a record type ([`columns!`]) gives the columns of its Parquet
//! files, their writer and their reader. Equal records give equal bytes (one thread, one order
//! of rows, no clock), so that two runs can be compared with `cmp`.

use crate::error::ReportError;
use crate::files;
use polars::prelude::*;
use polars_buffer::Buffer;
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use polars_io::parquet::write::{KeyValueMetadata, ParquetCompression, ParquetWriter};
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::parquet::read::PageReader;
use polars_parquet::read::FileMetadata;
use rlnet_suites::{Branch, Condition, Outcome, Ranking};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// A record that Parquet files hold, one a row.
pub trait Record: Sized {
    /// What these files hold, for messages: `outcome rows`.
    const WHAT: &'static str;

    /// What a person does about a damaged file.
    const CURE: &'static str;

    /// Names and types of the columns, in their order.
    fn columns() -> Vec<(&'static str, DataType)>;

    /// The frame of a file, with the columns that files of earlier versions do not have.
    ///
    /// # Errors
    /// When polars refuses.
    fn completed(frame: DataFrame) -> PolarsResult<DataFrame>;

    /// Records as a frame.
    ///
    /// # Errors
    /// When polars refuses.
    fn frame(records: &[Self]) -> PolarsResult<DataFrame>;

    /// The records of a frame, which may have more columns.
    ///
    /// # Errors
    /// When a column is missing or of another type, or a value is none that the field can have.
    fn records(frame: &DataFrame) -> PolarsResult<Vec<Self>>;
}

/// Implements [`Record`] from a table of a record's fields, their types, and the names of their
/// columns where these are others; and the number that stands for a column which files of earlier versions do
/// not have.
macro_rules! columns {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
    (@complete $frame:ident, $name:expr, $kind:ty) => {};
    (@complete $frame:ident, $name:expr, $kind:ty, $absent:expr) => {
        if $frame.column($name).is_err() {
            let values = vec![$absent; $frame.height()];
            $frame.with_column(<$kind as $crate::columns::Value>::column($name, values.iter()))?;
        }
    };
    (impl $([$($generic:tt)+])? for $record:ty, $what:literal, $cure:expr; $($field:ident $(as $column:literal)?: $kind:ty $(= $absent:expr)?),+ $(,)?) => {
        impl $(<$($generic)+>)? $crate::columns::Record for $record {
            const WHAT: &'static str = $what;
            const CURE: &'static str = $cure;

            fn columns() -> Vec<(&'static str, polars::prelude::DataType)> {
                vec![$((
                    $crate::columns::columns!(@name $field $($column)?),
                    <$kind as $crate::columns::Value>::KIND,
                )),+]
            }

            #[allow(unused_mut, reason = "most records have no such column")]
            fn completed(
                mut frame: polars::prelude::DataFrame,
            ) -> polars::prelude::PolarsResult<polars::prelude::DataFrame> {
                $($crate::columns::columns!(
                    @complete frame, $crate::columns::columns!(@name $field $($column)?), $kind $(, $absent)?
                );)+
                Ok(frame)
            }

            fn frame(records: &[Self]) -> polars::prelude::PolarsResult<polars::prelude::DataFrame> {
                polars::prelude::DataFrame::new(records.len(), vec![$(
                    <$kind as $crate::columns::Value>::column(
                        $crate::columns::columns!(@name $field $($column)?),
                        records.iter().map(|record| &record.$field),
                    )
                ),+])
            }

            fn records(frame: &polars::prelude::DataFrame) -> polars::prelude::PolarsResult<Vec<Self>> {
                $(let mut $field = <$kind as $crate::columns::Value>::values(
                    frame.column($crate::columns::columns!(@name $field $($column)?))?
                )?.into_iter();)+
                let record = |_| Some(Self { $($field: $field.next()?),+ });
                Ok((0..frame.height()).map_while(record).collect())
            }
        }
    };
}
pub(crate) use columns;

/// A value that a column holds. Missing values are refused before any is read.
pub trait Value: Sized {
    /// Type of the column.
    const KIND: DataType;

    /// A column of these values.
    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column
    where
        Self: 'a;

    /// The values of a column.
    ///
    /// # Errors
    /// When the column has another type, or a value cannot be.
    fn values(column: &Column) -> PolarsResult<Vec<Self>>;
}

/// Numbers that polars has columns of.
macro_rules! plain {
    ($($kind:ty, $variant:ident, $get:ident;)+) => {$(
        impl Value for $kind {
            const KIND: DataType = DataType::$variant;

            fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
                Column::new(name.into(), values.copied().collect::<Vec<Self>>())
            }

            fn values(column: &Column) -> PolarsResult<Vec<Self>> {
                Ok(column.$get()?.iter().flatten().collect())
            }
        }
    )+};
}
plain! {
    u32, UInt32, u32;
    u64, UInt64, u64;
    f32, Float32, f32;
    f64, Float64, f64;
}

/// Polars without its small-integer features has no narrower column; compression evens it out.
impl Value for u16 {
    const KIND: DataType = DataType::UInt32;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        let wide: Vec<u32> = values.map(|value| u32::from(*value)).collect();
        Column::new(name.into(), wide)
    }

    fn values(column: &Column) -> PolarsResult<Vec<Self>> {
        let narrow = |value: u32| {
            Self::try_from(value).map_err(|_| {
                polars_err!(ComputeError: "{value} in column `{}` is larger than any class", column.name())
            })
        };
        column.u32()?.iter().flatten().map(narrow).collect()
    }
}

/// Values that are written as text.
macro_rules! text {
    ($($kind:ty, $value:ident => $show:expr;)+) => {$(
        impl Value for $kind {
            const KIND: DataType = DataType::String;

            fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
                let texts: Vec<&str> = values.map(|$value| $show).collect();
                Column::new(name.into(), texts)
            }

            fn values(column: &Column) -> PolarsResult<Vec<Self>> {
                parsed(column)
            }
        }
    )+};
}
text! {
    String, value => value.as_str();
    Branch, value => value.name();
}

impl Value for Condition {
    const KIND: DataType = DataType::String;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        condition_column(name, values)
    }

    fn values(column: &Column) -> PolarsResult<Vec<Self>> {
        parsed(column)
    }
}

impl Value for Ranking {
    const KIND: DataType = DataType::String;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        let texts: Vec<String> = values.map(Self::to_string).collect();
        Column::new(name.into(), texts)
    }

    fn values(column: &Column) -> PolarsResult<Vec<Self>> {
        parsed(column)
    }
}

/// One condition that many rows share: a report reads millions of them.
impl Value for Arc<Condition> {
    const KIND: DataType = DataType::String;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        condition_column(name, values.map(AsRef::as_ref))
    }

    fn values(column: &Column) -> PolarsResult<Vec<Self>> {
        let mut known: BTreeMap<&str, Self> = BTreeMap::new();
        let mut all = Vec::with_capacity(column.len());
        for text in column.str()?.iter().flatten() {
            let condition = match known.get(text) {
                Some(condition) => condition.clone(),
                None => known
                    .entry(text)
                    .or_insert(Self::new(parse(column, text)?))
                    .clone(),
            };
            all.push(condition);
        }
        Ok(all)
    }
}

/// A condition's text is made once, not once a row.
fn condition_column<'a>(name: &str, values: impl Iterator<Item = &'a Condition>) -> Column {
    let values: Vec<&Condition> = values.collect();
    let mut texts: BTreeMap<&Condition, String> = BTreeMap::new();
    for value in &values {
        texts.entry(value).or_insert_with(|| value.to_string());
    }
    let column: Vec<&str> = values.iter().map(|value| texts[value].as_str()).collect();
    Column::new(name.into(), column)
}

fn parse<T: FromStr<Err: ToString>>(column: &Column, text: &str) -> PolarsResult<T> {
    text.parse().map_err(
        |error: T::Err| polars_err!(ComputeError: "column `{}`: {}", column.name(), error.to_string()),
    )
}

/// The values of a text column; of equal texts one after the other only the first is parsed.
fn parsed<T: FromStr<Err: ToString> + Clone>(column: &Column) -> PolarsResult<Vec<T>> {
    let mut last: Option<(&str, T)> = None;
    let mut all = Vec::with_capacity(column.len());
    for text in column.str()?.iter().flatten() {
        let value = match &last {
            Some((known, value)) if *known == text => value.clone(),
            _ => parse(column, text)?,
        };
        all.push(value.clone());
        last = Some((text, value));
    }
    Ok(all)
}

/// More rows than a byte of any file of rows holds (rows have numbers of their own, which take a byte at least), and rows
/// that any file may have.
const ROWS_A_BYTE: usize = 64;
const LEAST_ROWS: usize = 4096;

/// Records as the bytes of a Parquet file.
///
/// # Errors
/// When polars refuses: a defect of this program.
pub fn to_parquet<R: Record>(records: &[R]) -> Result<Vec<u8>, ReportError> {
    R::frame(records)
        .and_then(|frame| parquet(frame, Vec::new()))
        .map_err(|error| ReportError::make(R::WHAT, error))
}

/// A frame as the bytes of a Parquet file with these entries in its key-value metadata.
fn parquet(mut frame: DataFrame, metadata: Vec<(String, String)>) -> PolarsResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let metadata = (!metadata.is_empty()).then(|| KeyValueMetadata::from_static(metadata));
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(metadata)
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Writes a cell's `outcomes.parquet`, for readers who have nothing but the file: with the model's name in a column,
/// and entries `rlnet.KEY` in the file's metadata.
///
/// # Errors
/// As [`write_records`].
pub fn write_outcomes(
    path: &Path,
    rows: &[Outcome],
    model: &str,
    metadata: &[(&str, String)],
) -> Result<(), ReportError> {
    let named = |frame: DataFrame| frame.lazy().with_column(lit(model).alias("model")).collect();
    let entry = |(key, value): &(&str, String)| (format!("rlnet.{key}"), value.clone());
    let bytes = Outcome::<Condition>::frame(rows)
        .and_then(named)
        .and_then(|frame| parquet(frame, metadata.iter().map(entry).collect()))
        .map_err(|error| ReportError::make(Outcome::<Condition>::WHAT, error))?;
    files::write_atomic(path, &bytes)
}

/// Writes records, in their order, whole or not at all.
///
/// # Errors
/// When the file cannot be written (the message names it).
pub fn write_records<R: Record>(path: &Path, records: &[R]) -> Result<(), ReportError> {
    files::write_atomic(path, &to_parquet(records)?)
}

/// Reads records.
///
/// # Errors
/// When the file cannot be read, or does not hold such records.
pub fn read_records<R: Record>(path: &Path) -> Result<Vec<R>, ReportError> {
    from_parquet(&files::read(path)?, path)
}

/// The records in the bytes of a Parquet file; `path` is for messages.
///
/// # Errors
/// When the bytes do not hold such records.
pub fn from_parquet<R: Record>(bytes: &[u8], path: &Path) -> Result<Vec<R>, ReportError> {
    R::records(&to_frame::<R>(bytes, path)?)
        .map_err(|error| ReportError::file(path, format!("not readable as {}: {error}", R::WHAT)))
}

/// Reads records as a frame whose columns are checked.
///
/// # Errors
/// As [`read_records`].
pub fn read_frame<R: Record>(path: &Path) -> Result<DataFrame, ReportError> {
    to_frame::<R>(&files::read(path)?, path)
}

/// Refuses a file that claims more rows than its bytes can hold: polars makes room for as many as row groups, columns and
/// pages say, and a process that gets none ends.
fn believe(metadata: &FileMetadata, bytes: &[u8]) -> PolarsResult<()> {
    let most = LEAST_ROWS.max(ROWS_A_BYTE * bytes.len());
    let believe = |claimed: usize| {
        polars_ensure!(claimed <= most, ComputeError: "{} bytes claim to be {claimed} values", bytes.len());
        Ok(())
    };
    believe(metadata.num_rows)?;
    let file = Buffer::from(bytes.to_vec());
    for group in &metadata.row_groups {
        believe(group.num_rows())?;
        for column in group.parquet_columns() {
            believe(usize::try_from(column.num_values()).unwrap_or(usize::MAX))?;
            let range = column.byte_range();
            let (start, end) = (range.start as usize, range.end as usize);
            polars_ensure!(start <= end && end <= bytes.len(), ComputeError: "a column lies beyond the file's end");
            let pages = Cursor::new(file.clone().sliced(start..end));
            for page in PageReader::new(pages, column, Vec::new(), bytes.len()) {
                if let CompressedPage::Data(page) = page? {
                    believe(page.num_values())?;
                }
            }
        }
    }
    Ok(())
}

fn to_frame<R: Record>(bytes: &[u8], path: &Path) -> Result<DataFrame, ReportError> {
    let fault = |message: String| ReportError::file(path, message);
    let unreadable = |why: &dyn Display| fault(format!("not a readable Parquet file ({why}); {}", R::CURE));
    // Where a file's own description is damaged, polars panics.
    let read = AssertUnwindSafe(|| {
        let mut reader = ParquetReader::new(Cursor::new(bytes));
        believe(reader.get_metadata()?, bytes)?;
        reader.finish()
    });
    let frame = catch_unwind(read)
        .map_err(|_| unreadable(&"its description is damaged"))?
        .and_then(R::completed)
        .map_err(|error| unreadable(&error))?;
    for (name, kind) in R::columns() {
        let column = frame.column(name).map_err(|_| {
            fault(format!(
                "has no column `{name}`: not written by `rlnet run`, or by another version of it"
            ))
        })?;
        let (found, missing) = (column.dtype(), column.null_count());
        if *found != kind || missing > 0 {
            return Err(fault(format!(
                "column `{name}` is {found} with {missing} missing values, where {kind} with none was expected"
            )));
        }
    }
    // Files of every version have the same columns in the same order then.
    let names = R::columns().into_iter().map(|(name, _)| name);
    frame.select(names).map_err(|error| unreadable(&error))
}
