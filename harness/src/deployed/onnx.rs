//! A plan as an ONNX file: images `[N, 3, H, W]` in `[0, 1]` in, logits out, at any batch size.
//!
//! Kept units are gathered before their ReLU and put back behind it, so that the file's only non-linear operators are
//! the ReLUs that are kept, and max pooling where there is any. Numbers of fields: onnx.proto of ONNX 1.16.

use super::plan::{DeployedPlan, Operation, Step};
use super::protobuf::Message;
use crate::error::Result;
use crate::eval::verdict::floats;
use crate::files::write_atomic;
use crate::nn::Network;
use rlnet_suites::Branch;
use std::path::Path;
use tch::Tensor;

/// Version of ONNX's own format, and of its operators: both old enough for any reader.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 13;

/// Types of elements.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The graph so far.
#[derive(Default)]
struct Graph {
    message: Message,
    /// What each value is called.
    names: Vec<String>,
    nodes: usize,
}

/// An attribute: one whole number or several.
enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
}

impl Graph {
    /// Adds an operator; gives the name of its result.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> String {
        self.nodes += 1;
        let output = format!("t{}", self.nodes);
        let node = inputs
            .iter()
            .fold(Message::default(), |node, input| node.bytes(1, input));
        let node = node
            .bytes(2, &output)
            .bytes(3, format!("{operator}_{}", self.nodes))
            .bytes(4, operator);
        let node = attributes.iter().fold(node, |node, attribute| {
            let attribute = match *attribute {
                Attribute::Int(name, value) => Message::default().bytes(1, name).int(3, value).int(20, 2),
                Attribute::Ints(name, values) => Message::default().bytes(1, name).ints(8, values).int(20, 7),
            };
            node.message(5, &attribute)
        });
        self.message = std::mem::take(&mut self.message).message(1, &node);
        output
    }

    fn constant(&mut self, kind: i64, shape: &[i64], bytes: &[u8]) -> String {
        self.nodes += 1;
        let name = format!("c{}", self.nodes);
        let tensor = Message::default()
            .ints(1, shape)
            .int(2, kind)
            .bytes(8, &name)
            .bytes(9, bytes);
        self.message = std::mem::take(&mut self.message).message(5, &tensor);
        name
    }

    fn floats(&mut self, tensor: &Tensor) -> String {
        let bytes: Vec<u8> = floats(tensor).into_iter().flat_map(f32::to_le_bytes).collect();
        self.constant(FLOAT, &tensor.size(), &bytes)
    }

    fn indices(&mut self, values: &[i64]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(INT64, &[values.len() as i64], &bytes)
    }

    fn reshaped(&mut self, value: &str, shape: &[i64]) -> String {
        let shape = self.indices(shape);
        self.node("Reshape", &[value, &shape], &[])
    }

    fn transposed(&mut self, value: &str, order: &[i64]) -> String {
        self.node("Transpose", &[value], &[Attribute::Ints("perm", order)])
    }

    /// The ReLU of some units `[C H W]` of a map; the others pass.
    fn relu(&mut self, value: &str, shape: [u64; 3], mask: &[u8]) -> String {
        let places = |wanted: u8| -> Vec<i64> {
            let all = mask.iter().enumerate();
            all.filter(|(_, unit)| **unit == wanted)
                .map(|(place, _)| place as i64)
                .collect()
        };
        let (kept, dropped) = (places(1), places(0));
        if kept.is_empty() {
            return value.to_owned();
        }
        if dropped.is_empty() {
            return self.node("Relu", &[value], &[]);
        }
        // Where each unit stands behind the kept ones and the dropped ones, which come in this order.
        let mut back = vec![0; mask.len()];
        for (place, &unit) in kept.iter().chain(&dropped).enumerate() {
            back[unit as usize] = place as i64;
        }
        let flat = self.reshaped(value, &[0, -1]);
        let along = [Attribute::Int("axis", 1)];
        let [kept, dropped, back] = [kept, dropped, back].map(|list| self.indices(&list));
        let kept = self.node("Gather", &[&flat, &kept], &along);
        let kept = self.node("Relu", &[&kept], &[]);
        let dropped = self.node("Gather", &[&flat, &dropped], &along);
        let both = self.node("Concat", &[&kept, &dropped], &along);
        let all = self.node("Gather", &[&both, &back], &along);
        let [c, h, w] = shape.map(|side| side as i64);
        self.reshaped(&all, &[0, c, h, w])
    }

    /// Adds an operation of the plan.
    fn step(&mut self, step: &Step, plan: &DeployedPlan, input_shape: [u64; 3]) {
        let first = self.names[step.inputs[0]].clone();
        let second = step
            .inputs
            .get(1)
            .map(|&value| self.names[value].clone())
            .unwrap_or_default();
        let mut weight = |name: &String| {
            plan.weight(name)
                .map_or(String::new(), |tensor| self.floats(tensor))
        };
        let result = match &step.operation {
            Operation::Conv {
                kernel,
                stride,
                padding,
                groups,
                weight: filters,
                bias,
            } => {
                let mut inputs = vec![first, weight(filters)];
                inputs.extend(bias.as_ref().map(weight));
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let attributes = [
                    Attribute::Ints("kernel_shape", &[*kernel; 2]),
                    Attribute::Ints("strides", &[*stride; 2]),
                    Attribute::Ints("pads", &[*padding; 4]),
                    Attribute::Int("group", *groups),
                ];
                self.node("Conv", &inputs, &attributes)
            }
            Operation::Affine { scale, shift } => {
                let (scale, shift) = (weight(scale), weight(shift));
                let scaled = self.node("Mul", &[&first, &scale], &[]);
                self.node("Add", &[&scaled, &shift], &[])
            }
            Operation::Relu { mask, .. } => {
                let units = plan.masks.iter().find(|(known, _)| known == mask);
                let units = units.map_or(&[][..], |(_, units)| units.as_slice());
                self.relu(&first, step.shape, units)
            }
            Operation::Add => self.node("Add", &[&first, &second], &[]),
            Operation::MaxPool {
                kernel,
                stride,
                padding,
            } => {
                let attributes = [
                    Attribute::Ints("kernel_shape", &[*kernel; 2]),
                    Attribute::Ints("strides", &[*stride; 2]),
                    Attribute::Ints("pads", &[*padding; 4]),
                ];
                self.node("MaxPool", &[&first], &attributes)
            }
            Operation::Scores { heads } => {
                let [c, h, w] = input_shape.map(|side| side as i64);
                let heads = *heads as i64;
                let by_head = [0, heads, c / heads, h * w];
                let (queries, keys) = (self.reshaped(&first, &by_head), self.reshaped(&second, &by_head));
                let queries = self.transposed(&queries, &[0, 1, 3, 2]);
                let products = self.node("MatMul", &[&queries, &keys], &[]);
                let scale = 1.0 / (((c / heads) as f64).sqrt() * (h * w) as f64);
                let scale = self.floats(&Tensor::from_slice(&[scale as f32]));
                self.node("Mul", &[&products, &scale], &[])
            }
            Operation::Mix => {
                let [c, h, w] = step.shape.map(|side| side as i64);
                let heads = input_shape[0] as i64;
                let values = self.reshaped(&second, &[0, heads, c / heads, h * w]);
                let scores = self.transposed(&first, &[0, 1, 3, 2]);
                let mixed = self.node("MatMul", &[&values, &scores], &[]);
                self.reshaped(&mixed, &[0, c, h, w])
            }
            Operation::Mean => {
                let attributes = [Attribute::Ints("axes", &[2, 3]), Attribute::Int("keepdims", 0)];
                self.node("ReduceMean", &[&first], &attributes)
            }
            Operation::Linear { weight: rows, bias } => {
                let (rows, bias) = (weight(rows), weight(bias));
                self.node("Gemm", &[&first, &rows, &bias], &[Attribute::Int("transB", 1)])
            }
        };
        self.names.push(result);
    }
}

