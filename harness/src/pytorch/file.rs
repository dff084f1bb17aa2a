//! A file of `torch.save`, opened: its pickle read, its numbers found.

use super::archive;
use super::array::{Array, Storage};
use super::pickle::{self, Graph, Of, Value};
use crate::error::{Error, Problem, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How files of PyTorch before 1.6 begin: a pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
/// The version of that format, in the pickle that follows.
const LEGACY_VERSION: i64 = 1001;

/// Dictionaries that training scripts keep their weights in, tried in this order.
const WEIGHTS: [&str; 6] = [
    "state_dict",
    "model",
    "model_state_dict",
    "net",
    "network",
    "weights",
];

/// A checkpoint: what its pickle says, and where the numbers are.
#[derive(Debug)]
pub struct TorchFile {
    path: PathBuf,
    bytes: Vec<u8>,
    graph: Graph,
    storages: BTreeMap<String, Range<usize>>,
}

/// Tensors by name, in the file's order.
pub type StateDict = Vec<(String, Rc<Array>)>;

impl TorchFile {
    /// Opens a file. Only its bytes are read; see [`pickle`] for what a pickle may hold.
    ///
    /// # Errors
    /// When it cannot be read, is of another format, is damaged, or asks for code to be run.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
        let parsed = if archive::is_archive(&bytes) {
            zipped(&bytes)
        } else if bytes.starts_with(LEGACY) {
            legacy(&bytes)
        } else {
            Err("it is no PyTorch checkpoint (neither a zip archive nor the format before PyTorch 1.6): save it \
                 with torch.save(model.state_dict(), FILE)".into())
        };
        let (graph, storages) = parsed.map_err(|why| Error::reading(path, why))?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            graph,
            storages,
        })
    }

    /// The dictionary of weights: the one under `key`, else the one under a usual name, else
    /// the file's own.
    ///
    /// # Errors
    /// When there is none.
    pub fn state_dict(&self, key: Option<&str>) -> Result<StateDict> {
        let root = &self.graph.root;
        if let Some(key) = key {
            let found = self.graph.get(root, key).map(|value| self.tensors(value));
            return found.filter(|tensors| !tensors.is_empty()).ok_or_else(|| {
                let keys: Vec<String> = self.keys();
                let why = format!(
                    "it has no tensors under `{key}`, only the keys {}",
                    keys.join(", ")
                );
                self.refused(why)
            });
        }
        let usual = WEIGHTS.iter().filter_map(|key| self.graph.get(root, key));
        let tried = usual.chain([root]).map(|value| self.tensors(value));
        tried
            .into_iter()
            .find(|tensors| !tensors.is_empty())
            .ok_or_else(|| {
                self.refused(format!(
                    "no tensors where they usually are; choose with --key among {}",
                    self.keys().join(", ")
                ))
            })
    }

    /// The file itself, where it is a tensor.
    pub fn tensor(&self) -> Option<Rc<Array>> {
        match &self.graph.root {
            Value::Tensor(array) => Some(Rc::clone(array)),
            _ => None,
        }
    }

    /// The list of tensors under a key, if there is one.
    pub fn list(&self, key: &str) -> Option<Vec<Rc<Array>>> {
        let items = self.graph.sequence(self.graph.get(&self.graph.root, key)?)?;
        items
            .iter()
            .map(|item| match item {
                Value::Tensor(array) => Some(Rc::clone(array)),
                _ => None,
            })
            .collect()
    }

    /// The integer under a key, if there is one.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.graph.get(&self.graph.root, key)? {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The numbers of a tensor, as 32-bit floats in C order.
    ///
    /// # Errors
    /// When the file does not hold them.
    pub fn values(&self, array: &Array) -> Result<Vec<f32>> {
        let Storage { key, element, length } = &array.storage;
        let range = self.storages.get(&**key).ok_or_else(|| {
            self.refused(format!(
                "the numbers `{key}` of a tensor are missing: the file is damaged"
            ))
        })?;
        let bytes = &self.bytes[range.clone()];
        if length.checked_mul(element.bytes()) != Some(bytes.len()) {
            return Err(self.refused(format!(
                "the numbers `{key}` should be {length} of {} bytes, they take {} bytes: the file is damaged",
                element.bytes(),
                bytes.len()
            )));
        }
        Ok(array.values(bytes))
    }

    /// An error about this file.
    pub fn refused(&self, why: impl std::fmt::Display) -> Error {
        Error::reading(&self.path, why)
    }

    fn tensors(&self, value: &Value) -> StateDict {
        let entry = |(key, value): &(Value, Value)| match (key, value) {
            (Value::Text(key), Value::Tensor(array)) => Some((key.to_string(), Rc::clone(array))),
            _ => None,
        };
        self.graph.dict(value).iter().filter_map(entry).collect()
    }

    fn keys(&self) -> Vec<String> {
        let key = |(key, _): &(Value, Value)| match key {
            Value::Text(key) => Some(key.to_string()),
            _ => None,
        };
        let keys = self.graph.dict(&self.graph.root).iter().filter_map(key);
        keys.take(20).collect()
    }
}

