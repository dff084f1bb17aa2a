//! An ONNX file as a [`Graph`]: operators are read by name, and whatever is not understood is refused.
//!
//! Shapes are those of one image: a batch that the file fixes is not kept, so the graph takes any number of images.

mod file;

use super::graph::{Convolution, Graph, Op, Relu};
use crate::error::{Error, Result};
use crate::nn::layers::norm_as_affine;
use file::{File, Operator, refused};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A value of the file.
#[derive(Debug)]
enum Value {
    /// A value of the graph: it depends on the images.
    Image(usize),
    /// Single numbers of a value of the graph, in another order: the unit, and whether a ReLU has been applied to it.
    Units(usize, Vec<(i64, bool)>),
    /// A known tensor.
    Known(Tensor),
}

/// The side of the square images that a file takes.
///
/// # Errors
/// When the file cannot be read, or takes something else.
pub fn side(path: &Path) -> Result<i64> {
    let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
    let named = |error: Error| Error::Incompatible(format!("{}: {error}", path.display()));
    let file = File::read(&bytes).map_err(named)?;
    match file.inputs.as_slice() {
        [(_, sides)] if matches!(sides[..], [_, 3, height, width] if height == width && height > 0) => {
            Ok(sides[3])
        }
        other => {
            let sides: Vec<&[i64]> = other.iter().map(|(_, sides)| sides.as_slice()).collect();
            Err(named(refused(&format!(
                "it takes {sides:?}, not square images [N, 3, side, side]"
            ))))
        }
    }
}

/// Reads a file; its operations go on from the last one of `start`, which gives the images' shape.
///
/// # Errors
/// When it is no ONNX file, or does something that cannot be bounded; the message says what.
pub fn graph(path: &Path, start: Graph, device: Device) -> Result<Graph> {
    let _guard = no_grad_guard();
    let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
    let read = || -> Result<Graph> {
        let file = File::read(&bytes)?;
        let [(images, _)] = file.inputs.as_slice() else {
            return Err(refused("it has several inputs"));
        };
        let [logits] = file.outputs.as_slice() else {
            return Err(refused("it has several outputs"));
        };
        let mut reader = Reader {
            values: BTreeMap::from([(images.clone(), Value::Image(start.last()))]),
            graph: start,
            relus: 0,
        };
        for (name, values) in file.constants {
            reader.values.insert(name, Value::Known(values));
        }
        for operator in &file.operators {
            let value = reader.apply(operator).map_err(|error| match error {
                Error::Incompatible(why) => refused(&format!("{}: {why}", operator.kind)),
                other => other,
            })?;
            let name = operator.outputs.first().cloned().unwrap_or_default();
            reader.values.insert(name, value);
        }
        match reader.values.get(logits) {
            Some(Value::Image(at)) if *at == reader.graph.last() => {}
            _ => {
                return Err(refused(
                    "its output is not the last value it computes from the images",
                ));
            }
        }
        reader.graph.check().map_err(|why| refused(&why.to_string()))
    };
    let graph = read().map_err(|error| Error::Incompatible(format!("{}: {error}", path.display())))?;
    Ok(graph.to(Kind::Float, device))
}

struct Reader {
    graph: Graph,
    values: BTreeMap<String, Value>,
    relus: usize,
}

impl Reader {
    /// A value of the graph; single units only when they are all there and in their order.
    fn image(&mut self, operator: &Operator, place: usize) -> Result<usize> {
        let name = operator.inputs.get(place).map_or("", String::as_str);
        let (of, units) = match self.values.get(name) {
            Some(Value::Image(at)) => return Ok(*at),
            Some(Value::Units(of, units)) => (*of, units),
            _ => {
                return Err(refused(
                    "an input that does not depend on the images, or comes later",
                ));
            }
        };
        let in_order = units
            .iter()
            .enumerate()
            .all(|(place, (unit, _))| *unit == place as i64);
        if !in_order || units.len() as i64 != self.graph.nodes()[of].units() {
            return Err(refused("some units of a value without the others"));
        }
        let shares: Vec<f32> = units.iter().map(|(_, relu)| f32::from(u8::from(*relu))).collect();
        let share = Tensor::from_slice(&shares).reshape([1, -1]);
        let at = self.relu(of, Some(share))?;
        self.values.insert(name.to_owned(), Value::Image(at));
        Ok(at)
    }

