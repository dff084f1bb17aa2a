//! The residual network, written once for training, evaluation and attacks.

use super::arch::Arch;
use super::layers::{ConvNorm, Folded, Linear, Mode};
use super::mask::Activation;
use super::params::Params;
use rlnet_suites::{Branch, NormBanks};
use tch::Tensor;

/// How the reference's networks differ from the paper's; the default is the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The shortcut's norm has a bank a branch. The reference's teacher shares one (defect B1).
    pub banked_shortcut: bool,
    /// Blocks that keep their shape add their input. The reference's students do not (defect B23).
    pub identity_skip: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            banked_shortcut: true,
            identity_skip: true,
        }
    }
}

#[derive(Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

/// Stem, stages of basic blocks, global average pool, linear head.
#[derive(Debug)]
pub struct ResNet {
    stem: ConvNorm,
    stages: Vec<Vec<Block>>,
    head: Linear,
    quirks: Quirks,
}

/// What runs the convolutions of a forward pass.
#[derive(Clone, Copy)]
enum Exec<'a> {
    Layers(Mode),
    Folded(&'a [Folded]),
}

/// What a forward pass is asked to remember besides the logits.
#[derive(Debug, Default)]
pub struct Seen {
    /// Output of each stage, after its last activation.
    pub stages: Vec<Tensor>,
    /// Output of each (masked) ReLU layer, in execution order.
    pub activations: Vec<Tensor>,
}

impl ResNet {
    /// Builds the network in `params`.
    pub fn new(params: &mut Params, arch: &Arch, classes: i64, norm: NormBanks, quirks: Quirks) -> Self {
        let width = arch.width as i64;
        let stem = ConvNorm::new(params, "conv1", "bn1", 3, width, 3, 1, norm);
        let shortcut_norm = if quirks.banked_shortcut {
            norm
        } else {
            NormBanks::Single
        };
        let mut from = width;
        let mut stages = Vec::new();
        for (stage, &blocks) in arch.blocks.iter().enumerate() {
            let to = width << stage;
            let mut built = Vec::new();
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
                let mut conv = |conv: &str, bn: &str, from, kernel, stride, norm| {
                    ConvNorm::new(params, &name(conv), &name(bn), from, to, kernel, stride, norm)
                };
                built.push(Block {
                    first: conv("conv1", "bn1", from, 3, stride, norm),
                    second: conv("conv2", "bn2", to, 3, 1, norm),
                    shortcut: (stride != 1 || from != to)
                        .then(|| conv("shortcut.conv", "shortcut.bn", from, 1, stride, shortcut_norm)),
                });
                from = to;
            }
            stages.push(built);
        }
        let head = Linear::new(params, "linear", from, classes);
        Self {
            stem,
            stages,
            head,
            quirks,
        }
    }

    /// Logits of normalised images; `seen` receives what it asks for.
    pub fn forward(
        &self,
        xs: &Tensor,
        activations: &[Activation],
        mode: Mode,
        seen: Option<&mut Seen>,
    ) -> Tensor {
        let pooled = self.body(xs, activations, Exec::Layers(mode), seen);
        self.head.forward(&pooled)
    }

    /// Logits through folded convolutions: eval mode, no parameter gradients.
    pub fn forward_folded(&self, xs: &Tensor, activations: &[Activation], folded: &[Folded]) -> Tensor {
        let pooled = self.body(xs, activations, Exec::Folded(folded), None);
        self.head.forward_frozen(&pooled)
    }

    /// The folded convolutions of one branch, in execution order.
    pub fn fold(&self, branch: Branch) -> Vec<Folded> {
        let blocks = self.stages.iter().flatten();
        let inner = blocks.flat_map(|block| {
            [Some(&block.first), Some(&block.second), block.shortcut.as_ref()]
                .into_iter()
                .flatten()
        });
        std::iter::once(&self.stem)
            .chain(inner)
            .map(|conv| conv.fold(branch))
            .collect()
    }

    fn body(
        &self,
        xs: &Tensor,
        activations: &[Activation],
        exec: Exec<'_>,
        mut seen: Option<&mut Seen>,
    ) -> Tensor {
        let mut next_conv = 0;
        let mut next_relu = 0;
        let mut conv = |layer: &ConvNorm, xs: &Tensor| {
            next_conv += 1;
            match exec {
                Exec::Layers(mode) => layer.forward(xs, mode),
                Exec::Folded(folded) => layer.forward_folded(xs, &folded[next_conv - 1]),
            }
        };
        let mut relu = |xs: Tensor, seen: &mut Option<&mut Seen>| {
            let ys = activations[next_relu].forward(xs);
            next_relu += 1;
            if let Some(seen) = seen {
                seen.activations.push(ys.shallow_clone());
            }
            ys
        };
        let stem = conv(&self.stem, xs);
        let mut xs = relu(stem, &mut seen);
        for stage in &self.stages {
            for block in stage {
                let inner = conv(&block.first, &xs);
                let inner = relu(inner, &mut seen);
                let outer = conv(&block.second, &inner);
                let sum = match &block.shortcut {
                    Some(shortcut) => outer + conv(shortcut, &xs),
                    None if self.quirks.identity_skip => outer + &xs,
                    None => outer,
                };
                xs = relu(sum, &mut seen);
            }
            if let Some(seen) = &mut seen {
                seen.stages.push(xs.shallow_clone());
            }
        }
        xs.mean_dim([2_i64, 3].as_slice(), false, tch::Kind::Float)
    }
}
