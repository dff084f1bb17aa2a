//! A small vision transformer whose only non-linearities are ReLUs. Experimental: it is nobody's
//! published network, and no number of the literature can be compared with its.
//!
//! What private inference pays for is here a ReLU in each case, counted and maskable:
//!
//! * the two-layer networks use ReLU, not GELU;
//! * attention weighs by `ReLU(q . k / sqrt(d)) / tokens` in place of softmax (Wortsman et al.
//!   2023, arXiv 2309.08586); a dropped unit leaves its score as it is, and a layer without any
//!   is linear attention;
//! * norms are batch norms over images and tokens, one behind each linear layer (as in LeViT,
//!   Graham et al., ICCV 2021), in banks like everywhere else. A layer norm would divide by a
//!   deviation of every token of every image, another non-linearity; a batch norm folds into
//!   the layer before it, and its banks hold statistics of their own, which is what dual norms
//!   are about.
//!
//! Tokens are the places of a map `[N, C, H, W]`, linear layers 1x1 convolutions. The stem halves
//! the side twice (four times from 128 pixels on) by 3x3 convolutions (Xiao et al., NeurIPS 2021);
//! a depthwise 3x3 convolution in each block tells places apart (Chu et al., arXiv 2102.10882).
//!
//! ReLU layers: the stem's convolutions but the last; in each block the scores (`attention`, `[heads,
//! tokens, tokens]`) and the hidden layer (`hidden`). Stages: the outputs of the blocks.

use super::build::Build;
use super::layers::{Conv, ConvShape, Linear};
use super::pass::Pass;
use crate::error::Problem;

/// What a name like `vit4-w128` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VitConfig {
    /// Number of blocks.
    pub depth: u64,
    /// Channels of a token.
    pub width: u64,
}

/// Channels of a head (Dosovitskiy et al., ICLR 2021, have 64; narrow networks take less).
const HEAD: u64 = 32;

/// Width of the hidden layer over that of a token (LeViT's).
const HIDDEN: i64 = 2;

impl VitConfig {
    /// Reads `vit4` or `vit4-w64`; none when the name is of another family.
    ///
    /// # Errors
    /// When depth or width cannot be read.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let Some(rest) = text.strip_prefix("vit") else {
            return Ok(None);
        };
        let (depth, suffix) = match rest.split_once('-') {
            Some((depth, suffix)) => (depth, Some(suffix)),
            None => (rest, None),
        };
        let how =
            "write vitD, or vitD-wN, with a depth D from 1 to 24 and a width N, a multiple of 8: vit4-w128";
        let depth = depth.parse().ok().filter(|depth| (1..=24).contains(depth));
        let depth = depth.ok_or(how)?;
        let width = super::suffix::width(text.split('-').next().unwrap_or(text), suffix, 128)?;
        if width % 8 != 0 {
            return Err(how.into());
        }
        Ok(Some(Self { depth, width }))
    }

    /// One line.
    pub fn catalogue() -> Vec<(String, String)> {
        let text = "EXPERIMENTAL vision transformer with ReLU attention, 4 blocks, width 128; `vitD-wN` for \
                    depth D and width N";
        vec![("vit4".to_owned(), text.to_owned())]
    }

    /// Heads of [`HEAD`] channels where the width allows, else one.
    fn heads(&self) -> u64 {
        if self.width.is_multiple_of(HEAD) {
            self.width / HEAD
        } else {
            1
        }
    }
}

#[derive(Debug)]
struct Block {
    position: Conv,
    queries: Conv,
    keys: Conv,
    values: Conv,
    mixed: Conv,
    expand: Conv,
    project: Conv,
}

/// Stem, blocks of attention and two-layer networks, head.
#[derive(Debug)]
pub struct Vit {
    stem: Vec<Conv>,
    blocks: Vec<Block>,
    heads: u64,
    head: Linear,
}

impl Vit {
    /// Builds the network.
    pub fn new(config: &VitConfig, build: &mut Build<'_>) -> Self {
        let width = config.width as i64;
        let halvings = if build.imagenet_stem() { 4 } else { 2 };
        let mut conv = |name: &str, shape| build.conv(name, shape);
        let mut from = 3;
        let stem = (0..halvings)
            .map(|place| {
                let to = (width >> (halvings - 1 - place)).max(1);
                let shape = ConvShape::new(std::mem::replace(&mut from, to), to, 3, 2);
                conv(&format!("stem.{place}"), shape)
            })
            .collect();
        let linear = |from, to| ConvShape::new(from, to, 1, 1);
        let blocks = (0..config.depth)
            .map(|block| {
                let mut part = |name: &str, shape| conv(&format!("blocks.{block}.{name}"), shape);
                Block {
                    position: part("position", ConvShape::depthwise(width, 1)),
                    queries: part("queries", linear(width, width)),
                    keys: part("keys", linear(width, width)),
                    values: part("values", linear(width, width)),
                    mixed: part("mixed", linear(width, width)),
                    expand: part("expand", linear(width, HIDDEN * width)),
                    project: part("project", linear(HIDDEN * width, width)),
                }
            })
            .collect();
        Self {
            stem,
            blocks,
            heads: config.heads(),
            head: Linear::new(build.params, "linear", width, build.classes),
        }
    }

    /// Sends images through.
    pub fn run<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        let mut tokens = None;
        for (place, conv) in self.stem.iter().enumerate() {
            let ys = pass.conv(conv, tokens.as_ref().unwrap_or(images));
            tokens = Some(match place + 1 < self.stem.len() {
                true => pass.relu(format_args!("stem.{place}"), ys),
                false => ys,
            });
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let xs = tokens.as_ref().unwrap_or(images);
            let position = pass.conv(&block.position, xs);
            let xs = pass.add(position, xs);

            let (queries, keys) = (pass.conv(&block.queries, &xs), pass.conv(&block.keys, &xs));
            let scores = pass.scores(self.heads, &queries, &keys);
            let scores = pass.relu(format_args!("blocks.{number}.attention"), scores);
            let values = pass.conv(&block.values, &xs);
            let mixed = pass.mix(&scores, &values);
            let mixed = pass.conv(&block.mixed, &mixed);
            let xs = pass.add(mixed, &xs);

            let hidden = pass.conv(&block.expand, &xs);
            let hidden = pass.relu(format_args!("blocks.{number}.hidden"), hidden);
            let outer = pass.conv(&block.project, &hidden);
            let xs = pass.add(outer, &xs);
            pass.stage(&xs, None);
            tokens = Some(xs);
        }
        pass.head(&self.head, tokens.as_ref().unwrap_or(images))
    }
}
