//! VGG with batch norm (Simonyan and Zisserman, ICLR 2015), with one linear layer: 3x3
//! convolutions with bias in five groups of widths w, 2w, 4w, 8w and 8w, global average pool.
//!
//! The resolution is halved after groups 1 to 3, and after group 4 from 64 pixels on; max
//! pooling is not counted among the ReLUs. ReLU layers: one a convolution. Stages: the output
//! of each group's last ReLU, before its pooling.

use super::build::Build;
use super::layers::{Conv, ConvShape, HeadInit, Linear};
use super::pass::{Pass, Pool};
use crate::error::Problem;

/// What a name like `vgg16-bn-w8` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VggConfig {
    /// Channels of the first group.
    pub width: u64,
    /// Convolutions of each group.
    pub convs: &'static [u64],
}

/// Known depths: name, convolutions a group.
const DEPTHS: &[(&str, &[u64])] = &[
    ("vgg8-bn", &[1, 1, 1, 1, 1]),
    ("vgg11-bn", &[1, 1, 2, 2, 2]),
    ("vgg13-bn", &[2, 2, 2, 2, 2]),
    ("vgg16-bn", &[2, 2, 3, 3, 3]),
    ("vgg19-bn", &[2, 2, 4, 4, 4]),
];

impl VggConfig {
    /// Reads `vgg16-bn` or `vgg16-bn-w8`; none when the name is of another family.
    ///
    /// # Errors
    /// When the name is of this family and its suffix cannot be read.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        for (name, convs) in DEPTHS {
            let suffix = match text.strip_prefix(name) {
                Some("") => None,
                Some(rest) => match rest.strip_prefix('-') {
                    Some(suffix) => Some(suffix),
                    None => continue,
                },
                None => continue,
            };
            let width = super::suffix::width(name, suffix, 64)?;
            return Ok(Some(Self { width, convs }));
        }
        Ok(None)
    }

    /// One line for each depth.
    pub fn catalogue() -> Vec<(String, String)> {
        let line = |(name, convs): &(&str, &[u64])| {
            let depth: u64 = convs.iter().sum();
            let text = format!(
                "VGG with batch norm, {depth} convolutions, width 64; `{name}-wN` for a first group of \
                 N channels"
            );
            ((*name).to_owned(), text)
        };
        DEPTHS.iter().map(line).collect()
    }
}

/// Groups of convolutions, each perhaps pooled, and a head.
#[derive(Debug)]
pub struct Vgg {
    groups: Vec<(Vec<Conv>, Option<Pool>)>,
    head: Linear,
}

impl Vgg {
    /// Builds the network.
    pub fn new(config: &VggConfig, build: &mut Build<'_>) -> Self {
        let pools = if build.image_size >= 64 { 4 } else { 3 };
        let mut from = 3;
        let mut groups = Vec::new();
        for (group, &convs) in config.convs.iter().enumerate() {
            let to = (config.width as i64) << group.min(3);
            let mut built = Vec::new();
            for conv in 0..convs {
                let name = |part: &str| format!("block{group}.{conv}.{part}");
                let shape = ConvShape::new(from, to, 3, 1).with_bias();
                built.push(Conv::normed(
                    build.params,
                    &name("conv"),
                    &name("bn"),
                    shape,
                    build.norm,
                ));
                from = to;
            }
            groups.push((built, (group < pools).then_some(Pool::HALVE)));
        }
        let head = Linear::with(build.params, "linear", from, build.classes, HeadInit::Small);
        Self { groups, head }
    }

    /// Sends images through.
    pub fn run<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        let mut last = None;
        for (group, (convs, pool)) in self.groups.iter().enumerate() {
            for (number, conv) in convs.iter().enumerate() {
                let ys = pass.conv(conv, last.as_ref().unwrap_or(images));
                last = Some(pass.relu(format_args!("block{group}.{number}"), ys));
            }
            if let Some(xs) = &last {
                pass.stage(xs, None);
            }
            if let (Some(pool), Some(xs)) = (pool, &last) {
                last = Some(pass.max_pool(*pool, xs));
            }
        }
        pass.head(&self.head, last.as_ref().unwrap_or(images))
    }
}
