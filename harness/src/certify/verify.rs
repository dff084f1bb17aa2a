//! One image and a method: certified, or how far from it.

use super::crown::{Intermediate, bounds, margins};
use super::graph::Graph;
use super::region::Region;
use super::search::{Answer, Search};
use crate::error::Result;
use rlnet_suites::attack::certify::Method;
use tch::Tensor;

/// How hard to try.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How bounds are found.
    pub method: Method,
    /// Steps of slopes at the root.
    pub steps: usize,
    /// Branches that may be bounded.
    pub nodes: u64,
}

/// What is known of an image.
#[derive(Debug)]
pub struct Verdict {
    /// No point of the region has a smaller margin; positive when the image is certified.
    pub margin: f64,
    /// A point at which the graph's own margin is not positive.
    pub counterexample: Option<Tensor>,
    /// Units of each ReLU layer that may be positive or negative in the region; layer by layer of the network.
    pub unstable: Vec<(Option<usize>, i64)>,
    /// Branches that were bounded.
    pub nodes: u64,
}

impl Verdict {
    /// Unstable units of all ReLU layers, without the comparisons of max pooling.
    pub fn unstable_units(&self) -> i64 {
        self.unstable
            .iter()
            .filter(|(layer, _)| layer.is_some())
            .map(|(_, units)| units)
            .sum()
    }
}

/// Tries to prove that every point of a region (of one image) has a larger logit for `label` than for each of
/// `targets`. `go_on` is asked between branches.
///
/// # Errors
/// When libtorch refuses.
pub fn verify(
    graph: &Graph,
    region: &Region,
    (label, targets): (i64, &[i64]),
    effort: Effort,
    go_on: &dyn Fn() -> bool,
) -> Result<Verdict> {
    let intermediate = match effort.method {
        Method::Ibp | Method::CrownIbp => Intermediate::Interval,
        Method::Crown | Method::AlphaCrown | Method::BetaCrown => Intermediate::Linear,
    };
    let region = &region.in_kind(graph.kind());
    let rows = |targets: &[i64]| margins(graph.classes(), label, targets, (graph.kind(), graph.device()));
    let bounds = bounds(graph, region, &rows(targets), intermediate)?;
    let unstable = bounds.layers.iter().map(|layer| (layer.layer, layer.width()));
    let unstable: Vec<(Option<usize>, i64)> = unstable.collect();
    let verdict = |margin: f64, answer: Option<Answer>| Verdict {
        margin,
        unstable,
        nodes: answer.as_ref().map_or(0, |answer| answer.nodes),
        counterexample: answer.and_then(|answer| answer.counterexample),
    };
    if effort.method == Method::Ibp {
        let least = bounds.margins.lower.min().double_value(&[]);
        return Ok(verdict(
            if least.is_nan() { f64::NEG_INFINITY } else { least },
            None,
        ));
    }
    let first = Search::new(graph, region, &bounds, rows(targets)).crown()?;
    let least = first.iter().copied().fold(f64::INFINITY, f64::min);
    let open: Vec<i64> = targets
        .iter()
        .zip(&first)
        .filter(|(_, bound)| **bound <= 0.0)
        .map(|(target, _)| *target)
        .collect();
    let (steps, nodes) = match effort.method {
        Method::AlphaCrown => (effort.steps, 0),
        Method::BetaCrown => (effort.steps, effort.nodes),
        Method::Ibp | Method::CrownIbp | Method::Crown => (0, 0),
    };
    if open.is_empty() || steps == 0 {
        return Ok(verdict(least, None));
    }
    let answer = Search::new(graph, region, &bounds, rows(&open)).run(steps, nodes, go_on)?;
    let proven = first
        .iter()
        .copied()
        .filter(|bound| *bound > 0.0)
        .fold(f64::INFINITY, f64::min);
    Ok(verdict(answer.least().min(proven), Some(answer)))
}
