//! A reader of the pickles that `torch.save` writes, and of those of dictionaries of NumPy arrays, and of nothing else.
//!
//! The virtual machine is that of Python's `pickle` (protocols 0 to 5, as documented in
//! `pickletools`), with one difference: a global is looked up in the list below and stands for
//! itself. Nothing is imported, nothing is called. What a pickle builds lies in one list of
//! nodes that refer to each other by number, so a pickle that nests or refers to itself without
//! end costs no more than its bytes.

use super::array::{Array, Element, Storage};
use crate::error::Problem;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

/// A value. Containers are nodes of the [`Graph`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, and everything that is of no use here: a device, a type of numbers, an option.
    Nothing,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(Rc<str>),
    /// Bytes; of Python 2, text that is not UTF-8.
    Bytes(Rc<[u8]>),
    /// A tuple, list or dictionary.
    Node(usize),
    /// A tensor.
    Tensor(Rc<Array>),
    /// The numbers of a tensor.
    Storage(Storage),
    /// A function or class, by name only.
    Global(Global),
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A tuple, or a list.
    Sequence(Vec<Value>),
    /// A dictionary, in its order.
    Dict(Vec<(Value, Value)>),
}

/// The functions and classes that are known as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `argparse.Namespace`: the options of a training script.
    Namespace,
    /// `torch._utils._rebuild_tensor` and `_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// `torch.Size`.
    Size,
    /// `torch.device`.
    Device,
    /// `torch.float32` and its like.
    Kind,
    /// `torch.FloatStorage` and its like.
    Storage(Element),
    /// A function or class of NumPy: what it would make is its arguments, and then its state.
    Numpy,
    /// `_codecs.encode`: bytes as Python 3 writes them for Python 2.
    Encode,
}

/// What a pickle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Tensors, by `torch.save`.
    Tensors,
    /// NumPy arrays. An array is the sequence of its state, or of the arguments it is made of.
    Arrays,
    /// A TorchScript file. A module is a dictionary of its attributes, and of its class under [`CLASS`]: classes of
    /// `__torch__` are known, because their code lies in the same file.
    Script,
}

/// The key of a module's class.
pub const CLASS: &str = "__class__";

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("argparse", "Namespace") => Self::Namespace,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            (
                "torch",
                "float64" | "float32" | "float16" | "bfloat16" | "int64" | "int32" | "int16" | "int8"
                | "uint8" | "bool",
            ) => Self::Kind,
            ("torch", class) => Self::Storage(Element::of_storage(class)?),
            _ => return None,
        })
    }
}

/// What a pickle built.
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// The storages it names, in its order.
    pub storages: Vec<Storage>,
    /// The value it ended with.
    pub root: Value,
    /// Bytes it took; something else may follow.
    pub length: usize,
}

impl Graph {
    /// The entries of a dictionary; none of anything else.
    pub fn dict(&self, value: &Value) -> &[(Value, Value)] {
        match value {
            Value::Node(node) => match &self.nodes[*node] {
                Node::Dict(entries) => entries,
                Node::Sequence(_) => &[],
            },
            _ => &[],
        }
    }

    /// The items of a tuple or list.
    pub fn sequence(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::Node(node) => match &self.nodes[*node] {
                Node::Sequence(items) => Some(items),
                Node::Dict(_) => None,
            },
            _ => None,
        }
    }

    /// The entry of a dictionary under a text key: the last one, as in Python.
    pub fn get(&self, value: &Value, key: &str) -> Option<&Value> {
        let named = |(name, _): &&(Value, Value)| matches!(name, Value::Text(text) if **text == *key);
        self.dict(value).iter().rev().find(named).map(|(_, value)| value)
    }
}

