//! What can go through a network's body: images (layer by layer, or with norms folded), a
//! branch to fold, or only shapes to count.
//!
//! An architecture writes its forward pass once, over [`Pass`]. So what is attacked, what is
//! folded and what is counted cannot drift apart from what is trained.

use super::layers::{BankedNorm, Conv, Folded, Linear, Mode};
use super::mask::Activation;
use rlnet_suites::{Branch, LayerRecord, LinearRecord};
use std::fmt::Arguments;
use tch::{Kind, Tensor};

/// One way of going through a body, layer by layer in execution order.
pub trait Pass {
    /// What flows between layers: `[N, C, H, W]` or what stands for it.
    type Map: FeatureMap;
    /// A convolution and its norm.
    fn conv(&mut self, layer: &Conv, xs: &Self::Map) -> Self::Map;
    /// A norm that follows no convolution.
    fn norm(&mut self, layer: &BankedNorm, xs: &Self::Map) -> Self::Map;
    /// The next (masked) ReLU layer.
    fn relu(&mut self, name: Arguments<'_>, xs: Self::Map) -> Self::Map;
    /// A residual sum.
    fn add(&mut self, a: Self::Map, b: &Self::Map) -> Self::Map {
        a.sum(b)
    }
    /// How much every place asks for every other, a head at a time: `[N, heads, HW, HW]`, the
    /// products of queries and keys `[N, C, H, W]` over `sqrt(C / heads) * HW`.
    fn scores(&mut self, heads: u64, queries: &Self::Map, keys: &Self::Map) -> Self::Map {
        Self::Map::scores(heads, queries, keys)
    }
    /// The values `[N, C, H, W]` of all places, weighed by each place's scores.
    fn mix(&mut self, scores: &Self::Map, values: &Self::Map) -> Self::Map {
        Self::Map::mix(scores, values)
    }
    /// Max pooling; its comparisons are not counted among the ReLUs.
    fn max_pool(&mut self, pool: Pool, xs: &Self::Map) -> Self::Map {
        xs.max_pool(pool)
    }
    /// The end of a stage, whose output the attention transfer compares, seen through
    /// `through` when there is one (a quirk of the reference's WRN students).
    fn stage(&mut self, _xs: &Self::Map, _through: Option<&BankedNorm>) {}
    /// Global average pool and linear head: the logits.
    fn head(&mut self, layer: &Linear, xs: &Self::Map) -> Self::Map;
}

/// A max pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Side of the window.
    pub kernel: i64,
    /// Step of the window.
    pub stride: i64,
    /// Padding on every side.
    pub padding: i64,
}

impl Pool {
    /// The usual halving: 2x2, stride 2.
    pub const HALVE: Self = Self {
        kernel: 2,
        stride: 2,
        padding: 0,
    };
    /// The ImageNet stem's: 3x3, stride 2, padding 1.
    pub const STEM: Self = Self {
        kernel: 3,
        stride: 2,
        padding: 1,
    };

    fn run(self, xs: &Tensor) -> Tensor {
        let Self {
            kernel,
            stride,
            padding,
        } = self;
        xs.max_pool2d(
            [kernel, kernel],
            [stride, stride],
            [padding, padding],
            [1, 1],
            false,
        )
    }

    fn side(self, side: u64) -> u64 {
        (side + 2 * self.padding as u64 - self.kernel as u64) / self.stride as u64 + 1
    }
}

/// What flows between layers, and the operations on it that have no weights.
pub trait FeatureMap: Sized {
    /// A residual sum.
    fn sum(self, other: &Self) -> Self;
    /// See [`Pass::scores`].
    fn scores(heads: u64, queries: &Self, keys: &Self) -> Self;
    /// See [`Pass::mix`].
    fn mix(scores: &Self, values: &Self) -> Self;
    /// Max pooling.
    fn max_pool(&self, pool: Pool) -> Self;
}

impl FeatureMap for Tensor {
    fn sum(self, other: &Tensor) -> Tensor {
        self + other
    }

    fn scores(heads: u64, queries: &Tensor, keys: &Tensor) -> Tensor {
        let (queries, keys) = (by_head(queries, heads as i64), by_head(keys, heads as i64));
        let size = keys.size();
        let scale = (size[2] as f64).sqrt() * size[3] as f64;
        queries.transpose(2, 3).matmul(&keys) / scale
    }

    fn mix(scores: &Tensor, values: &Tensor) -> Tensor {
        let size = values.size();
        let values = by_head(values, scores.size()[1]);
        let mixed = values.matmul(&scores.transpose(2, 3));
        mixed.reshape([-1, size[1], size[2], size[3]])
    }

    fn max_pool(&self, pool: Pool) -> Tensor {
        pool.run(self)
    }
}

