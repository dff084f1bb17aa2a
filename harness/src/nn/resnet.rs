//! Residual networks of basic blocks (He et al., CVPR 2016), in the layout of the method:
//! 3x3 stride-1 stem without pooling (ImageNet's stem from 128 pixels on), stages of doubling
//! width, global average pool.
//!
//! ReLU layers: the stem, then two a block (`a` after the first norm, `b` after the residual
//! sum). Stages: the outputs of the stages after their last ReLU; not the stem.

use super::build::{Build, Quirks};
use super::layers::{Conv, ConvShape, Linear};
use super::pass::{Pass, Pool};
use crate::error::Problem;
use rlnet_suites::NormBanks;

/// What a name like `resnet18-w16` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Channels of the stem and of the first stage.
    pub width: u64,
    /// Basic blocks of each stage; every stage but the first halves the resolution.
    pub blocks: &'static [u64],
}

/// Known depths: name, blocks a stage, default width.
const DEPTHS: &[(&str, &[u64], u64)] = &[
    ("resnet8", &[1, 1, 1], 16),
    ("resnet10", &[1, 1, 1, 1], 64),
    ("resnet18", &[2, 2, 2, 2], 64),
    ("resnet34", &[3, 4, 6, 3], 64),
];

impl ResNetConfig {
    /// Reads `resnet18` or `resnet18-w16`; none when the name is of another family.
    ///
    /// # Errors
    /// When the name is of this family and its suffix cannot be read.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let (depth, suffix) = match text.split_once('-') {
            Some((depth, suffix)) => (depth, Some(suffix)),
            None => (text, None),
        };
        let Some((_, blocks, default)) = DEPTHS.iter().find(|(name, _, _)| *name == depth) else {
            return Ok(None);
        };
        let width = super::suffix::width(depth, suffix, *default)?;
        Ok(Some(Self { width, blocks }))
    }

    /// One line for each depth.
    pub fn catalogue() -> Vec<(String, String)> {
        let line = |(name, blocks, width): &(&str, &[u64], u64)| {
            let blocks: Vec<String> = blocks.iter().map(u64::to_string).collect();
            let text = format!(
                "residual network, basic blocks {}, width {width}; `{name}-wN` for width N",
                blocks.join("-")
            );
            ((*name).to_owned(), text)
        };
        DEPTHS.iter().map(line).collect()
    }
}

#[derive(Debug)]
struct Block {
    first: Conv,
    second: Conv,
    shortcut: Option<Conv>,
}

/// Stem, stages of basic blocks, head.
#[derive(Debug)]
pub struct ResNet {
    stem: Conv,
    pool: Option<Pool>,
    stages: Vec<Vec<Block>>,
    head: Linear,
    quirks: Quirks,
}

impl ResNet {
    /// Builds the network.
    pub fn new(config: &ResNetConfig, build: &mut Build<'_>) -> Self {
        let width = config.width as i64;
        let imagenet = build.imagenet_stem();
        let (kernel, stride) = if imagenet { (7, 2) } else { (3, 1) };
        let stem = ConvShape::new(3, width, kernel, stride);
        let stem = Conv::normed(build.params, "conv1", "bn1", stem, build.norm);
        let shortcut_norm = if build.quirks.banked_shortcut {
            build.norm
        } else {
            NormBanks::Single
        };
        let mut from = width;
        let mut stages = Vec::new();
        for (stage, &blocks) in config.blocks.iter().enumerate() {
            let to = width << stage;
            let mut built = Vec::new();
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
                let mut conv = |conv: &str, bn: &str, shape: ConvShape, norm| {
                    Conv::normed(build.params, &name(conv), &name(bn), shape, norm)
                };
                built.push(Block {
                    first: conv("conv1", "bn1", ConvShape::new(from, to, 3, stride), build.norm),
                    second: conv("conv2", "bn2", ConvShape::new(to, to, 3, 1), build.norm),
                    shortcut: (stride != 1 || from != to).then(|| {
                        let shape = ConvShape::new(from, to, 1, stride);
                        conv("shortcut.conv", "shortcut.bn", shape, shortcut_norm)
                    }),
                });
                from = to;
            }
            stages.push(built);
        }
        Self {
            stem,
            pool: imagenet.then_some(Pool::STEM),
            stages,
            head: Linear::new(build.params, "linear", from, build.classes),
            quirks: build.quirks,
        }
    }

    /// Sends images through.
    pub fn run<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        let stem = pass.conv(&self.stem, images);
        let mut xs = pass.relu(format_args!("stem"), stem);
        if let Some(pool) = self.pool {
            xs = pass.max_pool(pool, &xs);
        }
        for (stage, blocks) in (1..).zip(&self.stages) {
            for (number, block) in blocks.iter().enumerate() {
                let inner = pass.conv(&block.first, &xs);
                let inner = pass.relu(format_args!("layer{stage}.{number}.a"), inner);
                let outer = pass.conv(&block.second, &inner);
                let sum = match &block.shortcut {
                    Some(shortcut) => {
                        let skip = pass.conv(shortcut, &xs);
                        pass.add(outer, &skip)
                    }
                    None if self.quirks.identity_skip => pass.add(outer, &xs),
                    None => outer,
                };
                xs = pass.relu(format_args!("layer{stage}.{number}.b"), sum);
            }
            pass.stage(&xs, None);
        }
        pass.head(&self.head, &xs)
    }
}
