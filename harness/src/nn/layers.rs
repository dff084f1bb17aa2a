//! Convolution with banks of batch norm, and the linear head.

use super::params::Params;
use rlnet_suites::{Branch, NormBanks};
use tch::{Tensor, no_grad_guard};

/// Batch norm's constants in every network of the method (PyTorch's defaults).
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

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

    /// Normalises `[N, C, H, W]`.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let bank = self.bank(mode.branch());
        xs.batch_norm(
            Some(&bank.weight),
            Some(&bank.bias),
            Some(&bank.mean),
            Some(&bank.var),
            matches!(mode, Mode::Train(_)),
            MOMENTUM,
            EPS,
            true,
        )
    }
}

/// A 2-D convolution without bias, followed by batch norm.
#[derive(Debug)]
pub struct ConvNorm {
    weight: Tensor,
    norm: BankedNorm,
    stride: i64,
    padding: i64,
}

impl ConvNorm {
    /// `kernel` x `kernel`, padding `kernel / 2`, Kaiming-normal (fan-out, ReLU gain): the
    /// initialisation of the method's ResNets.
    #[expect(clippy::too_many_arguments, reason = "the parameters of a convolution")]
    pub fn new(
        params: &mut Params,
        conv: &str,
        bn: &str,
        from: i64,
        to: i64,
        kernel: i64,
        stride: i64,
        norm: NormBanks,
    ) -> Self {
        let std = (2.0 / (to * kernel * kernel) as f64).sqrt();
        Self {
            weight: params.normal(&format!("{conv}.weight"), &[to, from, kernel, kernel], std),
            norm: BankedNorm::new(params, bn, to, norm),
            stride,
            padding: kernel / 2,
        }
    }

    /// Convolution, then norm.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let ys = self.convolve(xs, &self.weight, None);
        self.norm.forward(&ys, mode)
    }

    fn convolve(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let (stride, padding) = (self.stride, self.padding);
        xs.conv2d(weight, bias, [stride, stride], [padding, padding], [1, 1], 1)
    }

    /// Eval-mode norm folded into the convolution: `w' = w * g / sqrt(var + eps)`,
    /// `b' = bias - mean * g / sqrt(var + eps)`. Takes no gradient.
    pub fn fold(&self, branch: Branch) -> Folded {
        let _guard = no_grad_guard();
        let bank = self.norm.bank(branch);
        let scale = &bank.weight / (&bank.var + EPS).sqrt();
        Folded {
            weight: &self.weight * scale.reshape([-1, 1, 1, 1]),
            bias: &bank.bias - &bank.mean * scale,
        }
    }

    /// The same layer with a folded norm.
    pub fn forward_folded(&self, xs: &Tensor, folded: &Folded) -> Tensor {
        self.convolve(xs, &folded.weight, Some(&folded.bias))
    }
}

/// A convolution's weight and bias with one branch's norm folded in.
#[derive(Debug)]
pub struct Folded {
    weight: Tensor,
    bias: Tensor,
}

/// The classifier head.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// PyTorch's default initialisation: U(±1/sqrt(fan_in)) for weight and bias.
    pub fn new(params: &mut Params, name: &str, from: i64, to: i64) -> Self {
        let bound = 1.0 / (from as f64).sqrt();
        Self {
            weight: params.uniform(&format!("{name}.weight"), &[to, from], bound),
            bias: params.uniform(&format!("{name}.bias"), &[to], bound),
        }
    }

    /// `[N, from]` to `[N, to]`.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        xs.linear(&self.weight, Some(&self.bias))
    }

    /// The same without tracking the parameters' gradients.
    pub fn forward_frozen(&self, xs: &Tensor) -> Tensor {
        xs.linear(&self.weight.detach(), Some(&self.bias.detach()))
    }
}
