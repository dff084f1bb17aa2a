//! A python-version CIFAR file, rewritten as the records of the binary version.
//!
//! Those files are pickles (protocol 2, written by Python 2) of a dictionary with `labels` or
//! `fine_labels` and `coarse_labels`, and `data`, a NumPy array of `uint8` rows in plane order.
//! A NumPy array pickles as a call of `_reconstruct` followed by a state tuple
//! `(version, shape, dtype, fortran order, bytes)`; the unpickler keeps such states and runs
//! nothing, so no code in the file is ever executed.

use crate::error::Problem;
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
    let pixels = array_bytes(get("data")?).map_err(bad)?;
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

/// The bytes of a `uint8` array in row order: a NumPy state tuple, or plain bytes.
fn array_bytes(value: &Value) -> Result<&[u8], Problem> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Tuple(state) => match state.as_slice() {
            [_, _, _, Value::Bool(false) | Value::I64(0), Value::Bytes(bytes)] => Ok(bytes),
            [_, _, _, Value::Bool(true) | Value::I64(_), _] => {
                Err("`data` is stored column by column (Fortran order)".into())
            }
            _ => Err("`data` is not a NumPy array of bytes".into()),
        },
        _ => Err("`data` is neither a NumPy array nor bytes".into()),
    }
}

fn labels(value: &Value) -> Result<Vec<u8>, Problem> {
    let Value::List(items) = value else {
        return Err("the labels are not a list".into());
    };
    items
        .iter()
        .map(|item| match item {
            Value::I64(label) => u8::try_from(*label).ok(),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(|| Problem::from("a label is not a number from 0 to 255"))
}