/// Where only the order of the layers matters.
impl FeatureMap for () {
    fn sum(self, _other: &()) {}
    fn scores(_heads: u64, _queries: &(), _keys: &()) {}
    fn mix(_scores: &(), _values: &()) {}
    fn max_pool(&self, _pool: Pool) {}
}

/// Channels, height, width.
impl FeatureMap for [u64; 3] {
    fn sum(self, _other: &Self) -> Self {
        self
    }

    fn scores(heads: u64, &[_, h, w]: &Self, _keys: &Self) -> Self {
        [heads, h * w, h * w]
    }

    fn mix(_scores: &Self, values: &Self) -> Self {
        *values
    }

    fn max_pool(&self, pool: Pool) -> Self {
        let [c, h, w] = *self;
        [c, pool.side(h), pool.side(w)]
    }
}

/// `[N, C, H, W]` as `[N, heads, C / heads, H W]`; any N, also for a tracer.
fn by_head(xs: &Tensor, heads: i64) -> Tensor {
    let size = xs.size();
    xs.reshape([-1, heads, size[1] / heads, size[2] * size[3]])
}

/// The mean over all places. The head is never in half precision, whatever the layers before it are in.
pub(super) fn pooled(xs: &Tensor) -> Tensor {
    let kind = match xs.kind() {
        Kind::BFloat16 | Kind::Half => Kind::Float,
        kind => kind,
    };
    xs.mean_dim([2_i64, 3].as_slice(), false, kind)
}

/// What a forward pass is asked to remember besides the logits; each value includes those
/// before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taps {
    /// Nothing.
    Nothing,
    /// Outputs of the stages.
    Stages,
    /// Outputs of the ReLU layers.
    Activations,
    /// Inputs of the ReLU layers.
    Inputs,
}

/// `true` asks for stages and activations.
impl From<bool> for Taps {
    fn from(taps: bool) -> Self {
        if taps { Self::Activations } else { Self::Nothing }
    }
}

/// What a forward pass remembered.
#[derive(Debug, Default)]
pub struct Seen {
    /// Output of each stage; see the architectures for what they call one.
    pub stages: Vec<Tensor>,
    /// Output of each (masked) ReLU layer, in execution order.
    pub activations: Vec<Tensor>,
    /// Input of each (masked) ReLU layer, in execution order.
    pub inputs: Vec<Tensor>,
}

/// Images through the layers as they train.
pub struct TrainPass<'a> {
    mode: Mode,
    activations: std::slice::Iter<'a, Activation>,
    taps: Taps,
    /// What was asked for.
    pub seen: Seen,
}

impl<'a> TrainPass<'a> {
    /// A pass in `mode` with a mask in force.
    pub fn new(mode: Mode, activations: &'a [Activation], taps: Taps) -> Self {
        Self {
            mode,
            activations: activations.iter(),
            taps,
            seen: Seen::default(),
        }
    }
}

impl Pass for TrainPass<'_> {
    type Map = Tensor;

    fn conv(&mut self, layer: &Conv, xs: &Tensor) -> Tensor {
        layer.forward(xs, self.mode)
    }

    fn norm(&mut self, layer: &BankedNorm, xs: &Tensor) -> Tensor {
        layer.forward(xs, self.mode)
    }

    fn relu(&mut self, _name: Arguments<'_>, xs: Tensor) -> Tensor {
        if self.taps >= Taps::Inputs {
            self.seen.inputs.push(xs.shallow_clone());
        }
        let ys = activate(&mut self.activations, xs);
        if self.taps >= Taps::Activations {
            self.seen.activations.push(ys.shallow_clone());
        }
        ys
    }

    fn stage(&mut self, xs: &Tensor, through: Option<&BankedNorm>) {
        if self.taps >= Taps::Stages {
            let seen = match through {
                Some(norm) => norm.forward(xs, self.mode),
                None => xs.shallow_clone(),
            };
            self.seen.stages.push(seen);
        }
    }

    fn head(&mut self, layer: &Linear, xs: &Tensor) -> Tensor {
        layer.forward(&pooled(xs))
    }
}

/// The mask has one activation a ReLU layer (`Network::set_mask` sees to it); a body that
/// asks for more would fall back on the plain ReLU.
fn activate(activations: &mut std::slice::Iter<'_, Activation>, xs: Tensor) -> Tensor {
    activations.next().unwrap_or(&Activation::Relu).forward(xs)
}

/// Images through folded layers: eval mode, no gradient but the images'.
pub struct FoldedPass<'a> {
    folded: std::slice::Iter<'a, Folded>,
    activations: std::slice::Iter<'a, Activation>,
}

