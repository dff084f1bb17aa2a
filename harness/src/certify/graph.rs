//! A network as a list of operations in execution order. Only the ReLUs are not linear.

use crate::attack::Classifier;
use crate::error::{Error, Problem, Result};
use rlnet_suites::Branch;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// An operation.
#[derive(Debug)]
pub enum Op {
    /// The images.
    Input,
    /// `scale * x + shift`; both broadcast over `[N, ...]`.
    Affine {
        /// Factor.
        scale: Tensor,
        /// Offset.
        shift: Tensor,
    },
    /// A 2-D convolution.
    Conv(Convolution),
    /// `[N, from]` to `[N, to]`.
    Linear {
        /// `[to, from]`.
        weight: Tensor,
        /// `[to]`.
        bias: Option<Tensor>,
    },
    /// The sum of two values.
    Add,
    /// A layer of (masked) ReLUs.
    Relu(Relu),
    /// The same numbers in the node's shape.
    Reshape,
    /// The dimensions after the first in another order, counted from 1.
    Permute(Vec<i64>),
}

impl Op {
    /// The same operation with the same tensors.
    fn shared(&self) -> Self {
        let also = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::shallow_clone);
        match self {
            Self::Input => Self::Input,
            Self::Affine { scale, shift } => Self::Affine {
                scale: scale.shallow_clone(),
                shift: shift.shallow_clone(),
            },
            Self::Conv(conv) => Self::Conv(Convolution {
                weight: conv.weight.shallow_clone(),
                bias: also(&conv.bias),
                ..*conv
            }),
            Self::Linear { weight, bias } => Self::Linear {
                weight: weight.shallow_clone(),
                bias: also(bias),
            },
            Self::Add => Self::Add,
            Self::Relu(relu) => Self::Relu(Relu {
                share: also(&relu.share),
                layer: relu.layer,
            }),
            Self::Reshape => Self::Reshape,
            Self::Permute(order) => Self::Permute(order.clone()),
        }
    }
}

/// A 2-D convolution with all its numbers.
#[derive(Debug)]
pub struct Convolution {
    /// `[C_out, C_in / groups, h, w]`.
    pub weight: Tensor,
    /// `[C_out]`.
    pub bias: Option<Tensor>,
    /// Step down and right.
    pub stride: [i64; 2],
    /// Zeros above and below, left and right.
    pub padding: [i64; 2],
    /// Distance of the weights.
    pub dilation: [i64; 2],
    /// Groups of channels.
    pub groups: i64,
}

impl Convolution {
    fn forward(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let Self {
            stride,
            padding,
            dilation,
            groups,
            ..
        } = self;
        Ok(xs.f_conv2d(weight, bias, stride, padding, dilation, *groups)?)
    }

    /// Of absolute weights, without bias.
    pub(super) fn absolute(&self, xs: &Tensor) -> Result<Tensor> {
        self.forward(xs, &self.weight.abs(), None)
    }

    /// Of squared weights, without bias.
    pub(super) fn squared(&self, xs: &Tensor) -> Result<Tensor> {
        self.forward(xs, &self.weight.square(), None)
    }

    /// The transposed map, from rows of the output to rows `[R, shape]` of the input.
    pub(super) fn transposed(&self, rows: &Tensor, shape: &[i64]) -> Result<Tensor> {
        let kernel = &self.weight.size()[2..];
        let side = |axis: usize| {
            let (out, reach) = (
                rows.size()[axis + 2],
                self.dilation[axis] * (kernel[axis] - 1) + 1,
            );
            shape[axis + 1] - ((out - 1) * self.stride[axis] - 2 * self.padding[axis] + reach)
        };
        let extra = [side(0), side(1)];
        let Self {
            weight,
            stride,
            padding,
            dilation,
            groups,
            ..
        } = self;
        Ok(rows.f_conv_transpose2d(weight, None::<&Tensor>, stride, padding, extra, *groups, dilation)?)
    }
}

/// A layer `x + share * relu(-x)`: a share of 1 is a ReLU, 0 the identity.
#[derive(Debug)]
pub struct Relu {
    /// `[1, ...]`; 1 everywhere when absent.
    pub share: Option<Tensor>,
    /// Place among the network's ReLU layers, from 0; none for a comparison of max pooling.
    pub layer: Option<usize>,
}

