//! The layers every architecture is made of: convolution, banks of batch norm, linear head.

use super::interval::Boxed;
use super::layout::{as_they_come, laid_out};
use super::params::Params;
use rlnet_suites::{Branch, NormBanks};
use tch::{Kind, Tensor, no_grad_guard};

/// Batch norm's constants in every network of the method (PyTorch's defaults).
const EPS: f64 = 1e-5;
/// Share of a batch's statistics in the running ones after its pass.
pub const MOMENTUM: f64 = 0.1;

/// How a forward pass treats batch norm.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    /// Batch statistics, which also move the running ones of this branch.
    Train(Branch),
    /// Running statistics of this branch.
    Eval(Branch),
}

impl Mode {
    fn branch(self) -> Branch {
        match self {
            Self::Train(branch) | Self::Eval(branch) => branch,
        }
    }
}

/// A batch norm with fixed statistics is `scale * x + shift`, all `[C]`: `scale = weight / sqrt(var + eps)`,
/// `shift = bias - mean * scale`; without weight and bias, 1 and 0 stand for them.
///
/// The root is taken in double precision and rounded: libtorch's root in single precision has another last bit on some
/// processors, and a folded network, what is exported of it and its certificates must be the same on all.
pub(crate) fn norm_as_affine(
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    mean: &Tensor,
    var: &Tensor,
    eps: f64,
) -> (Tensor, Tensor) {
    let root = (var + eps).to_kind(Kind::Double).sqrt().to_kind(var.kind());
    let scale = match weight {
        Some(weight) => weight / root,
        None => root.reciprocal(),
    };
    let shift = match bias {
        Some(bias) => bias - mean * &scale,
        None => -mean * &scale,
    };
    (scale, shift)
}

#[derive(Debug)]
struct Bank {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
}

impl Bank {
    fn new(params: &mut Params, name: &str, channels: i64) -> Self {
        Self {
            weight: params.constant(&format!("{name}.weight"), &[channels], 1.0, true),
            bias: params.constant(&format!("{name}.bias"), &[channels], 0.0, true),
            mean: params.constant(&format!("{name}.running_mean"), &[channels], 0.0, false),
            var: params.constant(&format!("{name}.running_var"), &[channels], 1.0, false),
        }
    }

    /// With these statistics the norm is `scale * x + shift`, both `[C]`.
    fn map(&self, mean: &Tensor, var: &Tensor) -> (Tensor, Tensor) {
        norm_as_affine(Some(&self.weight), Some(&self.bias), mean, var, EPS)
    }
}

/// Batch norm with one bank a branch: own affine parameters and own running statistics.
#[derive(Debug)]
pub struct BankedNorm {
    banks: Vec<Bank>,
    branches: &'static [Branch],
}

impl BankedNorm {
    /// Banks named `<name>.<branch>.*` (`<name>.*` when there is only one).
    pub fn new(params: &mut Params, name: &str, channels: i64, norm: NormBanks) -> Self {
        let branches = norm.branches();
        let banks = branches
            .iter()
            .map(|branch| match norm {
                NormBanks::Single => Bank::new(params, name, channels),
                _ => Bank::new(params, &format!("{name}.{branch}"), channels),
            })
            .collect();
        Self { banks, branches }
    }

    /// The bank of a branch. A network with one bank answers every branch with it.
    fn bank(&self, branch: Branch) -> &Bank {
        let position = self.branches.iter().position(|known| *known == branch);
        &self.banks[position.unwrap_or(0)]
    }

    /// The banks that give a branch its statistics and its scales and shifts: one and the
    /// same for every branch that is trained.
    fn parts(&self, branch: Branch) -> (&Bank, &Bank) {
        let (statistics, affine) = branch.parts();
        (self.bank(statistics), self.bank(affine))
    }

    /// In eval mode the norm is `scale * x + shift`, both `[C]`:
    /// `scale = g / sqrt(var + eps)`, `shift = bias - mean * scale`.
    fn affine(&self, branch: Branch) -> (Tensor, Tensor) {
        let (statistics, affine) = self.parts(branch);
        affine.map(&statistics.mean, &statistics.var)
    }

    /// Normalises values as [`forward`](Self::forward) does, and a box around them by the same statistics: in train
    /// mode those of the values.
    pub(super) fn forward_box(&self, xs: &Boxed, mode: Mode) -> Boxed {
        let (scale, shift) = match mode {
            Mode::Eval(branch) => self.affine(branch),
            Mode::Train(branch) => {
                let places = [0_i64, 2, 3];
                let mean = xs.value.mean_dim(places.as_slice(), false, xs.value.kind());
                let var = xs.value.var_dim(places.as_slice(), false, false);
                self.parts(branch).1.map(&mean, &var)
            }
        };
        let wide = |tensor: Tensor| tensor.reshape([1, -1, 1, 1]);
        let (scale, shift) = (wide(scale), wide(shift));
        let (centre, radius) = xs.halves();
        let (centre, radius) = (centre * &scale + shift, radius * scale.abs());
        Boxed::of(self.forward(&xs.value, mode), &centre, &radius)
    }

