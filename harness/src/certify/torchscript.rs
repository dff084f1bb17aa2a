//! A TorchScript file as a [`Graph`]: its code is followed by name, and never executed. Whoever saved the file may
//! have used modules or tensors alone; what counts is which functions of PyTorch see the images.

use super::graph::{Convolution, Graph, Op, Relu};
use crate::error::{Error, Result};
use crate::nn::layers::norm_as_affine;
use crate::pytorch::code::{Expression, Method, Statement};
use crate::pytorch::program::{Constant, Program};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A value of the program.
#[derive(Debug)]
enum Value {
    /// A value of the graph: it depends on the images.
    Image(usize),
    /// The number of images.
    Batch,
    /// A known tensor.
    Tensor(Tensor),
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
    /// A module of the program, by its place in it.
    Module(usize),
    Nothing,
}

impl Clone for Value {
    fn clone(&self) -> Self {
        match self {
            Self::Image(at) => Self::Image(*at),
            Self::Batch => Self::Batch,
            Self::Tensor(tensor) => Self::Tensor(tensor.shallow_clone()),
            Self::Int(value) => Self::Int(*value),
            Self::Float(value) => Self::Float(*value),
            Self::Bool(value) => Self::Bool(*value),
            Self::Text(text) => Self::Text(text.clone()),
            Self::List(items) => Self::List(items.clone()),
            Self::Module(place) => Self::Module(*place),
            Self::Nothing => Self::Nothing,
        }
    }
}

impl From<Constant> for Value {
    fn from(constant: Constant) -> Self {
        match constant {
            Constant::Tensor(tensor) => Self::Tensor(tensor),
            Constant::Int(value) => Self::Int(value),
            Constant::Float(value) => Self::Float(value),
            Constant::Bool(value) => Self::Bool(value),
            Constant::Text(text) => Self::Text(text),
            Constant::List(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Constant::Module(place) => Self::Module(place),
            Constant::Nothing => Self::Nothing,
        }
    }
}

/// Modules call each other no deeper than this.
const DEEPEST: usize = 64;

/// Reads a file; its operations go on from the last one of `start`, which gives the images' shape.
///
/// # Errors
/// When it is no TorchScript file, or does something that cannot be bounded; the message says what.
pub fn graph(path: &Path, start: Graph, device: Device) -> Result<Graph> {
    let _guard = no_grad_guard();
    let program = Program::open(path)?;
    let images = Value::Image(start.last());
    let mut reader = Reader {
        program: &program,
        graph: start,
        methods: BTreeMap::new(),
        depth: 0,
        relus: 0,
    };
    let logits = reader.call(program.root(), "forward", vec![images]);
    let logits = logits.and_then(|value| match value {
        Value::Image(at) if at == reader.graph.last() => Ok(()),
        _ => Err(refused(
            "its result is not the last value it computes from the images",
        )),
    });
    let checked = logits.and_then(|()| reader.graph.check().map_err(|why| refused(&why.to_string())));
    let graph = checked.map_err(|error| Error::Incompatible(format!("{}: {error}", path.display())))?;
    Ok(graph.to(Kind::Float, device))
}

struct Reader<'a> {
    program: &'a Program,
    graph: Graph,
    methods: BTreeMap<(String, String), Rc<Method>>,
    depth: usize,
    relus: usize,
}

fn refused(what: &str) -> Error {
    Error::Incompatible(what.to_owned())
}

