//! Wide residual networks (Zagoruyko and Komodakis, BMVC 2016): pre-activation basic blocks
//! in three groups of widths 16k, 32k and 64k.
//!
//! ReLU layers: two a block (`pre1` before the first convolution, `pre2` before the second)
//! and `final` before the pool; the stem has neither norm nor ReLU. Stages: the outputs of
//! the three groups, sums that no ReLU has seen. The first norm of a block follows a sum, which
//! its skip also uses, so it cannot be folded into a convolution and stays an affine map; the
//! second follows the first convolution and is folded. The pool is global: the reference's
//! fixed 8x8 window does the same at 32 pixels and fails at 64.

use super::build::Build;
use super::layers::{BankedNorm, Conv, ConvShape, HeadInit, Linear};
use super::pass::{Pass, Pool};
use crate::error::Problem;

/// What a name like `wrn-22-8` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WideResNetConfig {
    /// Blocks a group: (depth - 4) / 6.
    pub blocks: u64,
    /// Widening factor k.
    pub factor: u64,
}

impl WideResNetConfig {
    /// Reads `wrn-DEPTH-FACTOR`; none when the name is of another family.
    ///
    /// # Errors
    /// When the depth or the factor cannot be.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let Some(rest) = text.strip_prefix("wrn") else {
            return Ok(None);
        };
        let numbers: Option<(u64, u64)> = rest
            .strip_prefix('-')
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(depth, factor)| Some((depth.parse().ok()?, factor.parse().ok()?)));
        match numbers {
            Some((depth, factor))
                if (10..=100).contains(&depth)
                    && (depth - 4).is_multiple_of(6)
                    && (1..=32).contains(&factor) =>
            {
                Ok(Some(Self {
                    blocks: (depth - 4) / 6,
                    factor,
                }))
            }
            _ => Err(
                "write wrn-D-K with a depth D of 10, 16, 22, 28, ... (6n + 4, up to 100) and a \
                      widening factor K from 1 to 32: wrn-22-8"
                    .into(),
            ),
        }
    }

    /// One line.
    pub fn catalogue() -> Vec<(String, String)> {
        let text = "wide residual network, pre-activation, depth 22, factor 8; `wrn-D-K` for depth D \
                    (6n + 4) and factor K";
        vec![("wrn-22-8".to_owned(), text.to_owned())]
    }
}

#[derive(Debug)]
struct Block {
    before: BankedNorm,
    first: Conv,
    second: Conv,
    shortcut: Option<Conv>,
}

/// Stem, three groups of pre-activation blocks, final norm, head.
#[derive(Debug)]
pub struct WideResNet {
    stem: Conv,
    pool: Option<Pool>,
    groups: Vec<Vec<Block>>,
    last: BankedNorm,
    head: Linear,
    normed_stages: bool,
}

impl WideResNet {
    /// Builds the network.
    pub fn new(config: &WideResNetConfig, build: &mut Build<'_>) -> Self {
        let imagenet = build.imagenet_stem();
        let (kernel, stride) = if imagenet { (7, 2) } else { (3, 1) };
        let stem = Conv::plain(build.params, "conv1", ConvShape::new(3, 16, kernel, stride));
        let mut from = 16;
        let mut groups = Vec::new();
        for group in 0..3 {
            let to = (16 * config.factor as i64) << group;
            let mut built = Vec::new();
            for block in 0..config.blocks {
                let stride = if group > 0 && block == 0 { 2 } else { 1 };
                let name = |part: &str| format!("block{}.{block}.{part}", group + 1);
                let params = &mut *build.params;
                let first = ConvShape::new(from, to, 3, stride);
                built.push(Block {
                    before: BankedNorm::new(params, &name("bn1"), from, build.norm),
                    first: Conv::normed(params, &name("conv1"), &name("bn2"), first, build.norm),
                    second: Conv::plain(params, &name("conv2"), ConvShape::new(to, to, 3, 1)),
                    shortcut: (from != to)
                        .then(|| Conv::plain(params, &name("shortcut"), ConvShape::new(from, to, 1, stride))),
                });
                from = to;
            }
            groups.push(built);
        }
        Self {
            stem,
            pool: imagenet.then_some(Pool::STEM),
            groups,
            last: BankedNorm::new(build.params, "bn1", from, build.norm),
            head: Linear::with(build.params, "linear", from, build.classes, HeadInit::ZeroBias),
            normed_stages: build.quirks.normed_stages,
        }
    }

    /// Sends images through.
    pub fn run<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        let mut xs = pass.conv(&self.stem, images);
        if let Some(pool) = self.pool {
            xs = pass.max_pool(pool, &xs);
        }
        for (index, blocks) in self.groups.iter().enumerate() {
            let group = index + 1;
            for (number, block) in blocks.iter().enumerate() {
                let normed = pass.norm(&block.before, &xs);
                let active = pass.relu(format_args!("block{group}.{number}.pre1"), normed);
                let inner = pass.conv(&block.first, &active);
                let inner = pass.relu(format_args!("block{group}.{number}.pre2"), inner);
                let outer = pass.conv(&block.second, &inner);
                xs = match &block.shortcut {
                    // A block that changes its shape skips from the activated input.
                    Some(shortcut) => {
                        let skip = pass.conv(shortcut, &active);
                        pass.add(outer, &skip)
                    }
                    None => pass.add(outer, &xs),
                };
            }
            let next = self
                .groups
                .get(group)
                .and_then(|blocks| blocks.first())
                .map_or(&self.last, |block| &block.before);
            pass.stage(&xs, self.normed_stages.then_some(next));
        }
        let normed = pass.norm(&self.last, &xs);
        let xs = pass.relu(format_args!("final"), normed);
        pass.head(&self.head, &xs)
    }
}
