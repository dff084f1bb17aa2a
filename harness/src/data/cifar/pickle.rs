//! A python-version CIFAR file, rewritten as the records of the binary version.
//!
//! Those files are pickles (protocol 2, written by Python 2) of a dictionary with `labels` or
//! `fine_labels` and `coarse_labels`, and `data`, a NumPy array of `uint8` rows in plane order.
//! A NumPy array pickles as a call of `_reconstruct` followed by a state tuple
//! `(version, shape, dtype, fortran order, bytes)`, and from protocol 5 on as a call of `_frombuffer`
//! with `(bytes, dtype, shape, order)`; a NumPy number as a call with `(dtype, bytes)`. The unpickler
//! ([`crate::pytorch::pickle`]) keeps such states and arguments and runs nothing, so no code in the file is ever executed. Files
//! that somebody read and saved again (other protocols, text keys, labels as an array, columns first)
//! hold the same rows.

use crate::error::Problem;
use crate::pytorch::pickle::{Graph, Of, Value, read};
use std::borrow::Cow;
use std::path::Path;

use super::PLANE;
use crate::data::DataError;

/// Far more axes than an array of images has.
const AXES: usize = 8;

/// Reads `path` and returns its rows as binary-version records: label bytes, then pixels.
/// With `coarse`, records carry the coarse label too, as in CIFAR-100.
pub(super) fn read_as_records(path: &Path, coarse: bool) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Io {
        file: path.to_path_buf(),
        source,
    })?;
    records(&bytes, coarse).map_err(|problem| DataError::Pickle {
        file: path.to_path_buf(),
        problem: problem.to_string(),
    })
}

fn records(bytes: &[u8], coarse: bool) -> Result<Vec<u8>, Problem> {
    let graph = read(bytes, Of::Arrays)?;
    let entries = graph.dict(&graph.root);
    if entries.is_empty() {
        return Err("it holds no dictionary".into());
    }
    // Python 2 strings arrive as bytes, Python 3 strings as text.
    let get = |wanted: &str| {
        let found = entries
            .iter()
            .rev()
            .find(|(key, _)| bytes_of(key) == Some(wanted.as_bytes()));
        found
            .map(|(_, value)| value)
            .ok_or_else(|| Problem::from(format!("the key `{wanted}` is missing")))
    };
    let pixels = pixels(&graph, get("data")?)?;
    let names: &[&str] = if coarse {
        &["coarse_labels", "fine_labels"]
    } else {
        &["labels"]
    };
    let columns = names.iter().map(|name| labels(&graph, get(name)?));
    let columns = columns.collect::<Result<Vec<Vec<u8>>, Problem>>()?;
    let rows = pixels.len() / (3 * PLANE);
    if rows * 3 * PLANE != pixels.len() || columns.iter().any(|column| column.len() != rows) {
        return Err(format!(
            "{} pixel bytes and {} labels do not make whole images",
            pixels.len(),
            columns[0].len()
        )
        .into());
    }
    let mut records = Vec::with_capacity(pixels.len() + rows * columns.len());
    for (i, row) in pixels.chunks_exact(3 * PLANE).enumerate() {
        records.extend(columns.iter().map(|column| column[i]));
        records.extend_from_slice(row);
    }
    Ok(records)
}

/// Bytes, or a text of Python 2, which is bytes as well.
fn bytes_of(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::Text(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// A NumPy array.
struct Array<'a> {
    shape: Vec<usize>,
    /// Whether the first index runs fastest (Fortran order).
    by_column: bool,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    fn of(graph: &'a Graph, value: &'a Value) -> Option<Self> {
        let (shape, by_column, bytes) = match graph.sequence(value)? {
            [_, shape, _, order, bytes] => (shape, matches!(order, Value::Bool(true) | Value::Int(1)), bytes),
            [bytes, _, shape, Value::Text(order)] => (shape, **order == *"F", bytes),
            _ => return None,
        };
        let sides = graph.sequence(shape)?.iter().map(|side| match side {
            Value::Int(side) => usize::try_from(*side).ok(),
            _ => None,
        });
        let shape: Vec<usize> = sides.collect::<Option<_>>()?;
        let bytes = bytes_of(bytes)?;
        (shape.len() <= AXES).then_some(Self {
            shape,
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
fn pixels<'a>(graph: &'a Graph, value: &'a Value) -> Result<Cow<'a, [u8]>, Problem> {
    if let Some(bytes) = bytes_of(value) {
        return Ok(Cow::Borrowed(bytes));
    }
    let array = Array::of(graph, value).ok_or("`data` is neither a NumPy array nor bytes")?;
    let count = array
        .shape
        .iter()
        .try_fold(1_usize, |count, &side| count.checked_mul(side));
    if !array.by_column && count == Some(array.bytes.len()) {
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

fn labels(graph: &Graph, value: &Value) -> Result<Vec<u8>, Problem> {
    let no_label = || Problem::from("a label is not a number from 0 to 255");
    // Whole numbers as NumPy stores them, the lowest byte first.
    let little_endian = |bytes: &[u8]| match bytes {
        [label, rest @ ..] if rest.iter().all(|byte| *byte == 0) => Ok(*label),
        _ => Err(no_label()),
    };
    if let Some(array) = Array::of(graph, value) {
        return array.values()?.into_iter().map(little_endian).collect();
    }
    let items = graph
        .sequence(value)
        .ok_or("the labels are neither a list nor a NumPy array")?;
    let one = |item: &Value| match (item, graph.sequence(item)) {
        (Value::Int(label), _) => u8::try_from(*label).map_err(|_| no_label()),
        (_, Some([_, bytes])) => little_endian(bytes_of(bytes).ok_or_else(no_label)?),
        _ => Err(no_label()),
    };
    items.iter().map(one).collect()
}