impl Reader<'_> {
    fn call(&mut self, module: usize, name: &str, arguments: Vec<Value>) -> Result<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused("its modules call each other without end"));
        }
        let class = self.program.class(module);
        let key = (class.to_owned(), name.to_owned());
        let method = match self.methods.get(&key) {
            Some(method) => Rc::clone(method),
            None => {
                let method = Rc::new(self.program.method(class, name)?);
                self.methods.insert(key, Rc::clone(&method));
                method
            }
        };
        let values = std::iter::once(Value::Module(module)).chain(arguments);
        let mut names: BTreeMap<String, Value> = method.parameters.iter().cloned().zip(values).collect();
        let result = self.block(&method.body, &mut names)?;
        self.depth -= 1;
        result.ok_or_else(|| refused("a method of it returns nothing"))
    }

    fn block(&mut self, body: &[Statement], names: &mut BTreeMap<String, Value>) -> Result<Option<Value>> {
        for statement in body {
            match statement {
                Statement::Return(value) => return self.value(value, names).map(Some),
                Statement::Assign(targets, value) => match (targets.as_slice(), self.value(value, names)?) {
                    ([name], value) => drop(names.insert(name.clone(), value)),
                    (targets, Value::List(items)) if items.len() == targets.len() => {
                        names.extend(targets.iter().cloned().zip(items));
                    }
                    _ => return Err(refused("it takes apart a value that is no tuple")),
                },
                Statement::If(condition, then, otherwise) => {
                    let Value::Bool(holds) = self.value(condition, names)? else {
                        return Err(refused("a condition in its code depends on the images"));
                    };
                    let chosen = if holds { then } else { otherwise };
                    if let Some(value) = self.block(chosen, names)? {
                        return Ok(Some(value));
                    }
                }
                // Annotations and checks compute nothing that is returned.
                Statement::Other(text) if text.starts_with("_ ") || text.starts_with("ops.prim") => {}
                Statement::Other(text) => {
                    let line: String = text.chars().take(60).collect();
                    return Err(refused(&format!(
                        "it has the statement `{line}`, which cannot be bounded"
                    )));
                }
            }
        }
        Ok(None)
    }

    fn value(&mut self, expression: &Expression, names: &BTreeMap<String, Value>) -> Result<Value> {
        Ok(match expression {
            Expression::Int(value) => Value::Int(*value),
            Expression::Float(value) => Value::Float(*value),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.value(item, names))
                    .collect::<Result<_>>()?,
            ),
            Expression::Name(name) => match name.as_str() {
                "True" => Value::Bool(true),
                "False" => Value::Bool(false),
                "None" => Value::Nothing,
                name => names
                    .get(name)
                    .cloned()
                    .ok_or_else(|| refused(&format!("its code uses `{name}`, which it never sets")))?,
            },
            Expression::Attribute(of, name) => {
                if let Expression::Name(constants) = &**of
                    && constants == "CONSTANTS"
                {
                    return Ok(Value::from(self.program.constant(name)?));
                }
                match self.value(of, names)? {
                    Value::Module(module) => self.program.attribute(module, name)?.into(),
                    _ => return Err(refused(&format!("it asks a tensor for `{name}`"))),
                }
            }
            Expression::Index(of, place) => match (self.value(of, names)?, self.value(place, names)?) {
                (Value::List(items), Value::Int(place)) if (0..items.len() as i64).contains(&place) => {
                    items[place as usize].clone()
                }
                _ => return Err(refused("it takes a part of a tensor")),
            },
            Expression::Call(function, arguments) => self.applied(function, arguments, names)?,
        })
    }

    fn applied(
        &mut self,
        function: &Expression,
        arguments: &[Expression],
        names: &BTreeMap<String, Value>,
    ) -> Result<Value> {
        let path = function.path();
        if let (Some("annotate"), Some(value)) = (path.as_deref(), arguments.last()) {
            return self.value(value, names);
        }
        let values: Vec<Value> = arguments
            .iter()
            .map(|argument| self.value(argument, names))
            .collect::<Result<_>>()?;
        let name = path.as_deref().unwrap_or_default();
        if let Some(name) = name.strip_prefix("torch.") {
            return self.torch(name, &values);
        }
        match (name, values.as_slice()) {
            ("getattr", [Value::Module(module), Value::Text(name)]) => {
                Ok(self.program.attribute(*module, name)?.into())
            }
            ("int" | "ops.prim.NumToTensor" | "unchecked_cast", [.., value]) => Ok(value.clone()),
            _ => match function {
                Expression::Attribute(of, method) => match self.value(of, names)? {
                    Value::Module(module) => self.call(module, method, values),
                    _ => Err(refused(&format!("it calls `{method}` of a tensor"))),
                },
                _ => Err(refused(&format!("it calls `{name}`, which is not known"))),
            },
        }
    }

    /// A function of PyTorch.
    fn torch(&mut self, name: &str, values: &[Value]) -> Result<Value> {
        let known = match values.iter().find_map(|value| match value {
            Value::Image(at) => Some(*at),
            _ => None,
        }) {
            None => constant(name, values)?,
            Some(_) => self.of_images(name.trim_end_matches('_'), values)?,
        };
        known.ok_or_else(|| refused(&format!("`torch.{name}`, as it is used in it, cannot be bounded")))
    }

    fn of_images(&mut self, name: &str, values: &[Value]) -> Result<Option<Value>> {
        let at = match self.append(name, values)? {
            Appended::Value(value) => return Ok(Some(value)),
            Appended::At(at) => at,
            Appended::Unknown => return Ok(None),
        };
        Ok(Some(Value::Image(at)))
    }

    #[rustfmt::skip]
    fn append(&mut self, name: &str, values: &[Value]) -> Result<Appended> {
        use Value::{Bool, Float, Image, Int, List, Nothing, Tensor as Known};
        let at = match (name, values) {
            ("relu", [Image(x)]) => self.relu(*x, None)?,
            ("clamp_min", [Image(x), bound]) if number(bound) == Some(0.0) => self.relu(*x, None)?,
            ("maximum" | "max" | "clamp_min", [Image(x), Known(floor)]) if is_floor(floor) => {
                let share = floor.eq(0.0).to_kind(Kind::Float);
                self.relu(*x, Some(share))?
            }
            ("_convolution", [Image(x), Known(weight), bias, List(stride), List(padding), List(dilation), Bool(false), List(_), Int(groups), ..])
            | ("conv2d", [Image(x), Known(weight), bias, List(stride), List(padding), List(dilation), Int(groups)]) => {
                let conv = Convolution {
                    weight: weight.shallow_clone(), bias: optional(bias)?, stride: pair(stride)?, padding: pair(padding)?,
                    dilation: pair(dilation)?, groups: *groups,
                };
                self.graph.push(Op::Conv(conv), &[*x], None)?
            }
            ("batch_norm", [Image(x), weight, bias, Known(mean), Known(var), Bool(false), _, eps, ..]) => {
                let eps = number(eps).ok_or_else(|| refused("a batch norm without a number for eps"))?;
                let (scale, shift) = norm_as_affine(optional(weight)?.as_ref(), optional(bias)?.as_ref(), mean, var, eps);
                let wide = |tensor: Tensor| tensor.reshape([&[1, -1][..], &vec![1; self.graph.shape(*x).len() - 1]].concat());
                let op = Op::Affine { scale: wide(scale), shift: wide(shift) };
                self.graph.push(op, &[*x], None)?
            }
            ("linear", [Image(x), Known(weight), bias]) => self.linear(*x, weight.shallow_clone(), optional(bias)?)?,
            ("matmul" | "mm", [Image(x), Known(weight)]) if weight.dim() == 2 => self.linear(*x, weight.tr().contiguous(), None)?,
            ("addmm", [Known(bias), Image(x), Known(weight), ..]) => self.linear(*x, weight.tr().contiguous(), Some(bias.shallow_clone()))?,
            ("add", [Image(a), Image(b)] | [Image(a), Image(b), Int(1)]) => self.graph.push(Op::Add, &[*a, *b], None)?,
            ("sub", [Image(a), Image(b)] | [Image(a), Image(b), Int(1)]) => {
                let minus = self.scaled(*b, &Tensor::from(-1.0_f32), &Tensor::from(0.0_f32))?;
                self.graph.push(Op::Add, &[*a, minus], None)?
            }
            ("add" | "sub" | "rsub" | "mul" | "div", [first, second] | [first, second, Int(1)]) => match arithmetic(name, first, second) {
                Some((x, scale, shift)) => self.scaled(x, &scale, &shift)?,
                None => return Ok(Appended::Unknown),
            },
            ("neg", [Image(x)]) => self.scaled(*x, &Tensor::from(-1.0_f32), &Tensor::from(0.0_f32))?,
            ("addcmul", [Known(shift), Image(x), Known(scale)] | [Known(shift), Known(scale), Image(x)]) => self.scaled(*x, scale, shift)?,
            ("flatten", [Image(x), Int(1)] | [Image(x), Int(1), Int(-1)]) => {
                let units = self.graph.nodes()[*x].units();
                self.graph.push(Op::Reshape, &[*x], Some(vec![units]))?
            }
            ("reshape" | "view", [Image(x), List(sizes)]) => {
                let units = self.graph.nodes()[*x].units();
                let shape = reshaped(sizes, units)?;
                self.graph.push(Op::Reshape, &[*x], Some(shape))?
            }
            ("squeeze", [Image(x), ..]) => {
                let shape: Vec<i64> = self.graph.shape(*x).iter().copied().filter(|side| *side != 1).collect();
                self.graph.push(Op::Reshape, &[*x], Some(shape))?
            }
            ("permute", [Image(x), List(order)]) => match whole(order)?.as_slice() {
                [0, order @ ..] => self.graph.push(Op::Permute(order.to_vec()), &[*x], None)?,
                _ => return Ok(Appended::Unknown),
            },
            ("transpose", [Image(x), Int(a), Int(b)]) if *a > 0 && *b > 0 => {
                let sides = self.graph.shape(*x).len() as i64;
                let swap = |axis: i64| if axis == *a { *b } else if axis == *b { *a } else { axis };
                self.graph.push(Op::Permute((1..=sides).map(swap).collect()), &[*x], None)?
            }
            ("avg_pool2d", [Image(x), List(kernel), List(stride), List(padding)])
            | ("avg_pool2d", [Image(x), List(kernel), List(stride), List(padding), Bool(false), Bool(true), Nothing]) => {
                let kernel = pair(kernel)?;
                let stride = if stride.is_empty() { kernel } else { pair(stride)? };
                self.graph.mean_pool(*x, kernel, stride, pair(padding)?)?
            }
            ("adaptive_avg_pool2d", [Image(x), List(side)]) if pair(side)? == [1, 1] => {
                let mean = self.graph.global_mean(*x)?;
                let channels = self.graph.shape(mean)[0];
                self.graph.push(Op::Reshape, &[mean], Some(vec![channels, 1, 1]))?
            }
            ("mean", [Image(x), List(axes), rest @ ..]) if matches!(whole(axes)?[..], [2, 3] | [-2, -1] | [-1, -2] | [3, 2]) => {
                let mean = self.graph.global_mean(*x)?;
                let channels = self.graph.shape(mean)[0];
                match rest.first() {
                    Some(Bool(true)) => self.graph.push(Op::Reshape, &[mean], Some(vec![channels, 1, 1]))?,
                    _ => mean,
                }
            }
            // Arguments at their defaults are left out of the code, from the last one on.
            ("max_pool2d", [Image(x), List(kernel), rest @ ..]) => {
                let of = |at: usize, absent: [i64; 2]| match rest.get(at) {
                    None => Ok(absent),
                    Some(List(list)) if at == 0 && list.is_empty() => Ok(absent),
                    Some(List(list)) => pair(list),
                    Some(_) => Err(refused("a pooling whose sizes are not lists")),
                };
                let kernel = pair(kernel)?;
                let (stride, padding, dilation) = (of(0, kernel)?, of(1, [0, 0])?, of(2, [1, 1])?);
                if dilation != [1, 1] || !matches!(rest.get(3), None | Some(Bool(false))) {
                    return Ok(Appended::Unknown);
                }
                self.graph.max_pool(*x, kernel, stride, padding)?
            }
            ("dropout", [Image(x), _, Bool(false)]) | ("detach" | "contiguous" | "clone" | "alias", [Image(x), ..]) => *x,
            // Its own kind and device: the graph has one of each.
            ("to", [Image(x), ..]) => *x,
            ("size", [Image(_), Int(0)]) => return Ok(Appended::Value(Value::Batch)),
            ("size", [Image(x), Int(axis)]) => {
                let shape = self.graph.shape(*x);
                let axis = if *axis < 0 { shape.len() as i64 + axis } else { axis - 1 };
                let side = usize::try_from(axis).ok().and_then(|axis| shape.get(axis));
                return Ok(side.map_or(Appended::Unknown, |side| Appended::Value(Int(*side))));
            }
            ("dim", [Image(x)]) => return Ok(Appended::Value(Int(self.graph.shape(*x).len() as i64 + 1))),
            (_, [Float(_), ..]) => return Ok(Appended::Unknown),
            _ => return Ok(Appended::Unknown),
        };
        Ok(Appended::At(at))
    }

    fn relu(&mut self, x: usize, share: Option<Tensor>) -> Result<usize> {
        let layer = Some(self.relus);
        self.relus += 1;
        self.graph.push(Op::Relu(Relu { share, layer }), &[x], None)
    }

    fn linear(&mut self, x: usize, weight: Tensor, bias: Option<Tensor>) -> Result<usize> {
        if self.graph.shape(x).len() != 1 {
            return Err(refused("a matrix that multiplies maps, not vectors"));
        }
        self.graph.push(Op::Linear { weight, bias }, &[x], None)
    }

    fn scaled(&mut self, x: usize, scale: &Tensor, shift: &Tensor) -> Result<usize> {
        let op = Op::Affine {
            scale: scale.to_kind(Kind::Float),
            shift: shift.to_kind(Kind::Float),
        };
        self.graph.push(op, &[x], None)
    }
}

