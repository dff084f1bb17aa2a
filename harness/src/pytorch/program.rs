//! A TorchScript file, taken apart: its modules with their attributes, its constants, its source code. Nothing in it is
//! executed.

use super::archive;
use super::array::Array;
use super::code::{self, Method};
use super::pickle::{self, CLASS, Graph, Of, Value};
use crate::error::{Error, Problem, Result};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use tch::Tensor;
use zip::ZipArchive;

/// An attribute of a module, or a constant.
#[derive(Debug)]
pub enum Constant {
    /// A tensor, in single precision.
    Tensor(Tensor),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A flag.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list or tuple.
    List(Vec<Constant>),
    /// Another module.
    Module(usize),
    /// `None`.
    Nothing,
}

/// A TorchScript file.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    bytes: Vec<u8>,
    root: String,
    records: BTreeMap<String, archive::Record>,
    data: Graph,
    constants: Graph,
}

impl Program {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read or is no TorchScript.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
        Self::parse(path, bytes).map_err(|why| Error::reading(path, why))
    }

    fn parse(path: &Path, bytes: Vec<u8>) -> std::result::Result<Self, Problem> {
        const OTHER: &str = "it is no TorchScript file; save the model with torch.jit.save";
        if !archive::is_archive(&bytes) {
            return Err(OTHER.into());
        }
        let records = archive::records(&bytes)?;
        let root = records.keys().find_map(|name| name.strip_suffix("constants.pkl"));
        let root = root.ok_or_else(|| Problem::from(OTHER))?.to_owned();
        let pickle = |name: &str| {
            let record = records
                .get(&format!("{root}{name}"))
                .filter(|record| record.stored);
            let record =
                record.ok_or_else(|| Problem::from(format!("it has no {name} as PyTorch writes it")))?;
            pickle::read(&bytes[record.range.clone()], Of::Script)
        };
        let (data, constants) = (pickle("data.pkl")?, pickle("constants.pkl")?);
        Ok(Self {
            path: path.to_owned(),
            root,
            data,
            constants,
            records,
            bytes,
        })
    }

    fn refused(&self, why: impl std::fmt::Display) -> Error {
        Error::reading(&self.path, why)
    }

    /// The network.
    pub fn root(&self) -> usize {
        match self.data.root {
            Value::Node(module) => module,
            _ => usize::MAX,
        }
    }

    /// The full name of a module's class.
    pub fn class(&self, module: usize) -> &str {
        match self.data.get(&Value::Node(module), CLASS) {
            Some(Value::Text(class)) => class,
            _ => "",
        }
    }

    /// A method of a class.
    ///
    /// # Errors
    /// When the file does not have it.
    pub fn method(&self, class: &str, name: &str) -> Result<Method> {
        let (file, class) = class.rsplit_once('.').unwrap_or(("", class));
        let record = format!("{}code/{}.py", self.root, file.replace('.', "/"));
        if !self.records.contains_key(&record) {
            return Err(self.refused(format!("it has no code of the class {class:?}")));
        }
        let read = || {
            let mut archive = ZipArchive::new(Cursor::new(&self.bytes)).ok()?;
            let mut text = String::new();
            archive
                .by_name(&record)
                .ok()?
                .take(LONGEST)
                .read_to_string(&mut text)
                .ok()?;
            Some(text)
        };
        let text = read().ok_or_else(|| self.refused(format!("its record {record} is damaged")))?;
        code::method(&text, class, name).map_err(|why| self.refused(why))
    }

    /// An attribute of a module.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn attribute(&self, module: usize, name: &str) -> Result<Constant> {
        let missing = || {
            self.refused(format!(
                "its class {} has no attribute {name}",
                self.class(module)
            ))
        };
        let value = self.data.get(&Value::Node(module), name).ok_or_else(missing)?;
        self.value(&self.data, "data", value)
    }

    /// `CONSTANTS.c0` and its like.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn constant(&self, name: &str) -> Result<Constant> {
        let place = name
            .strip_prefix('c')
            .and_then(|place| place.parse::<usize>().ok());
        let constants = self.constants.sequence(&self.constants.root).unwrap_or_default();
        let missing = || self.refused(format!("it has no constant {name}"));
        let value = place.and_then(|place| constants.get(place)).ok_or_else(missing)?;
        self.value(&self.constants, "constants", value)
    }

    fn value(&self, graph: &Graph, folder: &str, value: &Value) -> Result<Constant> {
        Ok(match value {
            Value::Int(value) => Constant::Int(*value),
            Value::Float(value) => Constant::Float(*value),
            Value::Bool(value) => Constant::Bool(*value),
            Value::Text(text) => Constant::Text(text.to_string()),
            Value::Tensor(array) => Constant::Tensor(self.tensor(folder, array)?),
            Value::Node(node) if graph.get(value, CLASS).is_some() => Constant::Module(*node),
            Value::Node(_) => match graph.sequence(value) {
                // A list that holds itself is none that a network needs.
                Some(items) if items.iter().all(|item| !matches!(item, Value::Node(_))) => {
                    let items = items.iter().map(|item| self.value(graph, folder, item));
                    Constant::List(items.collect::<Result<_>>()?)
                }
                _ => Constant::Nothing,
            },
            Value::Nothing | Value::Bytes(_) | Value::Storage(_) | Value::Global(_) => Constant::Nothing,
        })
    }

    fn tensor(&self, folder: &str, array: &Array) -> Result<Tensor> {
        let key = &array.storage.key;
        let record = self.records.get(&format!("{}{folder}/{key}", self.root));
        let record = record.filter(|record| record.stored);
        let missing = || {
            self.refused(format!(
                "the numbers {folder}/{key} of a tensor are missing: the file is damaged"
            ))
        };
        let bytes = &self.bytes[record.ok_or_else(missing)?.range.clone()];
        if array.storage.length.checked_mul(array.storage.element.bytes()) != Some(bytes.len()) {
            return Err(self.refused(format!(
                "the numbers {folder}/{key} are cut short: the file is damaged"
            )));
        }
        let shape: Vec<i64> = array.shape().iter().map(|&side| side as i64).collect();
        Ok(Tensor::from_slice(&array.values(bytes)).reshape(shape))
    }
}

/// Bytes of source code that a file may have; the largest of the usual networks has a tenth of it.
const LONGEST: u64 = 16 << 20;
