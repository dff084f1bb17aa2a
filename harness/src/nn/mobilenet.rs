//! MobileNetV2 (Sandler et al., CVPR 2018) for small images: inverted residuals, each an
//! expansion, a depthwise convolution and a linear projection.
//!
//! The activation is the plain ReLU, as in the reference and its line of work, not ReLU6: a
//! masked ReLU6 would be `m * min(max(x, 0), 6) + (1 - m) * x`, two comparisons a kept unit,
//! which budgets counted in ReLUs could not be compared with.
//!
//! ReLU layers: the stem, two a block (`expand`, `depthwise`) and the last 1x1 convolution.
//! Stages: the outputs of the blocks before the resolution changes, linear projections; the
//! last one ends with the blocks. From 128 pixels on the second stage halves the resolution,
//! as the paper has it for 224; below, it does not, as the reference has it for 32.

use super::build::Build;
use super::layers::{Conv, ConvShape, HeadInit, Linear};
use super::pass::Pass;
use crate::error::Problem;

/// What a name like `mobilenetv2-x0.5` stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct MobileNetConfig {
    /// Factor on every width but the last one's 1280.
    pub factor: f64,
}

/// Expansion, channels, blocks, stride of each stage (the paper's table 2, with the
/// reference's stride 1 in the second).
const STAGES: [(i64, f64, u64, i64); 7] = [
    (1, 16.0, 1, 1),
    (6, 24.0, 2, 1),
    (6, 32.0, 3, 2),
    (6, 64.0, 4, 2),
    (6, 96.0, 3, 1),
    (6, 160.0, 3, 2),
    (6, 320.0, 1, 1),
];

impl MobileNetConfig {
    /// Reads `mobilenetv2` or `mobilenetv2-x0.5`; none when the name is of another family.
    ///
    /// # Errors
    /// When the factor cannot be read.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let Some(rest) = text.strip_prefix("mobilenetv2") else {
            return Ok(None);
        };
        if rest.is_empty() {
            return Ok(Some(Self { factor: 1.0 }));
        }
        rest.strip_prefix("-x")
            .and_then(|factor| factor.parse().ok())
            .filter(|factor| (0.1..=4.0).contains(factor))
            .map(|factor| Some(Self { factor }))
            .ok_or_else(|| {
                "write mobilenetv2, or mobilenetv2-xF with a width factor F from 0.1 to 4: \
                 mobilenetv2-x0.5"
                    .into()
            })
    }

    /// One line.
    pub fn catalogue() -> Vec<(String, String)> {
        let text = "MobileNetV2 at half width, plain ReLU; `mobilenetv2-xF` for width factor F";
        vec![("mobilenetv2-x0.5".to_owned(), text.to_owned())]
    }

    /// The reference truncates.
    fn scaled(&self, channels: f64) -> i64 {
        ((channels * self.factor) as i64).max(1)
    }
}

#[derive(Debug)]
struct Block {
    expand: Conv,
    depthwise: Conv,
    project: Conv,
    skip: bool,
}

/// Stem, inverted residuals, last convolution, head.
#[derive(Debug)]
pub struct MobileNet {
    stem: Conv,
    stages: Vec<Vec<Block>>,
    last: Conv,
    head: Linear,
}

impl MobileNet {
    /// Builds the network.
    pub fn new(config: &MobileNetConfig, build: &mut Build<'_>) -> Self {
        let large = build.imagenet_stem();
        let mut conv = |name: &str, shape| build.conv(name, shape);
        let mut from = config.scaled(32.0);
        let stem = conv("stem", ConvShape::new(3, from, 3, 2));
        let mut stages = Vec::new();
        for (stage, &(expansion, channels, blocks, stride)) in STAGES.iter().enumerate() {
            let to = config.scaled(channels);
            let stride = if stage == 1 && large { 2 } else { stride };
            let mut built = Vec::new();
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                let inner = from * expansion;
                let name = |part: &str| format!("blocks.{stage}.{block}.{part}");
                built.push(Block {
                    expand: conv(&name("expand"), ConvShape::new(from, inner, 1, 1)),
                    depthwise: conv(&name("depthwise"), ConvShape::depthwise(inner, stride)),
                    project: conv(&name("project"), ConvShape::new(inner, to, 1, 1)),
                    skip: stride == 1 && from == to,
                });
                from = to;
            }
            stages.push(built);
        }
        let width = if config.factor > 1.0 {
            config.scaled(1280.0)
        } else {
            1280
        };
        let last = conv("last", ConvShape::new(from, width, 1, 1));
        let head = Linear::with(build.params, "linear", width, build.classes, HeadInit::Small);
        Self {
            stem,
            stages,
            last,
            head,
        }
    }

    /// Sends images through.
    pub fn run<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        let stem = pass.conv(&self.stem, images);
        let mut xs = pass.relu(format_args!("stem"), stem);
        for (stage, blocks) in self.stages.iter().enumerate() {
            for (number, block) in blocks.iter().enumerate() {
                let inner = pass.conv(&block.expand, &xs);
                let inner = pass.relu(format_args!("blocks.{stage}.{number}.expand"), inner);
                let inner = pass.conv(&block.depthwise, &inner);
                let inner = pass.relu(format_args!("blocks.{stage}.{number}.depthwise"), inner);
                let outer = pass.conv(&block.project, &inner);
                xs = if block.skip { pass.add(outer, &xs) } else { outer };
            }
            let halves = |next: usize| STAGES.get(next).is_none_or(|&(_, _, _, stride)| stride == 2);
            if halves(stage + 1) {
                pass.stage(&xs, None);
            }
        }
        let ys = pass.conv(&self.last, &xs);
        let ys = pass.relu(format_args!("last"), ys);
        pass.head(&self.head, &ys)
    }
}