    /// Normalises `[N, C, H, W]`.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let (statistics, affine) = self.parts(mode.branch());
        xs.batch_norm(
            Some(&affine.weight),
            Some(&affine.bias),
            Some(&statistics.mean),
            Some(&statistics.var),
            matches!(mode, Mode::Train(_)),
            MOMENTUM,
            EPS,
            true,
        )
    }

    /// One branch in eval mode as an affine map a channel: what remains of a norm that no
    /// convolution precedes. Takes no gradient.
    pub fn fold(&self, branch: Branch) -> Folded {
        let _guard = no_grad_guard();
        let (scale, shift) = self.affine(branch);
        Folded::Affine {
            scale: scale.reshape([1, -1, 1, 1]),
            shift: shift.reshape([1, -1, 1, 1]),
        }
    }
}

/// The shape of a 2-D convolution with padding `kernel / 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub from: i64,
    /// Output channels.
    pub to: i64,
    /// Side of the kernel.
    pub kernel: i64,
    /// Stride in both directions.
    pub stride: i64,
    /// 1, or as many as channels (depthwise).
    pub groups: i64,
    /// Whether it adds a bias of its own.
    pub bias: bool,
}

impl ConvShape {
    /// A dense convolution without bias.
    pub fn new(from: i64, to: i64, kernel: i64, stride: i64) -> Self {
        Self {
            from,
            to,
            kernel,
            stride,
            groups: 1,
            bias: false,
        }
    }

    /// One 3x3 filter a channel.
    pub fn depthwise(channels: i64, stride: i64) -> Self {
        Self {
            groups: channels,
            ..Self::new(channels, channels, 3, stride)
        }
    }

    /// The same with a bias.
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// Side of the output for an input of side `side`.
    pub fn side(&self, side: u64) -> u64 {
        let (kernel, stride) = (self.kernel as u64, self.stride as u64);
        (side + 2 * (kernel / 2) - kernel) / stride + 1
    }

    /// Products that one output is the sum of.
    pub fn terms(&self) -> u64 {
        ((self.from / self.groups) * self.kernel * self.kernel) as u64
    }
}

/// A 2-D convolution, with the batch norm that follows it, if one does.
#[derive(Debug)]
pub struct Conv {
    shape: ConvShape,
    weight: Tensor,
    bias: Option<Tensor>,
    norm: Option<BankedNorm>,
}

impl Conv {
    /// A convolution that nothing normalises. Weights from N(0, 2 / (k² * C_out)), which is
    /// Kaiming-normal with fan-out and ReLU gain: the initialisation of every network of the
    /// method. A bias starts at zero.
    pub fn plain(params: &mut Params, name: &str, shape: ConvShape) -> Self {
        let ConvShape { from, to, kernel, .. } = shape;
        let std = (2.0 / (to * kernel * kernel) as f64).sqrt();
        let size = [to, from / shape.groups, kernel, kernel];
        let weight = params.normal(&format!("{name}.weight"), &size, std);
        let bias = shape
            .bias
            .then(|| params.constant(&format!("{name}.bias"), &[to], 0.0, true));
        Self {
            shape,
            weight,
            bias,
            norm: None,
        }
    }

    /// A convolution followed by batch norm, whose parameters are named `bn`.
    pub fn normed(params: &mut Params, name: &str, bn: &str, shape: ConvShape, norm: NormBanks) -> Self {
        let conv = Self::plain(params, name, shape);
        Self {
            norm: Some(BankedNorm::new(params, bn, shape.to, norm)),
            ..conv
        }
    }

    /// Its shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Convolution, then norm.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let ys = self.convolve(xs, &self.weight, self.bias.as_ref());
        match &self.norm {
            Some(norm) => norm.forward(&ys, mode),
            None => ys,
        }
    }

    /// As [`forward`](Self::forward), and the box that a box becomes.
    pub(super) fn forward_box(&self, xs: &Boxed, mode: Mode) -> Boxed {
        let bias = self.bias.as_ref();
        let (centre, radius) = xs.halves();
        let ys = Boxed::of(
            self.convolve(&xs.value, &self.weight, bias),
            &self.convolve(&centre, &self.weight, bias),
            &self.convolve(&radius, &self.weight.abs(), None),
        );
        match &self.norm {
            Some(norm) => norm.forward_box(&ys, mode),
            None => ys,
        }
    }

    fn convolve(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let ConvShape { kernel, groups, .. } = self.shape;
        let (xs, stride) = match self.shape.stride {
            // A 1x1 filter reads the pixels of its stride and no others; they are taken before, because libtorch 2.11
            // spoils its heap in the backward pass of such a convolution of maps channels last (docs/performance.md).
            stride if kernel == 1 && stride > 1 && !as_they_come() => (laid_out(&every(xs, stride)), 1),
            stride => (xs.shallow_clone(), stride),
        };
        let padding = kernel / 2;
        xs.conv2d(weight, bias, [stride, stride], [padding, padding], [1, 1], groups)
    }

    /// Eval-mode norm folded into the convolution: `w' = scale * w`,
    /// `b' = scale * b + shift`. Takes no gradient.
    pub fn fold(&self, branch: Branch) -> Folded {
        let _guard = no_grad_guard();
        let Some(norm) = &self.norm else {
            return Folded::Conv {
                weight: laid_out(&self.weight.detach()),
                bias: self.bias.as_ref().map(Tensor::detach),
            };
        };
        let (scale, shift) = norm.affine(branch);
        let bias = match &self.bias {
            Some(bias) => shift + bias * &scale,
            None => shift,
        };
        Folded::Conv {
            weight: laid_out(&(&self.weight * scale.reshape([-1, 1, 1, 1]))),
            bias: Some(bias),
        }
    }

    /// The same layer with a folded norm.
    pub(crate) fn forward_folded(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        self.convolve(xs, weight, bias)
    }
}