/// What became of a function of the images.
enum Appended {
    At(usize),
    Value(Value),
    Unknown,
}

/// A function of known values only.
fn constant(name: &str, values: &[Value]) -> Result<Option<Value>> {
    use Value::{Batch, Bool, Int, List, Tensor as Known};
    Ok(match (name, values) {
        ("t", [Known(x)]) => Some(Known(x.tr())),
        ("reshape" | "view", [Known(x), List(sizes)]) => Some(Known(x.f_reshape(whole(sizes)?)?)),
        ("unsqueeze", [Known(x), Int(axis)]) => Some(Known(x.f_unsqueeze(*axis)?)),
        ("detach" | "contiguous" | "to" | "clone", [Known(x), ..]) => Some(Known(x.shallow_clone())),
        ("add" | "sub" | "mul" | "div", [a, b, ..]) => match (tensor(a), tensor(b)) {
            (Some(a), Some(b)) => Some(Known(match name {
                "add" => a.f_add(&b)?,
                "sub" => a.f_sub(&b)?,
                "mul" => a.f_mul(&b)?,
                _ => a.f_div(&b)?,
            })),
            _ => None,
        },
        ("eq" | "ne", [Int(a), Int(b)]) => Some(Bool((a == b) == (name == "eq"))),
        ("__is__", [a, b]) => Some(Bool(matches!((a, b), (Value::Nothing, Value::Nothing)))),
        ("__isnot__", [a, b]) => Some(Bool(!matches!((a, b), (Value::Nothing, Value::Nothing)))),
        ("__not__", [Bool(value)]) => Some(Bool(!value)),
        ("Int" | "ScalarImplicit" | "IntImplicit", [value @ (Batch | Int(_))]) => Some(value.clone()),
        _ => None,
    })
}

