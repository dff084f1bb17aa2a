//! One image and a method: certified, or how far from it.

use super::crown::{Intermediate, Layer, bounds, margins};
use super::exact::{Exact, UNITS};
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
    /// What a margin has to exceed, 0 or more.
    pub above: f64,
}

/// What is known of an image.
#[derive(Debug)]
pub struct Verdict {
    /// No point of the region has a smaller margin, less what it has to exceed; positive when the image is certified.
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
        Method::Crown | Method::AlphaCrown | Method::BetaCrown | Method::Exact => Intermediate::Linear,
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
        let least = bounds.margins.lower.min().double_value(&[]) - effort.above;
        return Ok(verdict(
            if least.is_nan() { f64::NEG_INFINITY } else { least },
            None,
        ));
    }
    let units: i64 = bounds.layers.iter().map(Layer::width).sum();
    let search = |targets: &[i64]| Search::new(graph, region, &bounds, rows(targets)).above(effort.above);
    let first = search(targets).crown()?;
    let least = first.iter().copied().fold(f64::INFINITY, f64::min);
    let open: Vec<i64> = targets
        .iter()
        .zip(&first)
        .filter(|(_, bound)| **bound <= 0.0)
        .map(|(target, _)| *target)
        .collect();
    let answer = match effort.method {
        _ if open.is_empty() => None,
        Method::Ibp | Method::CrownIbp | Method::Crown => None,
        Method::AlphaCrown => Some(search(&open).run(effort.steps, 0, go_on)?),
        Method::BetaCrown | Method::Exact => {
            let mut answer = search(&open).run(effort.steps, effort.nodes, go_on)?;
            let left = answer.open();
            let few = effort.method == Method::Exact && units <= UNITS;
            if few && !left.is_empty() && answer.counterexample.is_none() {
                let rows = rows(&left.iter().map(|&place| open[place]).collect::<Vec<_>>());
                let found = Exact::new(graph, region, &bounds, &rows, effort.above)?;
                answer.take(&left, found.run(effort.nodes, go_on)?);
            }
            Some(answer)
        }
    };
    let Some(answer) = answer else {
        return Ok(verdict(least, None));
    };
    let proven = first
        .iter()
        .copied()
        .filter(|bound| *bound > 0.0)
        .fold(f64::INFINITY, f64::min);
    Ok(verdict(answer.least().min(proven), Some(answer)))
}