    fn known(&self, operator: &Operator, place: usize) -> Result<Tensor> {
        self.optional(operator, place)
            .ok_or_else(|| refused("an input that is not a constant"))
    }

    fn optional(&self, operator: &Operator, place: usize) -> Option<Tensor> {
        match self.values.get(operator.inputs.get(place)?) {
            Some(Value::Known(tensor)) => Some(tensor.shallow_clone()),
            _ => None,
        }
    }

    fn whole(&self, operator: &Operator, place: usize) -> Result<Vec<i64>> {
        let known = self.known(operator, place)?.to_kind(Kind::Int64).flatten(0, -1);
        Ok(Vec::<i64>::try_from(known)?)
    }

    fn relu(&mut self, x: usize, share: Option<Tensor>) -> Result<usize> {
        let layer = Some(self.relus);
        self.relus += 1;
        self.graph.push(Op::Relu(Relu { share, layer }), &[x], None)
    }

    fn reshape(&mut self, x: usize, shape: Vec<i64>) -> Result<usize> {
        self.graph.push(Op::Reshape, &[x], Some(shape))
    }

    fn apply(&mut self, operator: &Operator) -> Result<Value> {
        let kind = operator.kind.as_str();
        let known = operator
            .inputs
            .iter()
            .all(|input| !matches!(self.values.get(input), Some(Value::Image(_) | Value::Units(..))));
        if known {
            return self.constant(operator).map(Value::Known);
        }
        let units = operator
            .inputs
            .iter()
            .filter_map(|input| match self.values.get(input) {
                Some(Value::Units(of, units)) => Some((*of, units.clone())),
                _ => None,
            });
        let units: Vec<(usize, Vec<(i64, bool)>)> = units.collect();
        let at = match (kind, units.as_slice()) {
            ("Identity" | "Dropout" | "Cast", []) => self.image(operator, 0)?,
            ("Relu", [(of, units)]) => {
                return Ok(Value::Units(
                    *of,
                    units.iter().map(|(unit, _)| (*unit, true)).collect(),
                ));
            }
            ("Concat", [(of, _), ..])
                if units.len() == operator.inputs.len()
                    && units.iter().all(|(other, _)| other == of)
                    && operator.number("axis", 0) == 1 =>
            {
                return Ok(Value::Units(
                    *of,
                    units.into_iter().flat_map(|(_, units)| units).collect(),
                ));
            }
            ("Gather", _) if operator.number("axis", 0) == 1 => {
                let places = self.whole(operator, 1)?;
                let (of, all) = match units.into_iter().next() {
                    Some(units) => units,
                    None => {
                        let at = self.image(operator, 0)?;
                        (
                            at,
                            (0..self.graph.nodes()[at].units())
                                .map(|unit| (unit, false))
                                .collect(),
                        )
                    }
                };
                if self.graph.shape(of).len() != 1 {
                    return Err(refused("it takes some channels of a map"));
                }
                let pick = |place: &i64| {
                    usize::try_from(*place)
                        .ok()
                        .and_then(|place| all.get(place).copied())
                };
                let picked: Option<Vec<(i64, bool)>> = places.iter().map(pick).collect();
                return Ok(Value::Units(
                    of,
                    picked.ok_or_else(|| refused("it takes units that are not there"))?,
                ));
            }
            ("Shape", []) => {
                let at = self.image(operator, 0)?;
                // The number of images stands as 0, which a reshape takes for "as it was".
                let sides = [&[0], self.graph.shape(at)].concat();
                return Ok(Value::Known(Tensor::from_slice(&sides)));
            }
            ("Relu", []) => {
                let x = self.image(operator, 0)?;
                self.relu(x, None)?
            }
            ("Conv", _) => {
                let x = self.image(operator, 0)?;
                let conv = Convolution {
                    weight: self.known(operator, 1)?,
                    bias: self.optional(operator, 2),
                    stride: operator.pair("strides", [1, 1])?,
                    padding: operator.padding()?,
                    dilation: operator.pair("dilations", [1, 1])?,
                    groups: operator.number("group", 1),
                };
                self.graph.push(Op::Conv(conv), &[x], None)?
            }
            ("BatchNormalization", _) => {
                let x = self.image(operator, 0)?;
                let eps = operator.fractions.get("epsilon").copied().unwrap_or(1e-5);
                let [scale, bias, mean, var] = [1, 2, 3, 4].map(|place| self.known(operator, place));
                let (scale, shift) = norm_as_affine(Some(&scale?), Some(&bias?), &mean?, &var?, eps);
                let wide = |tensor: Tensor| {
                    tensor.reshape([&[1, -1][..], &vec![1; self.graph.shape(x).len() - 1]].concat())
                };
                let op = Op::Affine {
                    scale: wide(scale),
                    shift: wide(shift),
                };
                self.graph.push(op, &[x], None)?
            }
            ("Gemm", _) => {
                let x = self.vector(operator)?;
                if operator.number("transA", 0) != 0 {
                    return Err(refused("a matrix of transposed images"));
                }
                let weight = self.known(operator, 1)?;
                let weight = if operator.number("transB", 0) == 0 {
                    weight.tr()
                } else {
                    weight
                };
                let scaled = |tensor: Tensor, name: &str| {
                    tensor * operator.fractions.get(name).copied().unwrap_or(1.0)
                };
                let bias = self
                    .optional(operator, 2)
                    .map(|bias| scaled(bias, "beta").flatten(0, -1));
                let weight = scaled(weight, "alpha").contiguous();
                let bias = bias.map(|bias| bias.expand([weight.size()[0]], false).contiguous());
                self.graph.push(Op::Linear { weight, bias }, &[x], None)?
            }
            ("MatMul", _) => {
                let x = self.vector(operator)?;
                let weight = self.known(operator, 1)?;
                if weight.dim() != 2 {
                    return Err(refused("a product with something that is no matrix"));
                }
                self.graph.push(
                    Op::Linear {
                        weight: weight.tr().contiguous(),
                        bias: None,
                    },
                    &[x],
                    None,
                )?
            }
            ("Add" | "Sub" | "Mul" | "Div", _) => self.arithmetic(operator)?,
            ("Neg", _) => {
                let x = self.image(operator, 0)?;
                self.scaled(x, Tensor::from(-1.0_f32), Tensor::from(0.0_f32))?
            }
            ("Flatten", _) if operator.number("axis", 1) == 1 => {
                let x = self.image(operator, 0)?;
                let units = self.graph.nodes()[x].units();
                self.reshape(x, vec![units])?
            }
            ("Reshape", _) => {
                let x = self.image(operator, 0)?;
                let wanted = self.whole(operator, 1)?;
                let [-1..=1, rest @ ..] = wanted.as_slice() else {
                    return Err(refused("a reshape that mixes images"));
                };
                let before = self.graph.shape(x);
                let side = |(place, side): (usize, &i64)| {
                    if *side == 0 {
                        before.get(place).copied().unwrap_or(1)
                    } else {
                        *side
                    }
                };
                let mut shape: Vec<i64> = rest.iter().enumerate().map(side).collect();
                let known: i64 = shape.iter().filter(|side| **side > 0).product();
                let units = self.graph.nodes()[x].units();
                for side in shape.iter_mut().filter(|side| **side == -1) {
                    *side = units / known.max(1);
                }
                if shape.iter().product::<i64>() != units {
                    return Err(refused("a reshape that mixes images"));
                }
                self.reshape(x, shape)?
            }
            ("Squeeze" | "Unsqueeze", _) => {
                let x = self.image(operator, 0)?;
                let axes = match operator.numbers.get("axes") {
                    Some(axes) => axes.clone(),
                    None => self.whole(operator, 1)?,
                };
                let mut shape = [&[0], self.graph.shape(x)].concat();
                let sides = shape.len() as i64 + if kind == "Unsqueeze" { axes.len() as i64 } else { 0 };
                let mut axes: Vec<usize> = axes.iter().map(|axis| axis.rem_euclid(sides) as usize).collect();
                axes.sort_unstable();
                if axes.contains(&0) {
                    return Err(refused("it moves the batch"));
                }
                if kind == "Unsqueeze" {
                    for axis in axes {
                        shape.insert(axis.min(shape.len()), 1);
                    }
                } else {
                    for axis in axes.into_iter().rev() {
                        if shape.get(axis) != Some(&1) {
                            return Err(refused("it removes a side that is not 1"));
                        }
                        shape.remove(axis);
                    }
                }
                self.reshape(x, shape[1..].to_vec())?
            }
            ("Transpose", _) => {
                let x = self.image(operator, 0)?;
                match operator.numbers.get("perm").map(Vec::as_slice) {
                    Some([0, order @ ..]) => self.graph.push(Op::Permute(order.to_vec()), &[x], None)?,
                    _ => return Err(refused("it moves the batch")),
                }
            }
            ("MaxPool" | "AveragePool", _) => {
                let x = self.image(operator, 0)?;
                let kernel = operator.pair("kernel_shape", [1, 1])?;
                let (stride, padding) = (operator.pair("strides", [1, 1])?, operator.padding()?);
                let dilation = operator.pair("dilations", [1, 1])?;
                if operator.number("ceil_mode", 0) != 0 || dilation != [1, 1] {
                    return Err(refused("with ceil_mode or dilations"));
                }
                if kind == "MaxPool" {
                    self.graph.max_pool(x, kernel, stride, padding)?
                } else if padding == [0, 0] || operator.number("count_include_pad", 0) == 1 {
                    self.graph.mean_pool(x, kernel, stride, padding)?
                } else {
                    return Err(refused("with padding that is not counted"));
                }
            }
            ("GlobalAveragePool" | "ReduceMean", _) => {
                let x = self.image(operator, 0)?;
                if kind == "ReduceMean" {
                    let axes = match operator.numbers.get("axes") {
                        Some(axes) => axes.clone(),
                        None => self.whole(operator, 1)?,
                    };
                    if !matches!(axes[..], [2, 3] | [-2, -1] | [3, 2] | [-1, -2]) {
                        return Err(refused("a mean that is not over all places"));
                    }
                }
                let mean = self.graph.global_mean(x)?;
                let channels = self.graph.shape(mean)[0];
                if kind == "ReduceMean" && operator.number("keepdims", 1) == 0 {
                    mean
                } else {
                    self.reshape(mean, vec![channels, 1, 1])?
                }
            }
            _ => return Err(refused("it cannot be bounded as it is used in it")),
        };
        Ok(Value::Image(at))
    }