impl Relu {
    /// Applies it.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        match &self.share {
            None => xs.relu(),
            Some(share) => xs + share * (-xs).relu(),
        }
    }
}

/// An operation, where its arguments come from, and the shape of its value without the batch.
#[derive(Debug)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// Places of the arguments, all before this one.
    pub inputs: Vec<usize>,
    /// The value's.
    pub shape: Vec<i64>,
}

impl Node {
    /// Numbers in the value of one image.
    pub fn units(&self) -> i64 {
        self.shape.iter().product()
    }

    pub(super) fn forward(&self, values: &[&Tensor]) -> Result<Tensor> {
        let xs = values
            .first()
            .ok_or_else(|| Error::internal("an operation without arguments"))?;
        Ok(match &self.op {
            Op::Input => xs.shallow_clone(),
            Op::Affine { scale, shift } => xs.f_mul(scale)?.f_add(shift)?,
            Op::Conv(conv) => conv.forward(xs, &conv.weight, conv.bias.as_ref())?,
            Op::Linear { weight, bias } => xs.f_linear(weight, bias.as_ref())?,
            Op::Add => xs.f_add(values[1])?,
            Op::Relu(relu) => relu.forward(xs),
            Op::Reshape => xs.f_reshape(batched(&self.shape))?,
            Op::Permute(order) => xs.f_permute([&[0], order.as_slice()].concat())?,
        })
    }
}

/// A shape with any number of images before it.
pub(super) fn batched(shape: &[i64]) -> Vec<i64> {
    [&[-1], shape].concat()
}

/// Operations in execution order: the images first, the logits last.
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// For every node, whether intervals are exact there for a box: no value has met another one twice.
    exact: Vec<Exact>,
}

/// How many times values of a node have been mixed on the way from the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exact {
    /// Each value is a multiple of one of the images', and an offset.
    Separate,
    /// One convolution or matrix mixes them.
    Mixed,
    /// More than that.
    Not,
}

impl Graph {
    /// Images of so many channels, height and width; nothing done to them yet.
    pub fn of_images(shape: [i64; 3]) -> Self {
        let node = Node {
            op: Op::Input,
            inputs: Vec::new(),
            shape: shape.to_vec(),
        };
        Self {
            nodes: vec![node],
            exact: vec![Exact::Separate],
        }
    }