/// Reads one pickle from the beginning of `bytes`.
///
/// # Errors
/// When it is cut short, or does anything but describe tensors, numbers, texts and containers.
pub fn read(bytes: &[u8], of: Of) -> Result<Graph, Problem> {
    let mut machine = Machine {
        bytes,
        of,
        at: 0,
        nodes: Vec::new(),
        storages: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: Cell::new(0),
    };
    loop {
        if let Some(root) = machine.step()? {
            return Ok(Graph {
                nodes: machine.nodes,
                storages: machine.storages,
                root,
                length: machine.at,
            });
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    of: Of,
    at: usize,
    nodes: Vec<Node>,
    storages: Vec<Storage>,
    stack: Vec<Value>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    /// Pairs given to dictionaries as arguments. Each takes bytes of the pickle, so there are
    /// fewer of them than bytes, unless a list is given again and again to fill the memory.
    copied: Cell<usize>,
}

impl Machine<'_> {
    /// One instruction; the result, if it was the last.
    fn step(&mut self) -> Result<Option<Value>, Problem> {
        let at = self.at;
        let code = self.take(1)?[0];
        match code {
            b'\x80' | b'\x95' | b'\x98' => {
                // Protocol, a frame's length, that a buffer is not to be written: nothing to do.
                self.take(match code {
                    b'\x80' => 1,
                    b'\x95' => 8,
                    _ => 0,
                })?;
            }
            b'.' if self.marks.is_empty() => return self.pop().map(Some),
            b'.' => return Err(damaged()),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let value = self.stack.last().ok_or_else(damaged)?.clone();
                self.stack.push(value);
            }
            b'N' => self.stack.push(Value::Nothing),
            b'\x88' | b'\x89' => self.stack.push(Value::Bool(code == b'\x88')),
            b'K' | b'M' => {
                let value = self.number(if code == b'K' { 1 } else { 2 })?;
                self.stack.push(Value::Int(value as i64));
            }
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.stack.push(Value::Int(i64::from(value)));
            }
            b'I' | b'L' => {
                let line = self.line()?;
                // Protocol 0 has no other booleans than these integers.
                let value = match line.as_str() {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    number => Value::Int(number.trim_end_matches('L').parse().map_err(|_| damaged())?),
                };
                self.stack.push(value);
            }
            b'F' => {
                let value = self.line()?.parse().map_err(|_| damaged())?;
                self.stack.push(Value::Float(value));
            }
            b'\x8a' | b'\x8b' => {
                let length = self.number(if code == b'\x8a' { 1 } else { 4 })? as usize;
                let value = integer(self.take(length)?)?;
                self.stack.push(value);
            }
            b'G' => {
                let mut word = [0; 8];
                word.copy_from_slice(self.take(8)?);
                self.stack.push(Value::Float(f64::from_be_bytes(word)));
            }
            b'X' | b'\x8c' | b'\x8d' => {
                let bytes = self.counted(match code {
                    b'X' => 4,
                    b'\x8d' => 8,
                    _ => 1,
                })?;
                let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
                self.stack.push(Value::Text(text.into()));
            }
            b'U' | b'T' => {
                let bytes = self.counted(if code == b'U' { 1 } else { 4 })?;
                let value = std::str::from_utf8(bytes);
                let value =
                    value.map_or_else(|_| Value::Bytes(bytes.into()), |text| Value::Text(text.into()));
                self.stack.push(value);
            }
            b'C' | b'B' | b'\x8e' | b'\x96' => {
                let bytes = self.counted(match code {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                })?;
                self.stack.push(Value::Bytes(bytes.into()));
            }
            b'S' | b'V' => {
                let value = written(self.raw_line()?, code == b'S')?;
                self.stack.push(value);
            }
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b']' | b')' => self.push_node(Node::Sequence(Vec::new())),
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.push_node(Node::Sequence(items));
            }
            b'd' => {
                let pairs = pairs(self.since_mark()?)?;
                self.push_node(Node::Dict(pairs));
            }
            b'\x85'..=b'\x87' => {
                let items = self.top(usize::from(code - b'\x84'))?;
                self.push_node(Node::Sequence(items));
            }
            b'a' | b'e' => {
                let items = if code == b'a' {
                    self.top(1)?
                } else {
                    self.since_mark()?
                };
                match self.last_node()? {
                    Node::Sequence(list) => list.extend(items),
                    Node::Dict(_) => return Err(damaged()),
                }
            }
            b's' | b'u' => {
                let items = if code == b's' {
                    self.top(2)?
                } else {
                    self.since_mark()?
                };
                let pairs = pairs(items)?;
                match self.last_node()? {
                    Node::Dict(entries) => entries.extend(pairs),
                    Node::Sequence(_) => return Err(damaged()),
                }
            }
            b'q' | b'r' | b'p' | b'\x94' => {
                let place = match code {
                    b'q' => self.number(1)?,
                    b'r' => self.number(4)?,
                    b'p' => self.line()?.parse().map_err(|_| damaged())?,
                    _ => self.memo.len() as u64,
                };
                let value = self.stack.last().ok_or_else(damaged)?.clone();
                self.memo.insert(place, value);
            }
            b'h' | b'j' | b'g' => {
                let place = match code {
                    b'h' => self.number(1)?,
                    b'j' => self.number(4)?,
                    _ => self.line()?.parse().map_err(|_| damaged())?,
                };
                let value = self.memo.get(&place).ok_or_else(damaged)?.clone();
                self.stack.push(value);
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let inside = module.split('.').next() == Some("__torch__");
                let global = if self.of == Of::Script && inside {
                    Value::Text(format!("{module}.{name}").into())
                } else {
                    Value::Global(known(self.of, &module, &name)?)
                };
                self.stack.push(global);
            }
            b'\x93' => match &self.top(2)?[..] {
                [Value::Text(module), Value::Text(name)] => {
                    let global = known(self.of, module, name)?;
                    self.stack.push(Value::Global(global));
                }
                _ => return Err(damaged()),
            },
            b'R' | b'\x81' => self.build()?,
            b'b' => {
                // State set on an object: PyTorch's `_metadata`, or a Namespace's options; or all of an array.
                let objects = self.top(2)?;
                self.stack
                    .push(objects[usize::from(self.of == Of::Arrays)].clone());
                if self.of == Of::Script {
                    self.set_attributes(&objects[1])?;
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(&id)?;
                self.storages.push(storage.clone());
                self.stack.push(Value::Storage(storage));
            }
            other if self.of == Of::Tensors => {
                return Err(Problem::from(format!(
                    "byte {at} of its pickle is the instruction {other:#04x}, which torch.save never writes for \
                     tensors: {SAVE_AGAIN}"
                )));
            }
            other => {
                return Err(Problem::from(format!(
                    "byte {at} of its pickle is the instruction {other:#04x}, which no dictionary of arrays needs"
                )));
            }
        }
        Ok(None)
    }

    /// A module's attributes, which come after its class.
    fn set_attributes(&mut self, state: &Value) -> Result<(), Problem> {
        let entries = match state {
            Value::Node(node) => match &mut self.nodes[*node] {
                Node::Dict(entries) => std::mem::take(entries),
                Node::Sequence(_) => return Ok(()),
            },
            _ => return Ok(()),
        };
        match self.last_node()? {
            Node::Dict(module) => module.extend(entries),
            Node::Sequence(_) => return Err(damaged()),
        }
        Ok(())
    }

    /// The result of `function(*arguments)`, as data.
    fn build(&mut self) -> Result<(), Problem> {
        let call = self.top(2)?;
        if let (Of::Script, [class @ Value::Text(_), _]) = (self.of, &call[..]) {
            self.push_node(Node::Dict(vec![(Value::Text(CLASS.into()), class.clone())]));
            return Ok(());
        }
        let [Value::Global(function), arguments] = &call[..] else {
            return Err(damaged());
        };
        // A memorised tuple may be handed over again and again: no more of it than is looked at.
        let arguments: Vec<Value> = self
            .sequence(arguments)?
            .iter()
            .take(ARGUMENTS)
            .cloned()
            .collect();
        let value = match function {
            Global::OrderedDict | Global::Namespace => {
                let mut entries = Vec::new();
                if let Some(items) = arguments.first() {
                    let items = self.sequence(items)?;
                    self.copied.set(self.copied.get() + items.len());
                    if self.copied.get() > self.bytes.len() {
                        return Err(damaged());
                    }
                    for pair in items {
                        match self.sequence(pair)? {
                            [key, value] => entries.push((key.clone(), value.clone())),
                            _ => return Err(damaged()),
                        }
                    }
                }
                self.nodes.push(Node::Dict(entries));
                Value::Node(self.nodes.len() - 1)
            }
            Global::RebuildTensor => {
                let [Value::Storage(storage), offset, shape, strides, ..] = &arguments[..] else {
                    return Err(damaged());
                };
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                Value::Tensor(Rc::new(Array::new(
                    storage.clone(),
                    size(offset)?,
                    shape,
                    strides,
                )?))
            }
            Global::RebuildParameter | Global::Size => arguments.first().ok_or_else(damaged)?.clone(),
            Global::Device => Value::Nothing,
            Global::Numpy => {
                self.nodes.push(Node::Sequence(arguments));
                Value::Node(self.nodes.len() - 1)
            }
            Global::Encode => match &arguments[..] {
                [Value::Text(text), Value::Text(code)] if code.starts_with("latin") => {
                    let bytes = text
                        .chars()
                        .map(|c| u8::try_from(u32::from(c)).map_err(|_| damaged()));
                    Value::Bytes(bytes.collect::<Result<_, _>>()?)
                }
                _ => return Err(damaged()),
            },
            Global::Kind | Global::Storage(_) => return Err(damaged()),
        };
        self.stack.push(value);
        Ok(())
    }

    /// A persistent id: ("storage", class, key, device, length[, no view]).
    fn storage(&self, id: &Value) -> Result<Storage, Problem> {
        let (class, key, length) = match self.sequence(id)? {
            [
                Value::Text(kind),
                Value::Global(class),
                Value::Text(key),
                _,
                length,
                rest @ ..,
            ] if &**kind == "storage" && rest.iter().all(|view| *view == Value::Nothing) => {
                (class, key, length)
            }
            _ => return Err(damaged()),
        };
        let Global::Storage(element) = class else {
            return Err(damaged());
        };
        Ok(Storage {
            key: key.clone(),
            element: *element,
            length: size(length)?,
        })
    }

    fn sequence(&self, value: &Value) -> Result<&[Value], Problem> {
        match value {
            Value::Node(node) => match &self.nodes[*node] {
                Node::Sequence(items) => Ok(items),
                Node::Dict(_) => Err(damaged()),
            },
            _ => Err(damaged()),
        }
    }

    fn sizes(&self, value: &Value) -> Result<Vec<usize>, Problem> {
        let sizes = self.sequence(value)?;
        if sizes.len() > DIMENSIONS {
            return Err(damaged());
        }
        sizes.iter().map(size).collect()
    }

    fn push_node(&mut self, node: Node) {
        self.nodes.push(node);
        self.stack.push(Value::Node(self.nodes.len() - 1));
    }

    /// The container at the top of the stack.
    fn last_node(&mut self) -> Result<&mut Node, Problem> {
        match self.stack.last() {
            Some(Value::Node(node)) => Ok(&mut self.nodes[*node]),
            _ => Err(damaged()),
        }
    }

    fn pop(&mut self) -> Result<Value, Problem> {
        Ok(self.top(1)?.remove(0))
    }

    /// The last `n` values, taken off the stack but never from below an open mark.
    fn top(&mut self, n: usize) -> Result<Vec<Value>, Problem> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(n) {
            Some(from) if from >= floor => Ok(self.stack.split_off(from)),
            _ => Err(damaged()),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Problem> {
        let mark = self.marks.pop().ok_or_else(damaged)?;
        Ok(self.stack.split_off(mark))
    }

    fn line(&mut self) -> Result<String, Problem> {
        Ok(String::from_utf8_lossy(self.raw_line()?).into_owned())
    }

    fn number(&mut self, width: usize) -> Result<u64, Problem> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }
}

