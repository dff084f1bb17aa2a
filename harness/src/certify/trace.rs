//! A branch of this program's networks as a [`Graph`]: one more thing that goes through the forward pass.

use super::graph::{Convolution, Graph, Op, Relu};
use crate::error::{Error, Result};
use crate::nn::layers::{BankedNorm, Conv, Folded, Linear};
use crate::nn::mask::Activation;
use crate::nn::pass::{FeatureMap, Pass, Pool};
use crate::nn::{Arch, Frozen, Network, NetworkSpec, Quirks};
use rlnet_suites::{Branch, NormBanks};
use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt::Arguments;
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The graph as it grows, and why it stopped growing.
struct Growing {
    graph: Graph,
    failed: Option<Error>,
}

/// A value of the growing graph.
#[derive(Clone)]
pub struct Traced {
    at: usize,
    growing: Rc<RefCell<Growing>>,
}

impl Traced {
    /// The value that `grow` appends; this one again once something has failed.
    fn then(&self, grow: impl FnOnce(&mut Graph) -> Result<usize>) -> Self {
        let mut growing = self.growing.borrow_mut();
        let grown = match growing.failed {
            Some(_) => Ok(self.at),
            None => grow(&mut growing.graph),
        };
        let at = grown.unwrap_or_else(|error| {
            growing.failed = Some(error);
            self.at
        });
        drop(growing);
        Self {
            at,
            growing: Rc::clone(&self.growing),
        }
    }

    fn refused(&self, what: &str) -> Self {
        let what = format!("{what} cannot be bounded");
        self.then(|_| Err(Error::Incompatible(what)))
    }
}

impl FeatureMap for Traced {
    fn sum(self, other: &Self) -> Self {
        self.then(|graph| graph.push(Op::Add, &[self.at, other.at], None))
    }

    fn scores(_heads: u64, queries: &Self, _keys: &Self) -> Self {
        queries.refused("attention, a product of two values,")
    }

    fn mix(_scores: &Self, values: &Self) -> Self {
        values.refused("attention, a product of two values,")
    }

    fn max_pool(&self, pool: Pool) -> Self {
        let Pool {
            kernel,
            stride,
            padding,
        } = pool;
        self.then(|graph| graph.max_pool(self.at, [kernel, kernel], [stride, stride], [padding, padding]))
    }
}

struct GraphPass<'a> {
    folded: std::slice::Iter<'a, Folded>,
    activations: std::slice::Iter<'a, Activation>,
    layer: usize,
}

impl Pass for GraphPass<'_> {
    type Map = Traced;

    fn conv(&mut self, layer: &Conv, xs: &Traced) -> Traced {
        let Some(Folded::Conv { weight, bias }) = self.folded.next() else {
            return xs.refused("a convolution that was folded to something else");
        };
        let shape = layer.shape();
        let conv = Convolution {
            weight: weight.shallow_clone(),
            bias: bias.as_ref().map(Tensor::shallow_clone),
            stride: [shape.stride; 2],
            padding: [shape.kernel / 2; 2],
            dilation: [1, 1],
            groups: shape.groups,
        };
        xs.then(|graph| graph.push(Op::Conv(conv), &[xs.at], None))
    }

    fn norm(&mut self, _layer: &BankedNorm, xs: &Traced) -> Traced {
        let Some(Folded::Affine { scale, shift }) = self.folded.next() else {
            return xs.refused("a norm that was folded to something else");
        };
        let op = Op::Affine {
            scale: scale.shallow_clone(),
            shift: shift.shallow_clone(),
        };
        xs.then(|graph| graph.push(op, &[xs.at], None))
    }

    fn relu(&mut self, _name: Arguments<'_>, xs: Traced) -> Traced {
        let layer = Some(self.layer);
        self.layer += 1;
        let (relu, behind) = match self.activations.next() {
            Some(Activation::Affine { relu, scale, shift }) => (Some(&**relu), Some((scale, shift))),
            other => (other, None),
        };
        let masked = |share| xs.then(|graph| graph.push(Op::Relu(Relu { share, layer }), &[xs.at], None));
        let ys = match relu {
            None | Some(Activation::Relu) => masked(None),
            Some(Activation::Identity) => xs.clone(),
            // A floor of minus infinity is the identity.
            Some(Activation::Floor(floor)) => masked(Some(floor.eq(0.0).to_kind(floor.kind()))),
            Some(Activation::Slopes(_) | Activation::Trained { .. } | Activation::Affine { .. }) => {
                return xs.refused("a network whose ReLUs are still searched for or trained");
            }
        };
        let Some((scale, shift)) = behind else {
            return ys;
        };
        let op = Op::Affine {
            scale: scale.shallow_clone(),
            shift: shift.shallow_clone(),
        };
        ys.then(|graph| graph.push(op, &[ys.at], None))
    }

    fn head(&mut self, layer: &Linear, xs: &Traced) -> Traced {
        let (weight, bias) = layer.weights();
        xs.then(|graph| {
            let mean = graph.global_mean(xs.at)?;
            graph.push(
                Op::Linear {
                    weight,
                    bias: Some(bias),
                },
                &[mean],
                None,
            )
        })
    }
}

/// A branch of a network, its norms folded, its mask fixed, normalisation first.
///
/// # Errors
/// When it has an operation that cannot be bounded.
pub fn graph<N: Borrow<Network>>(network: &Frozen<N>, branch: Branch) -> Result<Graph> {
    let _guard = no_grad_guard();
    let parts = network.parts(branch);
    let spec = parts.network.spec();
    let side = spec.image_size as i64;
    let mut graph = Graph::of_images([3, side, side]);
    let at = graph.normalise(&spec.mean, &spec.std)?;
    let graph = graph.to(Kind::Float, network.device());
    let growing = Rc::new(RefCell::new(Growing { graph, failed: None }));
    let images = Traced {
        at,
        growing: Rc::clone(&growing),
    };
    let mut pass = GraphPass {
        folded: parts.folded.iter(),
        activations: parts.activations.iter(),
        layer: 0,
    };
    let logits = parts.body.run(&mut pass, &images);
    drop((images, logits));
    let grown = Rc::try_unwrap(growing).map_err(|_| Error::internal("a traced value is still in use"))?;
    let Growing { graph, failed } = grown.into_inner();
    match failed {
        Some(error) => Err(Error::Incompatible(format!("{}: {error}", spec.arch))),
        None => Ok(graph.check().map_err(Error::internal)?),
    }
}

/// Why networks of an architecture, for images of a side, cannot be bounded; nothing where they can.
pub fn refusal(arch: &Arch, side: u64) -> Option<String> {
    let spec = NetworkSpec {
        arch: arch.clone(),
        image_size: side,
        classes: 2,
        norm: NormBanks::Single,
        quirks: Quirks::default(),
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let network = Network::new(spec, 0, Device::Cpu).into_frozen();
    graph(&network, Branch::Single)
        .err()
        .map(|error| error.to_string())
}