    /// Appends `(x - mean) / deviation` of the images' channels.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn normalise(&mut self, mean: &[f64; 3], deviation: &[f64; 3]) -> Result<usize> {
        let of_channels = |values: [f64; 3]| {
            Tensor::from_slice(&values)
                .to_kind(Kind::Float)
                .reshape([1, 3, 1, 1])
        };
        let scale = of_channels(deviation.map(|deviation| 1.0 / deviation));
        let shift = of_channels([0, 1, 2].map(|channel| -mean[channel] / deviation[channel]));
        self.push(Op::Affine { scale, shift }, &[self.last()], None)
    }

    /// Appends an operation on earlier values; gives its place. `shape` is asked of a reshape only.
    ///
    /// # Errors
    /// When libtorch refuses it for values of these shapes.
    pub fn push(&mut self, op: Op, inputs: &[usize], shape: Option<Vec<i64>>) -> Result<usize> {
        let _guard = no_grad_guard();
        let mut node = Node {
            op,
            inputs: inputs.to_vec(),
            shape: shape.unwrap_or_default(),
        };
        let kind = self.kind_with(&node);
        let blank = |&at: &usize| {
            Tensor::zeros(
                [&[1], self.nodes[at].shape.as_slice()].concat(),
                (kind, Device::Cpu),
            )
        };
        let device = node
            .tensors()
            .first()
            .map_or(Device::Cpu, |tensor| tensor.device());
        let blanks: Vec<Tensor> = inputs
            .iter()
            .map(blank)
            .map(|blank| blank.to_device(device))
            .collect();
        let value = node.forward(&blanks.iter().collect::<Vec<_>>())?;
        node.shape = value.size()[1..].to_vec();
        let keeps = matches!(node.op, Op::Affine { .. } | Op::Add);
        if keeps && inputs.iter().any(|&at| self.nodes[at].shape != node.shape) {
            return Err(Error::Incompatible(
                "a sum or product of values of different shapes".to_owned(),
            ));
        }
        if value.size()[0] != 1 {
            let what = format!("an operation changes the number of images to {}", value.size()[0]);
            return Err(Error::Incompatible(what));
        }
        let before = inputs
            .iter()
            .map(|&at| self.exact[at])
            .max()
            .unwrap_or(Exact::Separate);
        self.exact.push(match (&node.op, before) {
            (Op::Conv(_) | Op::Linear { .. }, Exact::Separate) => Exact::Mixed,
            (Op::Conv(_) | Op::Linear { .. } | Op::Relu(_) | Op::Add, _) => Exact::Not,
            (_, before) => before,
        });
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn kind_with(&self, node: &Node) -> Kind {
        node.tensors().first().map_or(Kind::Float, |tensor| tensor.kind())
    }

    /// Max pooling without padding as ReLUs: `max(a, b) = a + relu(b - a)`, two by two.
    ///
    /// # Errors
    /// As [`push`](Self::push); with padding, which puts minus infinity beside the values.
    pub fn max_pool(
        &mut self,
        xs: usize,
        kernel: [i64; 2],
        stride: [i64; 2],
        padding: [i64; 2],
    ) -> Result<usize> {
        if padding != [0, 0] {
            return Err(Error::Incompatible(
                "max pooling with padding cannot be bounded".to_owned(),
            ));
        }
        let channels = self.nodes[xs].shape[0];
        let options = self.options();
        let mut best = Vec::new();
        for place in 0..kernel[0] * kernel[1] {
            let weight = Tensor::zeros([channels, 1, kernel[0], kernel[1]], options);
            let _ = weight.view([channels, -1]).select(1, place).fill_(1.0);
            let conv = Convolution {
                weight,
                bias: None,
                stride,
                padding,
                dilation: [1, 1],
                groups: channels,
            };
            best.push(self.push(Op::Conv(conv), &[xs], None)?);
        }
        while best.len() > 1 {
            let pairs = std::mem::take(&mut best);
            for pair in pairs.chunks(2) {
                let &[a, b] = pair else {
                    best.push(pair[0]);
                    continue;
                };
                let away = self.push(
                    Op::Affine {
                        scale: Tensor::full([1], -1.0, options),
                        shift: Tensor::zeros([1], options),
                    },
                    &[a],
                    None,
                )?;
                let over = self.push(Op::Add, &[b, away], None)?;
                let over = self.push(
                    Op::Relu(Relu {
                        share: None,
                        layer: None,
                    }),
                    &[over],
                    None,
                )?;
                best.push(self.push(Op::Add, &[a, over], None)?);
            }
        }
        best.pop()
            .ok_or_else(|| Error::internal("max pooling over nothing"))
    }

    /// Mean pooling: a convolution of equal weights.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn mean_pool(
        &mut self,
        xs: usize,
        kernel: [i64; 2],
        stride: [i64; 2],
        padding: [i64; 2],
    ) -> Result<usize> {
        let channels = self.nodes[xs].shape[0];
        let share = 1.0 / (kernel[0] * kernel[1]) as f64;
        let weight = Tensor::full([channels, 1, kernel[0], kernel[1]], share, self.options());
        let conv = Convolution {
            weight,
            bias: None,
            stride,
            padding,
            dilation: [1, 1],
            groups: channels,
        };
        self.push(Op::Conv(conv), &[xs], None)
    }

    /// The mean over all places, as a vector of channels.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn global_mean(&mut self, xs: usize) -> Result<usize> {
        let &[channels, height, width] = self.shape(xs) else {
            return Err(Error::Incompatible(
                "a mean over places of values that have none".to_owned(),
            ));
        };
        let mean = self.mean_pool(xs, [height, width], [1, 1], [0, 0])?;
        self.push(Op::Reshape, &[mean], Some(vec![channels]))
    }

    /// What the weights are in.
    fn options(&self) -> (Kind, Device) {
        let tensor = self
            .nodes
            .iter()
            .find_map(|node| node.tensors().first().map(|first| (first.kind(), first.device())));
        tensor.unwrap_or((Kind::Float, Device::Cpu))
    }

    /// What it computes in.
    pub fn kind(&self) -> Kind {
        self.options().0
    }

    /// Where it lives.
    pub fn device(&self) -> Device {
        self.options().1
    }

    /// The operations.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn exact(&self, at: usize) -> Exact {
        self.exact[at]
    }

    /// The shape of a value, without the batch.
    pub fn shape(&self, at: usize) -> &[i64] {
        &self.nodes[at].shape
    }

    /// Place of the logits.
    pub fn last(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The number of classes.
    pub fn classes(&self) -> i64 {
        self.nodes[self.last()].units()
    }

    /// Places of the ReLU layers.
    pub fn relus(&self) -> impl Iterator<Item = (usize, &Relu)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(at, node)| match &node.op {
                Op::Relu(relu) => Some((at, relu)),
                _ => None,
            })
    }

    /// That it ends in logits.
    ///
    /// # Errors
    /// When its last value is no vector.
    pub fn check(self) -> std::result::Result<Self, Problem> {
        match self.shape(self.last()) {
            [classes] if *classes > 1 => Ok(self),
            other => Err(format!("it ends in a value of shape {other:?}, not in logits").into()),
        }
    }

    /// Logits of images `[N, 3, H, W]`.
    ///
    /// # Errors
    /// When libtorch refuses, for images of another size for instance.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        self.value(images, self.last())
    }

    /// The value at a place, for images `[N, 3, H, W]`.
    ///
    /// # Errors
    /// When libtorch refuses, for images of another size for instance.
    pub fn value(&self, images: &Tensor, at: usize) -> Result<Tensor> {
        let mut values: Vec<Tensor> = Vec::with_capacity(at + 1);
        for node in &self.nodes[..=at] {
            let value = match node.op {
                Op::Input => images.shallow_clone(),
                _ => node.forward(&node.inputs.iter().map(|&at| &values[at]).collect::<Vec<_>>())?,
            };
            values.push(value);
        }
        values
            .pop()
            .ok_or_else(|| Error::internal("a network without operations"))
    }

    /// The same network in another kind, beside this one.
    #[must_use]
    pub fn in_kind(&self, kind: Kind) -> Self {
        let nodes = self.nodes.iter().map(|node| Node {
            op: node.op.shared(),
            inputs: node.inputs.clone(),
            shape: node.shape.clone(),
        });
        let shared = Self {
            nodes: nodes.collect(),
            exact: self.exact.clone(),
        };
        shared.to(kind, self.device())
    }

    /// The same network in another kind, or elsewhere.
    #[must_use]
    pub fn to(mut self, kind: Kind, device: Device) -> Self {
        let _guard = no_grad_guard();
        for node in &mut self.nodes {
            for tensor in node.tensors_mut() {
                *tensor = tensor.to_kind(kind).to_device(device);
            }
        }
        self
    }
}

/// A graph answers for the file it was read of.
impl Classifier for Graph {
    fn logits(&self, images: &Tensor, _branch: Branch) -> Result<Tensor> {
        self.forward(images)
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Self::device(self)
    }
}

impl Node {
    fn tensors(&self) -> Vec<&Tensor> {
        match &self.op {
            Op::Affine { scale, shift } => vec![scale, shift],
            Op::Conv(Convolution { weight, bias, .. }) | Op::Linear { weight, bias } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Op::Relu(relu) => relu.share.iter().collect(),
            Op::Input | Op::Add | Op::Reshape | Op::Permute(_) => Vec::new(),
        }
    }

    fn tensors_mut(&mut self) -> Vec<&mut Tensor> {
        match &mut self.op {
            Op::Affine { scale, shift } => vec![scale, shift],
            Op::Conv(Convolution { weight, bias, .. }) | Op::Linear { weight, bias } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Op::Relu(relu) => relu.share.iter_mut().collect(),
            Op::Input | Op::Add | Op::Reshape | Op::Permute(_) => Vec::new(),
        }
    }
}