impl<'a> Machine<'a> {
    /// As many bytes as a number of this width before them says.
    fn counted(&mut self, width: usize) -> Result<&'a [u8], Problem> {
        let length = usize::try_from(self.number(width)?).map_err(|_| damaged())?;
        self.take(length)
    }

    fn raw_line(&mut self) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or_else(damaged)?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(damaged)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

/// The functions known take seven arguments at most.
const ARGUMENTS: usize = 8;

/// Far more than any tensor of a network has.
const DIMENSIONS: usize = 16;

const SAVE_AGAIN: &str = "nothing in a checkpoint is executed here. If you trust the file, open it in Python and \
                          save its tensors alone: torch.save(model.state_dict(), \"weights.pth\")";

fn known(of: Of, module: &str, name: &str) -> Result<Global, Problem> {
    if of == Of::Arrays {
        return match (module.split('.').next(), name) {
            (Some("numpy"), _) => Ok(Global::Numpy),
            (Some("_codecs"), "encode") => Ok(Global::Encode),
            _ => Err(format!(
                "it asks for `{}.{}`, which no array needs; nothing in a file is executed here",
                shorter(module),
                shorter(name)
            )
            .into()),
        };
    }
    if let Some(global) = Global::find(module, name) {
        return Ok(global);
    }
    let (module, name) = (shorter(module), shorter(name));
    let what = match &*module {
        "numpy" | "numpy.core.multiarray" | "numpy._core.multiarray" => "it holds a NumPy value, made by",
        _ if module.starts_with("torch.nn") => "it holds a whole module, not its weights; its class is",
        _ => "it asks for",
    };
    Err(Problem::from(format!(
        "{what} `{module}.{name}`: reading that would execute code, and {SAVE_AGAIN}"
    )))
}