/// A tensor of floats `[N, ...]` by its name.
fn port(name: &str, shape: &[i64]) -> Message {
    let sides = shape.iter().fold(
        Message::default().message(1, &Message::default().bytes(2, "N")),
        |sides, &side| sides.message(1, &Message::default().int(1, side)),
    );
    let tensor = Message::default().int(1, FLOAT).message(2, &sides);
    Message::default()
        .bytes(1, name)
        .message(2, &Message::default().message(1, &tensor))
}

/// Writes a branch as an ONNX file, atomically.
///
/// # Errors
/// When the disk refuses.
pub fn save(plan: &DeployedPlan, network: &Network, branch: Branch, path: &Path) -> Result<()> {
    let spec = network.spec();
    let side = spec.image_size as i64;
    let mut graph = Graph::default();
    let channels =
        |values: [f64; 3]| Tensor::from_slice(&values.map(|value| value as f32)).reshape([1, 3, 1, 1]);
    let (mean, std) = (
        graph.floats(&channels(spec.mean)),
        graph.floats(&channels(spec.std)),
    );
    let centred = graph.node("Sub", &["images", &mean], &[]);
    let normalised = graph.node("Div", &[&centred, &std], &[]);
    graph.names.push(normalised);
    let mut shapes = vec![[3, spec.image_size, spec.image_size]];
    for step in &plan.steps {
        graph.step(step, plan, shapes[step.inputs[0]]);
        shapes.push(step.shape);
    }
    let logits = graph.names.last().cloned().unwrap_or_default();
    let message = graph
        .message
        .bytes(2, spec.arch.to_string())
        .message(11, &port("images", &[3, side, side]))
        .message(12, &port(&logits, &[spec.classes as i64]));
    let said = [
        ("branch", branch.to_string()),
        ("relus", network.mask().kept().iter().sum::<u64>().to_string()),
    ];
    let model = Message::default()
        .int(1, IR_VERSION)
        .bytes(2, "rlnet")
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .message(7, &message)
        .message(8, &Message::default().bytes(1, "").int(2, OPERATORS));
    let model = said.iter().fold(model, |model, (key, value)| {
        model.message(14, &Message::default().bytes(1, key).bytes(2, value))
    });
    write_atomic(path, &model.into_bytes())
}