/// `scale * x + shift` of one operation with a known value.
fn arithmetic(name: &str, first: &Value, second: &Value) -> Option<(usize, Tensor, Tensor)> {
    let (one, zero) = (Tensor::from(1.0_f32), Tensor::from(0.0_f32));
    Some(match (name, first, second) {
        ("add", Value::Image(x), known) | ("add", known, Value::Image(x)) => (*x, one, tensor(known)?),
        ("sub", Value::Image(x), known) => (*x, one, -tensor(known)?),
        ("sub", known, Value::Image(x)) | ("rsub", Value::Image(x), known) => (*x, -one, tensor(known)?),
        ("mul", Value::Image(x), known) | ("mul", known, Value::Image(x)) => (*x, tensor(known)?, zero),
        ("div", Value::Image(x), known) => (*x, tensor(known)?.reciprocal(), zero),
        _ => return None,
    })
}

fn tensor(value: &Value) -> Option<Tensor> {
    match value {
        Value::Tensor(tensor) => Some(tensor.to_kind(Kind::Float)),
        other => number(other).map(|number| Tensor::from(number as f32)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

fn optional(value: &Value) -> Result<Option<Tensor>> {
    match value {
        Value::Tensor(tensor) => Ok(Some(tensor.shallow_clone())),
        Value::Nothing => Ok(None),
        _ => Err(refused("a weight that is no tensor")),
    }
}

fn whole(items: &[Value]) -> Result<Vec<i64>> {
    let one = |item: &Value| match item {
        Value::Int(value) => Ok(*value),
        _ => Err(refused("a size that is not known in advance")),
    };
    items.iter().map(one).collect()
}

fn pair(items: &[Value]) -> Result<[i64; 2]> {
    match whole(items)?[..] {
        [both] => Ok([both; 2]),
        [a, b] => Ok([a, b]),
        _ => Err(refused("a size that is not two numbers")),
    }
}

/// A shape without the batch, which comes first.
fn reshaped(sizes: &[Value], units: i64) -> Result<Vec<i64>> {
    let [Value::Batch | Value::Int(-1 | 1), rest @ ..] = sizes else {
        return Err(refused("a reshape that mixes images"));
    };
    let mut shape = whole(rest)?;
    let known: i64 = shape.iter().filter(|side| **side > 0).product();
    for side in shape.iter_mut().filter(|side| **side == -1) {
        *side = units / known.max(1);
    }
    Ok(shape)
}

/// Whether `max(x, floor)` is a masked ReLU: 0 or minus infinity everywhere.
fn is_floor(floor: &Tensor) -> bool {
    let known = floor.eq(0.0).logical_or(&floor.eq(f64::NEG_INFINITY));
    known.all().int64_value(&[]) == 1
}
