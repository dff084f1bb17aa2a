//! In which layers a ball leaves the signs of ReLUs open: what makes a network hard to certify.

use super::networks::Networks;
use crate::certify::{Region, crown, interval};
use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result};
use rlnet_suites::attack::certify::Certify;
use rlnet_suites::{AttackSpec, Branch, LayerValue};
use tch::{Kind, no_grad_guard};

/// Images that are looked at, from the front.
const IMAGES: usize = 32;

/// For each branch and ReLU layer (`layer` is its place, from 1) `unstable/BRANCH`: the mean number of its units whose
/// sign intervals leave open in the certificate's ball. Linear bounds, where the method has them, close some of these.
///
/// # Errors
/// When it is no certificate, or the model cannot be bounded.
pub fn unstable(
    networks: &Networks,
    spec: &AttackSpec,
    branches: &[Branch],
    test: &Split,
) -> Result<Vec<LayerValue>> {
    let own: Certify = spec
        .read()
        .ok_or_else(|| Error::internal(format!("{spec}: no certificate")))?;
    let _guard = no_grad_guard();
    let first = test.slice(0, IMAGES.min(test.len()))?;
    let mut found = Vec::new();
    for &branch in branches {
        let graph = networks.graph(branch, first.size as i64)?;
        let images = images_to_tensor(&first.images, first.len(), first.size, graph.device());
        let region = Region::around(&images, own.eps, own.norm)?;
        let rows = crown::margins(graph.classes(), 0, &[1], (graph.kind(), graph.device()));
        let (before, _) = interval::propagate(&graph, &region, &rows, |_, interval, _| Ok(interval))?;
        for (interval, (_, relu)) in before.iter().zip(graph.relus()) {
            let Some(layer) = relu.layer else { continue };
            let crossing = interval.lower.lt(0.0).logical_and(&interval.upper.gt(0.0));
            let crossing = match &relu.share {
                Some(share) => crossing.logical_and(&share.gt(0.0)),
                None => crossing,
            };
            found.push(LayerValue {
                layer: layer as u32 + 1,
                metric: format!("unstable/{branch}"),
                value: crossing.sum(Kind::Double).double_value(&[]) / first.len().max(1) as f64,
            });
        }
    }
    Ok(found)
}