    /// The first input, which has to be a vector.
    fn vector(&mut self, operator: &Operator) -> Result<usize> {
        let x = self.image(operator, 0)?;
        match self.graph.shape(x) {
            [_] => Ok(x),
            other => Err(refused(&format!(
                "a matrix that multiplies values of shape {other:?}, not vectors"
            ))),
        }
    }

    fn scaled(&mut self, x: usize, scale: Tensor, shift: Tensor) -> Result<usize> {
        let scale = scale.to_kind(Kind::Float);
        self.graph.push(
            Op::Affine {
                scale,
                shift: shift.to_kind(Kind::Float),
            },
            &[x],
            None,
        )
    }

    fn arithmetic(&mut self, operator: &Operator) -> Result<usize> {
        let (one, zero) = (|| Tensor::from(1.0_f32), || Tensor::from(0.0_f32));
        let minus = || Tensor::from(-1.0_f32);
        let kind = operator.kind.as_str();
        match (self.optional(operator, 0), self.optional(operator, 1)) {
            (None, None) => {
                let (a, b) = (self.image(operator, 0)?, self.image(operator, 1)?);
                match kind {
                    "Add" => self.graph.push(Op::Add, &[a, b], None),
                    "Sub" => {
                        let b = self.scaled(b, minus(), zero())?;
                        self.graph.push(Op::Add, &[a, b], None)
                    }
                    _ => Err(refused("a product of two values that depend on the images")),
                }
            }
            (None, Some(known)) => {
                let x = self.image(operator, 0)?;
                let known = self.beside(x, known)?;
                match kind {
                    "Add" => self.scaled(x, one(), known),
                    "Sub" => self.scaled(x, one(), -known),
                    "Mul" => self.scaled(x, known, zero()),
                    _ => self.scaled(x, known.reciprocal(), zero()),
                }
            }
            (Some(known), None) => {
                let x = self.image(operator, 1)?;
                let known = self.beside(x, known)?;
                match kind {
                    "Add" => self.scaled(x, one(), known),
                    "Sub" => self.scaled(x, minus(), known),
                    "Mul" => self.scaled(x, known, zero()),
                    _ => Err(refused("a division by a value that depends on the images")),
                }
            }
            (Some(_), Some(_)) => Err(refused("an input that is not known")),
        }
    }

