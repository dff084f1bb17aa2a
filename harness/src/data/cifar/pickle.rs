//! A python-version CIFAR file, rewritten as the records of the binary version.
//!
//! Those files are pickles (protocol 2, written by Python 2) of a dictionary with `labels` or
//! `fine_labels` and `coarse_labels`, and `data`, a NumPy array of `uint8` rows in plane order.
//! A NumPy array pickles as a call of `_reconstruct` followed by a state tuple
//! `(version, shape, dtype, fortran order, bytes)`, and from protocol 5 on as a call of `_frombuffer`
//! with `(bytes, dtype, shape, order)`; a NumPy number as a call with `(dtype, bytes)`. The unpickler
//! keeps such states and arguments and runs nothing, so no code in the file is ever executed. Files
//! that somebody read and saved again (other protocols, text keys, labels as an array, columns first)
//! hold the same rows.

use crate::error::Problem;
use std::borrow::Cow;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_pickle::value::{HashableValue, Value};
use serde_pickle::{DeOptions, value_from_reader};

use super::PLANE;
use crate::data::DataError;

/// Reads `path` and returns its rows as binary-version records: label bytes, then pixels.
/// With `coarse`, records carry the coarse label too, as in CIFAR-100.
pub(super) fn read_as_records(path: &Path, coarse: bool) -> Result<Vec<u8>, DataError> {
    let bad = |problem: Problem| DataError::Pickle {
        file: path.to_path_buf(),
        problem: problem.to_string(),
    };
    let file = File::open(path).map_err(|source| DataError::Io {
        file: path.to_path_buf(),
        source,
    })?;
    let options = DeOptions::new().keep_restore_state().replace_unresolved_globals();
    let value = value_from_reader(BufReader::new(file), options).map_err(|e| bad(e.to_string().into()))?;
    let Value::Dict(entries) = value else {
        return Err(bad("it holds no dictionary".into()));
    };
    // Python 2 strings arrive as bytes, Python 3 strings as text.
    let get = |wanted: &str| {
        entries
            .iter()
            .find(|(key, _)| match key {
                HashableValue::String(key) => key == wanted,
                HashableValue::Bytes(key) => key == wanted.as_bytes(),
                _ => false,
            })
            .map(|(_, value)| value)
            .ok_or_else(|| bad(format!("the key `{wanted}` is missing").into()))
    };
    let pixels = pixels(get("data")?).map_err(bad)?;
    let columns: Vec<Vec<u8>> = if coarse {
        vec![
            labels(get("coarse_labels")?).map_err(bad)?,
            labels(get("fine_labels")?).map_err(bad)?,
        ]
    } else {
        vec![labels(get("labels")?).map_err(bad)?]
    };
    let rows = pixels.len() / (3 * PLANE);
    if rows * 3 * PLANE != pixels.len() || columns.iter().any(|c| c.len() != rows) {
        let problem = format!(
            "{} pixel bytes and {} labels do not make whole images",
            pixels.len(),
            columns[0].len()
        );
        return Err(bad(problem.into()));
    }
    let mut records = Vec::with_capacity(pixels.len() + rows * columns.len());
    for (i, row) in pixels.chunks_exact(3 * PLANE).enumerate() {
        records.extend(columns.iter().map(|column| column[i]));
        records.extend_from_slice(row);
    }
    Ok(records)
}

/// A NumPy array.
struct Array<'a> {
    shape: Vec<usize>,
    /// Whether the first index runs fastest (Fortran order).
    by_column: bool,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let Value::Tuple(state) = value else { return None };
        let (shape, by_column, bytes) = match state.as_slice() {
            [_, Value::Tuple(shape), _, order, Value::Bytes(bytes)] => {
                (shape, matches!(order, Value::Bool(true) | Value::I64(1)), bytes)
            }
            [Value::Bytes(bytes), _, Value::Tuple(shape), Value::String(order)] => {
                (shape, order == "F", bytes)
            }
            _ => return None,
        };
        let sides = shape.iter().map(|side| match side {
            Value::I64(side) => usize::try_from(*side).ok(),
            _ => None,
        });
        Some(Self {
            shape: sides.collect::<Option<_>>()?,
            by_column,
            bytes,
        })
    }

    /// Its values, each of as many bytes as it takes, in row order.
    fn values(&self) -> Result<Vec<&'a [u8]>, Problem> {
        let count = self
            .shape
            .iter()
            .try_fold(1_usize, |count, &side| count.checked_mul(side));
        let count = count.filter(|&count| count > 0 && self.bytes.len().is_multiple_of(count));
        let width = count.map_or(0, |count| self.bytes.len() / count);
        if width == 0 {
            let shape = &self.shape;
            return Err(format!(
                "{} bytes do not fill an array of shape {shape:?}",
                self.bytes.len()
            )
            .into());
        }
        let stored: Vec<&[u8]> = self.bytes.chunks_exact(width).collect();
        if !self.by_column {
            return Ok(stored);
        }
        let place = |mut at: usize| {
            let mut place = 0;
            for (axis, &side) in self.shape.iter().enumerate().rev() {
                place += at % side * self.shape[..axis].iter().product::<usize>();
                at /= side;
            }
            place
        };
        Ok((0..stored.len()).map(|at| stored[place(at)]).collect())
    }
}

/// The bytes of a `uint8` array in row order, or plain bytes.
fn pixels(value: &Value) -> Result<Cow<'_, [u8]>, Problem> {
    if let Value::Bytes(bytes) = value {
        return Ok(Cow::Borrowed(bytes));
    }
    let array = Array::of(value).ok_or("`data` is neither a NumPy array nor bytes")?;
    if !array.by_column && array.shape.iter().product::<usize>() == array.bytes.len() {
        return Ok(Cow::Borrowed(array.bytes));
    }
    let one = |value: &&[u8]| match value {
        [byte] => Ok(*byte),
        _ => Err(Problem::from(format!(
            "`data` has {} bytes a value; save it as uint8",
            value.len()
        ))),
    };
    array.values()?.iter().map(one).collect()
}

fn labels(value: &Value) -> Result<Vec<u8>, Problem> {
    let no_label = || Problem::from("a label is not a number from 0 to 255");
    // Whole numbers as NumPy stores them, the lowest byte first.
    let little_endian = |bytes: &[u8]| match bytes {
        [label, rest @ ..] if rest.iter().all(|byte| *byte == 0) => Ok(*label),
        _ => Err(no_label()),
    };
    if let Some(array) = Array::of(value) {
        return array.values()?.into_iter().map(little_endian).collect();
    }
    let Value::List(items) = value else {
        return Err("the labels are neither a list nor a NumPy array".into());
    };
    let one = |item: &Value| match item {
        Value::I64(label) => u8::try_from(*label).map_err(|_| no_label()),
        Value::Tuple(number) => match number.as_slice() {
            [_, Value::Bytes(bytes)] => little_endian(bytes),
            _ => Err(no_label()),
        },
        _ => Err(no_label()),
    };
    items.iter().map(one).collect()
}