/// A name for a message.
fn shorter(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A text as protocol 0 writes it: quoted, with escapes for bytes (`S`), or with escapes for letters beyond Latin-1.
fn written(line: &[u8], quoted: bool) -> Result<Value, Problem> {
    let line = match line {
        [b'\'' | b'"', inside @ .., b'\'' | b'"'] if quoted => inside,
        _ if quoted => return Err(damaged()),
        line => line,
    };
    let code = |at: usize, digits: usize| {
        let text = std::str::from_utf8(line.get(at..at + digits)?).ok()?;
        u32::from_str_radix(text, 16).ok()
    };
    let (mut text, mut at) = (String::new(), 0);
    while let Some(&byte) = line.get(at) {
        let (letter, length) = match (byte, line.get(at + 1), quoted) {
            (b'\\', Some(b'x'), true) => (code(at + 2, 2), 4),
            (b'\\', Some(b'n'), true) => (Some(10), 2),
            (b'\\', Some(b'r'), true) => (Some(13), 2),
            (b'\\', Some(b't'), true) => (Some(9), 2),
            (b'\\', Some(&other), true) => (Some(u32::from(other)), 2),
            (b'\\', Some(b'u'), false) => (code(at + 2, 4), 6),
            (b'\\', Some(b'U'), false) => (code(at + 2, 8), 10),
            _ => (Some(u32::from(byte)), 1),
        };
        text.push(letter.and_then(char::from_u32).ok_or_else(damaged)?);
        at += length;
    }
    if !quoted {
        return Ok(Value::Text(text.into()));
    }
    // Each letter was a byte.
    let bytes: Vec<u8> = text.chars().map(|letter| u32::from(letter) as u8).collect();
    let plain = String::from_utf8(bytes);
    Ok(plain.map_or_else(
        |error| Value::Bytes(error.into_bytes().into()),
        |text| Value::Text(text.into()),
    ))
}

fn damaged() -> Problem {
    Problem::from("its pickle is cut short or damaged: copy or download the file again")
}

/// A two's complement integer; wider ones serve no purpose here.
fn integer(bytes: &[u8]) -> Result<Value, Problem> {
    let Some(&last) = bytes.last() else {
        return Ok(Value::Int(0));
    };
    let mut word = [if last >> 7 == 1 { 0xff } else { 0 }; 8];
    word.get_mut(..bytes.len())
        .ok_or_else(damaged)?
        .copy_from_slice(bytes);
    Ok(Value::Int(i64::from_le_bytes(word)))
}

fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>, Problem> {
    if !items.len().is_multiple_of(2) {
        return Err(damaged());
    }
    let mut items = items.into_iter();
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn size(value: &Value) -> Result<usize, Problem> {
    match value {
        Value::Int(size) => usize::try_from(*size).map_err(|_| damaged()),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests;