    /// A constant beside a value: broadcast from the last side on, the batch first.
    fn beside(&self, x: usize, known: Tensor) -> Result<Tensor> {
        let known = known.to_kind(Kind::Float);
        if known.dim() > self.graph.shape(x).len() + 1 {
            return Err(refused("a constant with more sides than the value beside it"));
        }
        Ok(known)
    }

    /// An operator on constants.
    fn constant(&self, operator: &Operator) -> Result<Tensor> {
        let axes = || {
            operator
                .numbers
                .get("axes")
                .cloned()
                .map_or_else(|| self.whole(operator, 1), Ok)
        };
        Ok(match operator.kind.as_str() {
            "Constant" => match operator.tensors.get("value") {
                Some(value) => value.shallow_clone(),
                None => match (
                    operator.numbers.get("value_ints"),
                    operator.numbers.get("value_int"),
                    operator.fractions.get("value_float"),
                ) {
                    (Some(values), _, _) => Tensor::from_slice(values),
                    (_, Some(value), _) => Tensor::from(value[0]),
                    (_, _, Some(value)) => Tensor::from(*value as f32),
                    _ => return Err(refused("a constant of another kind")),
                },
            },
            "Identity" | "Cast" => self.known(operator, 0)?,
            "Transpose" => {
                let x = self.known(operator, 0)?;
                let backwards: Vec<i64> = (0..x.dim() as i64).rev().collect();
                x.f_permute(operator.numbers.get("perm").unwrap_or(&backwards).as_slice())?
                    .contiguous()
            }
            "Reshape" => self.known(operator, 0)?.f_reshape(self.whole(operator, 1)?)?,
            "Unsqueeze" => {
                let mut x = self.known(operator, 0)?;
                for axis in axes()? {
                    x = x.f_unsqueeze(axis)?;
                }
                x
            }
            "Squeeze" => self.known(operator, 0)?.f_squeeze()?,
            "Gather" => {
                let places = self.known(operator, 1)?.to_kind(Kind::Int64);
                let picked = self
                    .known(operator, 0)?
                    .f_index_select(operator.number("axis", 0), &places.reshape([-1]))?;
                if places.dim() == 0 {
                    picked.f_squeeze()?
                } else {
                    picked
                }
            }
            "Concat" => {
                let parts: Vec<Tensor> = (0..operator.inputs.len())
                    .map(|place| self.known(operator, place))
                    .collect::<Result<_>>()?;
                Tensor::f_cat(&parts, operator.number("axis", 0))?
            }
            "Add" => self.known(operator, 0)?.f_add(&self.known(operator, 1)?)?,
            "Sub" => self.known(operator, 0)?.f_sub(&self.known(operator, 1)?)?,
            "Mul" => self.known(operator, 0)?.f_mul(&self.known(operator, 1)?)?,
            "Div" => self.known(operator, 0)?.f_div(&self.known(operator, 1)?)?,
            _ => return Err(refused("an operator on constants that is not known")),
        })
    }
}