/// Every `stride`-th pixel, in both directions, of maps `[N, C, H, W]`.
fn every(maps: &Tensor, stride: i64) -> Tensor {
    maps.slice(2, None, None, stride).slice(3, None, None, stride)
}

/// A layer with one branch's norm folded in: eval mode, constants.
#[derive(Debug)]
pub enum Folded {
    /// A convolution and its norm.
    Conv {
        /// `[C_out, C_in / groups, k, k]`.
        weight: Tensor,
        /// `[C_out]`.
        bias: Option<Tensor>,
    },
    /// A norm that follows no convolution: `scale * x + shift`, both `[1, C, 1, 1]`.
    Affine {
        /// Factor a channel.
        scale: Tensor,
        /// Offset a channel.
        shift: Tensor,
    },
}

impl Folded {
    /// The same layer in another kind.
    pub fn in_kind(self, kind: Kind) -> Self {
        self.mapped(|tensor| tensor.to_kind(kind))
    }

    /// The same layer with other tensors.
    pub fn mapped(self, f: impl Fn(Tensor) -> Tensor) -> Self {
        match self {
            Self::Conv { weight, bias } => Self::Conv {
                weight: f(weight),
                bias: bias.map(f),
            },
            Self::Affine { scale, shift } => Self::Affine {
                scale: f(scale),
                shift: f(shift),
            },
        }
    }
}

/// How a linear head starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadInit {
    /// PyTorch's default: U(±1/sqrt(fan_in)) for weight and bias (ResNet).
    Default,
    /// PyTorch's default weight, zero bias (WRN).
    ZeroBias,
    /// Weight from N(0, 0.01²), zero bias (VGG, MobileNetV2).
    Small,
}

/// The classifier head.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// PyTorch's default initialisation.
    pub fn new(params: &mut Params, name: &str, from: i64, to: i64) -> Self {
        Self::with(params, name, from, to, HeadInit::Default)
    }

    /// With a chosen initialisation.
    pub fn with(params: &mut Params, name: &str, from: i64, to: i64, init: HeadInit) -> Self {
        let bound = 1.0 / (from as f64).sqrt();
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        Self {
            weight: match init {
                HeadInit::Small => params.normal(&weight, &[to, from], 0.01),
                _ => params.uniform(&weight, &[to, from], bound),
            },
            bias: match init {
                HeadInit::Default => params.uniform(&bias, &[to], bound),
                _ => params.constant(&bias, &[to], 0.0, true),
            },
        }
    }

    /// `[N, from]` to `[N, to]`.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        xs.linear(&self.weight, Some(&self.bias))
    }

    /// The same without tracking the parameters' gradients.
    pub fn forward_frozen(&self, xs: &Tensor) -> Tensor {
        let (weight, bias) = self.weights();
        xs.linear(&weight, Some(&bias))
    }

    /// Weight `[to, from]` and bias `[to]`, without their gradients.
    pub fn weights(&self) -> (Tensor, Tensor) {
        (self.weight.detach(), self.bias.detach())
    }

    /// How much each logit is above the label's, `[N, to]`, at the centre of a box `[N, from]`, and by how much that
    /// may differ in it: put together before bounds are taken, which makes them tighter.
    pub(super) fn differences(&self, centre: &Tensor, radius: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
        let above = |rows: &Tensor| rows.unsqueeze(0) - rows.index_select(0, labels).unsqueeze(1);
        // [N, to, from] and [N, from, 1].
        let weight = above(&self.weight);
        let bias = above(&self.bias.unsqueeze(1)).squeeze_dim(2);
        let times = |weight: &Tensor, xs: &Tensor| weight.matmul(&xs.unsqueeze(2)).squeeze_dim(2);
        (times(&weight, centre) + bias, times(&weight.abs(), radius))
    }

    /// Multiply-accumulates of one image; also its number of classes times inputs.
    pub fn macs(&self) -> u64 {
        self.weight.numel() as u64
    }
}
