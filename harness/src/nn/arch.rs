//! Architectures by name, and what can be said of them without building them.

use rlnet_suites::error::suggest;
use rlnet_suites::{LayerRecord, SuiteError};
use std::fmt;
use std::str::FromStr;

/// A residual network of basic blocks (He et al., CVPR 2016), in the layout of the method:
/// 3x3 stride-1 stem without pooling, stages of doubling width, global average pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arch {
    name: String,
    /// Channels of the stem and of the first stage.
    pub width: u64,
    /// Basic blocks of each stage; every stage but the first halves the resolution.
    pub blocks: Vec<u64>,
}

/// Known depths: name, blocks a stage, default width.
const RESNETS: &[(&str, &[u64], u64)] = &[
    ("resnet8", &[1, 1, 1], 16),
    ("resnet10", &[1, 1, 1, 1], 64),
    ("resnet18", &[2, 2, 2, 2], 64),
    ("resnet34", &[3, 4, 6, 3], 64),
];

impl Arch {
    /// The name, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line for each architecture that can be asked for.
    pub fn catalogue() -> Vec<(String, String)> {
        RESNETS
            .iter()
            .map(|(name, blocks, width)| {
                let blocks: Vec<String> = blocks.iter().map(u64::to_string).collect();
                let text = format!(
                    "residual network, basic blocks {}, width {width}; `{name}-wN` for width N",
                    blocks.join("-")
                );
                ((*name).to_owned(), text)
            })
            .collect()
    }

    /// The ReLU layers in execution order: stem, then two a block (after the first norm,
    /// after the residual sum), every unit kept.
    pub fn relu_layers(&self, image_size: u64) -> Vec<LayerRecord> {
        let layer = |name: String, channels, side| LayerRecord {
            name,
            shape: [channels, side, side],
            kept: channels * side * side,
        };
        let mut layers = vec![layer("stem".into(), self.width, image_size)];
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            for block in 0..blocks {
                for half in ["a", "b"] {
                    let name = format!("layer{}.{block}.{half}", stage + 1);
                    layers.push(layer(name, self.width << stage, shrink(image_size, stage)));
                }
            }
        }
        layers
    }

    /// Multiply-accumulates of one image, convolutions and head (norms fold away).
    pub fn macs(&self, image_size: u64, classes: u64) -> u64 {
        let mut macs = 3 * 9 * self.width * image_size * image_size;
        let mut from = self.width;
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            let to = self.width << stage;
            let area = shrink(image_size, stage).pow(2);
            for block in 0..blocks {
                macs += (from * to + to * to) * 9 * area;
                if block == 0 && from != to {
                    macs += from * to * area;
                }
                from = to;
            }
        }
        macs + from * classes
    }
}

/// Side of the feature maps of a stage: halved, rounding up, once a stage after the first.
fn shrink(image_size: u64, stage: usize) -> u64 {
    (0..stage).fold(image_size, |side, _| side.div_ceil(2))
}

impl FromStr for Arch {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let (family, suffix) = text.split_once('-').unwrap_or((text, ""));
        let (_, blocks, default) = RESNETS
            .iter()
            .find(|(name, _, _)| *name == family)
            .ok_or_else(|| {
                let hint = suggest(family, RESNETS.iter().map(|(name, _, _)| *name));
                SuiteError::value("architecture", text, format!("not known; {hint}"))
            })?;
        let width = if suffix.is_empty() {
            *default
        } else {
            suffix
                .strip_prefix('w')
                .and_then(|digits| digits.parse().ok())
                .filter(|width| (1..=1024).contains(width))
                .ok_or_else(|| {
                    let message = format!("write {family}, or {family}-wN with a width N from 1 to 1024");
                    SuiteError::value("architecture", text, message)
                })?
        };
        Ok(Self {
            name: text.to_owned(),
            width,
            blocks: blocks.to_vec(),
        })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_relu_counts_are_the_published_ones() {
        for (arch, size, count) in [
            ("resnet18", 32, 557_056),
            ("resnet18", 64, 2_228_224),
            ("resnet34", 32, 966_656),
            ("resnet34", 64, 3_866_624),
        ] {
            let layers = arch.parse::<Arch>().expect(arch).relu_layers(size);
            let total: u64 = layers.iter().map(LayerRecord::total).sum();
            assert_eq!(total, count, "{arch} at {size}");
        }
    }

    #[test]
    fn macs_and_names() {
        // 0.56 GMAC: the usual figure for CIFAR's ResNet18.
        let macs = "resnet18".parse::<Arch>().expect("known").macs(32, 10);
        assert_eq!(macs, 555_422_720);
        assert!("resnet19".parse::<Arch>().is_err());
        assert!("resnet18-x3".parse::<Arch>().is_err());
        assert_eq!("resnet10-w16".parse::<Arch>().expect("known").width, 16);
    }
}