type Parsed = std::result::Result<(Graph, BTreeMap<String, Range<usize>>), Problem>;

/// A zip archive: `NAME/data.pkl`, and the numbers as `NAME/data/KEY`.
fn zipped(bytes: &[u8]) -> Parsed {
    let records = archive::records(bytes)?;
    let root = records.keys().find_map(|name| {
        name.strip_suffix("data.pkl")
            .filter(|root| root.matches('/').count() <= 1)
    });
    let Some(root) = root else {
        return Err("it is a zip archive, but not one of torch.save (it has no data.pkl)".into());
    };
    if records
        .keys()
        .any(|name| name.starts_with(&format!("{root}code/")))
    {
        return Err("it is a TorchScript file, which holds a program: `rlnet eval FILE` evaluates it as it is; to import \
             weights, save them with torch.save(model.state_dict(), FILE)".into());
    }
    if let Some((name, _)) = records.iter().find(|(_, record)| !record.stored) {
        return Err(Problem::from(format!(
            "its record `{name}` is compressed; torch.save compresses nothing, so the file was packed again: unpack \
             it and save it with torch.save"
        )));
    }
    let bytes_of = |name: &str| {
        let record = records.get(&format!("{root}{name}"))?;
        Some(&bytes[record.range.clone()])
    };
    if bytes_of("byteorder").is_some_and(|order| order != b"little") {
        return Err("it was written on a big-endian machine; save it again on a usual one".into());
    }
    let graph = pickle::read(bytes_of("data.pkl").unwrap_or_default(), Of::Tensors)?;
    let prefix = format!("{root}data/");
    let storages = records
        .iter()
        .filter_map(|(name, record)| Some((name.strip_prefix(&prefix)?.to_owned(), record.range.clone())))
        .collect();
    Ok((graph, storages))
}

/// The format before PyTorch 1.6: pickles of the version, the machine, the object and the
/// storages' names, then each storage's length and numbers.
fn legacy(bytes: &[u8]) -> Parsed {
    let short = || Problem::from("it is cut short: copy or download the file again");
    let mut at = LEGACY.len();
    let mut next = || -> std::result::Result<Graph, Problem> {
        let graph = pickle::read(&bytes[at..], Of::Tensors)?;
        at += graph.length;
        Ok(graph)
    };
    if next()?.root != Value::Int(LEGACY_VERSION) {
        return Err("it is of a version of PyTorch's old format that is not known".into());
    }
    let machine = next()?;
    if machine.get(&machine.root, "little_endian") != Some(&Value::Bool(true)) {
        return Err("it was written on a big-endian machine; save it again on a usual one".into());
    }
    let graph = next()?;
    let keys = next()?;
    let mut widths = BTreeMap::new();
    for storage in &graph.storages {
        widths.insert(storage.key.to_string(), storage.element.bytes());
    }
    let mut storages = BTreeMap::new();
    for key in keys.sequence(&keys.root).ok_or_else(short)? {
        let Value::Text(key) = key else {
            return Err(short());
        };
        let length = bytes.get(at..at + 8).ok_or_else(short)?;
        let length = length
            .iter()
            .rev()
            .fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte));
        let width = widths.get(&**key).ok_or_else(short)?;
        let from = at + 8;
        let end = length.checked_mul(*width).and_then(|n| from.checked_add(n));
        at = end.filter(|&end| end <= bytes.len()).ok_or_else(short)?;
        storages.insert(key.to_string(), from..at);
    }
    Ok((graph, storages))
}