impl<'a> FoldedPass<'a> {
    /// A pass through what [`FoldPass`] made of the same body.
    pub fn new(folded: &'a [Folded], activations: &'a [Activation]) -> Self {
        Self {
            folded: folded.iter(),
            activations: activations.iter(),
        }
    }
}

impl Pass for FoldedPass<'_> {
    type Map = Tensor;

    fn conv(&mut self, layer: &Conv, xs: &Tensor) -> Tensor {
        match self.folded.next() {
            Some(Folded::Conv { weight, bias }) => layer.forward_folded(xs, weight, bias.as_ref()),
            other => unreachable!("a convolution was folded to {other:?}"),
        }
    }

    fn norm(&mut self, _layer: &BankedNorm, xs: &Tensor) -> Tensor {
        match self.folded.next() {
            Some(Folded::Affine { scale, shift }) => shift.addcmul(xs, scale),
            other => unreachable!("a norm was folded to {other:?}"),
        }
    }

    fn relu(&mut self, _name: Arguments<'_>, xs: Tensor) -> Tensor {
        activate(&mut self.activations, xs)
    }

    fn head(&mut self, layer: &Linear, xs: &Tensor) -> Tensor {
        layer.forward_frozen(&pooled(xs))
    }
}

/// Folds the norms of one branch, in execution order.
pub struct FoldPass {
    branch: Branch,
    /// The folded layers so far.
    pub folded: Vec<Folded>,
}

impl FoldPass {
    /// Folds `branch`.
    pub fn new(branch: Branch) -> Self {
        Self {
            branch,
            folded: Vec::new(),
        }
    }
}

impl Pass for FoldPass {
    type Map = ();

    fn conv(&mut self, layer: &Conv, _xs: &()) {
        self.folded.push(layer.fold(self.branch));
    }

    fn norm(&mut self, layer: &BankedNorm, _xs: &()) {
        self.folded.push(layer.fold(self.branch));
    }

    fn relu(&mut self, _name: Arguments<'_>, _xs: ()) {}
    fn head(&mut self, _layer: &Linear, _xs: &()) {}
}

/// Shapes through the body: its ReLU layers and what one image costs.
#[derive(Debug, Default)]
pub struct CountPass {
    /// The ReLU layers in execution order, every unit kept.
    pub layers: Vec<LayerRecord>,
    /// The linear layers in execution order: convolutions, attention and head (norms fold away).
    pub linear: Vec<LinearRecord>,
    /// Trainable scalars.
    pub parameters: u64,
}

impl Pass for CountPass {
    /// Channels, height, width.
    type Map = [u64; 3];

    fn conv(&mut self, layer: &Conv, xs: &[u64; 3]) -> [u64; 3] {
        let shape = layer.shape();
        let (h, w) = (shape.side(xs[1]), shape.side(xs[2]));
        let groups = shape.groups as u64;
        self.linear.push(LinearRecord {
            rows: h * w,
            inner: shape.terms(),
            columns: shape.to as u64 / groups,
            groups,
            input: xs.iter().product(),
        });
        [shape.to as u64, h, w]
    }

    fn norm(&mut self, _layer: &BankedNorm, xs: &[u64; 3]) -> [u64; 3] {
        *xs
    }

    fn relu(&mut self, name: Arguments<'_>, xs: [u64; 3]) -> [u64; 3] {
        self.layers.push(LayerRecord {
            name: name.to_string(),
            shape: xs,
            kept: xs.iter().product(),
        });
        xs
    }

    fn scores(&mut self, heads: u64, queries: &[u64; 3], keys: &[u64; 3]) -> [u64; 3] {
        let [c, h, w] = *queries;
        self.linear.push(LinearRecord {
            rows: h * w,
            inner: c / heads,
            columns: h * w,
            groups: heads,
            input: 2 * c * h * w,
        });
        FeatureMap::scores(heads, queries, keys)
    }

    fn mix(&mut self, scores: &[u64; 3], values: &[u64; 3]) -> [u64; 3] {
        let [heads, places, _] = *scores;
        self.linear.push(LinearRecord {
            rows: places,
            inner: places,
            columns: values[0] / heads,
            groups: heads,
            input: (heads * places + values[0]) * places,
        });
        FeatureMap::mix(scores, values)
    }

    fn head(&mut self, layer: &Linear, xs: &[u64; 3]) -> [u64; 3] {
        let classes = layer.macs() / xs[0];
        self.linear.push(LinearRecord {
            rows: 1,
            inner: xs[0],
            columns: classes,
            groups: 1,
            input: xs[0],
        });
        [classes, 1, 1]
    }
}

impl CountPass {
    /// Multiply-accumulates of one image.
    pub fn macs(&self) -> u64 {
        self.linear.iter().map(LinearRecord::macs).sum()
    }
}
