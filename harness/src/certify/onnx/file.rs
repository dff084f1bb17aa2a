//! What is read of an ONNX file: operators, constants, ports. Numbers of fields: onnx.proto of ONNX 1.16.

use crate::deployed::protobuf::{Field, fields};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// An operator.
#[derive(Debug, Default)]
pub(super) struct Operator {
    pub(super) kind: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) numbers: BTreeMap<String, Vec<i64>>,
    pub(super) fractions: BTreeMap<String, f64>,
    pub(super) texts: BTreeMap<String, String>,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

/// What is read of a file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) operators: Vec<Operator>,
    pub(super) constants: BTreeMap<String, Tensor>,
    /// Inputs with their sides, -1 where one is not given.
    pub(super) inputs: Vec<(String, Vec<i64>)>,
    pub(super) outputs: Vec<String>,
}

pub(super) fn refused(what: &str) -> Error {
    Error::Incompatible(what.to_owned())
}

fn message(bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>> {
    fields(bytes).ok_or_else(|| refused("it is damaged, or no ONNX file"))
}

/// Types of elements.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;
const DOUBLE: i64 = 11;

/// A tensor and its name. Whole numbers become int64, others single precision.
fn tensor(bytes: &[u8]) -> Result<(String, Tensor)> {
    let (mut name, mut shape, mut kind, mut raw) = (String::new(), Vec::new(), 0, None);
    let (mut floats, mut ints, mut doubles) = (Vec::new(), Vec::new(), Vec::new());
    for (number, field) in message(bytes)? {
        match number {
            1 => shape.extend(field.ints()),
            2 => kind = field.ints().first().copied().unwrap_or_default(),
            4 => floats.extend(field.floats()),
            5 | 7 => ints.extend(field.ints()),
            8 => name = field.text(),
            9 => raw = Some(field.bytes()),
            10 => doubles.extend(field.bytes().chunks_exact(8).map(long).map(f64::from_bits)),
            13 => return Err(refused("its weights lie in another file")),
            _ => {}
        }
    }
    if let Some(raw) = raw {
        match kind {
            FLOAT => floats = Field::Bytes(raw).floats(),
            DOUBLE => doubles = raw.chunks_exact(8).map(long).map(f64::from_bits).collect(),
            INT64 => ints = raw.chunks_exact(8).map(|eight| long(eight) as i64).collect(),
            INT32 => {
                let four = |four: &[u8]| i64::from(i32::from_le_bytes([four[0], four[1], four[2], four[3]]));
                ints = raw.chunks_exact(4).map(four).collect();
            }
            _ => {}
        }
    }
    let values = match kind {
        FLOAT => Tensor::from_slice(&floats),
        DOUBLE => Tensor::from_slice(&doubles).to_kind(Kind::Float),
        INT32 | INT64 => Tensor::from_slice(&ints),
        other => {
            return Err(refused(&format!(
                "it has the constant `{name}` of type {other}, not of floats"
            )));
        }
    };
    let values = values
        .f_reshape(shape.as_slice())
        .map_err(|_| refused(&format!("its constant `{name}` is damaged")))?;
    Ok((name, values))
}

fn long(eight: &[u8]) -> u64 {
    eight
        .iter()
        .rev()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn operator(bytes: &[u8]) -> Result<Operator> {
    let mut read = Operator::default();
    for (number, field) in message(bytes)? {
        match number {
            1 => read.inputs.push(field.text()),
            2 => read.outputs.push(field.text()),
            4 => read.kind = field.text(),
            5 => {
                let (mut name, mut whole) = (String::new(), Vec::new());
                for (number, field) in message(field.bytes())? {
                    match number {
                        1 => name = field.text(),
                        2 => drop(read.fractions.insert(
                            name.clone(),
                            f64::from(field.floats().first().copied().unwrap_or_default()),
                        )),
                        3 | 8 => whole.extend(field.ints()),
                        4 => drop(read.texts.insert(name.clone(), field.text())),
                        5 => drop(read.tensors.insert(name.clone(), tensor(field.bytes())?.1)),
                        _ => {}
                    }
                }
                if !whole.is_empty() {
                    read.numbers.insert(name, whole);
                }
            }
            7 if !matches!(field.text().as_str(), "" | "ai.onnx") => {
                return Err(refused(&format!("it has operators of `{}`", field.text())));
            }
            _ => {}
        }
    }
    Ok(read)
}

/// An input or output: its name and its sides.
fn port(bytes: &[u8]) -> Result<(String, Vec<i64>)> {
    let (mut name, mut sides) = (String::new(), Vec::new());
    for (number, field) in message(bytes)? {
        match number {
            1 => name = field.text(),
            2 => {
                for (_, tensor) in message(field.bytes())? {
                    for (number, shape) in message(tensor.bytes())? {
                        if number != 2 {
                            continue;
                        }
                        for (_, side) in message(shape.bytes())? {
                            let side = message(side.bytes())?;
                            let known = side.iter().find(|(number, _)| *number == 1);
                            sides.push(
                                known
                                    .and_then(|(_, field)| field.ints().first().copied())
                                    .unwrap_or(-1),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok((name, sides))
}

impl File {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let graph = message(bytes)?.into_iter().find(|(number, _)| *number == 7);
        let (_, graph) = graph.ok_or_else(|| refused("it holds no graph, so it is no ONNX file"))?;
        let mut file = Self::default();
        for (number, field) in message(graph.bytes())? {
            match number {
                1 => file.operators.push(operator(field.bytes())?),
                5 => {
                    let (name, values) = tensor(field.bytes())?;
                    file.constants.insert(name, values);
                }
                11 => file.inputs.push(port(field.bytes())?),
                12 => file.outputs.push(port(field.bytes())?.0),
                _ => {}
            }
        }
        // Files of old versions name their constants among the inputs.
        file.inputs.retain(|(name, _)| !file.constants.contains_key(name));
        Ok(file)
    }
}

impl Operator {
    pub(super) fn number(&self, name: &str, absent: i64) -> i64 {
        self.numbers
            .get(name)
            .and_then(|values| values.first().copied())
            .unwrap_or(absent)
    }

    pub(super) fn pair(&self, name: &str, absent: [i64; 2]) -> Result<[i64; 2]> {
        match self.numbers.get(name).map(Vec::as_slice) {
            None => Ok(absent),
            Some(&[a, b]) => Ok([a, b]),
            Some(other) => Err(refused(&format!("{name} = {other:?} is not for maps"))),
        }
    }

    /// Padding above and below, left and right.
    pub(super) fn padding(&self) -> Result<[i64; 2]> {
        let auto = self.texts.get("auto_pad").map_or("NOTSET", String::as_str);
        match (auto, self.numbers.get("pads").map(Vec::as_slice)) {
            ("NOTSET" | "VALID", None) => Ok([0, 0]),
            ("NOTSET", Some(&[top, left, bottom, right])) if top == bottom && left == right => {
                Ok([top, left])
            }
            (auto, pads) => Err(refused(&format!(
                "padding {auto} {:?} is not the same on both sides",
                pads.unwrap_or_default()
            ))),
        }
    }
}
