//! What a certificate proves of one image.

use super::networks::Networks;
use crate::attack::ball::Ball;
use crate::certify::Region;
use crate::certify::verify::{Effort, verify};
use crate::error::{Error, Result};
use rlnet_suites::attack::certify::Certify;
use rlnet_suites::{AttackSpec, Branch};
use tch::{Tensor, no_grad_guard};

/// What single-precision logits may be off by, as a share of the largest: a margin that is proven to be larger than
/// that is positive in every kernel that libtorch may choose.
const LOGITS: f64 = 1e-5;

/// A lower bound of an image's margins over the whole ball, and what it cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Proof {
    /// Positive where the image is certified.
    pub(super) margin: f32,
    /// ReLUs whose sign the ball leaves open.
    pub(super) unstable: u32,
    /// Branches that were bounded.
    pub(super) nodes: u32,
}

/// Tries to prove an image `[1, 3, H, W]`; a point that breaks it, where one was found.
pub(super) fn prove(
    spec: &AttackSpec,
    branch: Branch,
    (image, label): (&Tensor, u16),
    networks: &Networks,
) -> Result<(Proof, Option<Tensor>)> {
    let own: Certify = spec
        .read()
        .ok_or_else(|| Error::internal(format!("{spec}: no certificate")))?;
    let graph = networks.graph(branch, image.size()[2])?;
    let targets: Vec<i64> = (0..graph.classes())
        .filter(|class| *class != i64::from(label))
        .collect();
    let region = Region::around(image, own.eps, own.norm)?;
    let above = {
        let _guard = no_grad_guard();
        LOGITS * graph.forward(image)?.abs().max().double_value(&[]).max(1.0)
    };
    let effort = Effort {
        method: own.method,
        steps: own.steps,
        nodes: own.nodes as u64,
        above,
    };
    let verdict = verify(&graph, &region, (i64::from(label), &targets), effort, &|| true)?;
    let proof = Proof {
        margin: verdict.margin as f32,
        unstable: verdict.unstable_units() as u32,
        nodes: verdict.nodes as u32,
    };
    let _guard = no_grad_guard();
    // The region is a little wider than the ball; the point has to be inside.
    let ball = Ball::new(image, own.eps, own.norm);
    let inside = |point: Tensor| ball.project(&point.to_kind(image.kind()));
    Ok((proof, verdict.counterexample.map(inside)))
}
