//! A model's file as a graph that bounds go through, whoever made it.

use super::model_source::{ModelKind, ModelSource};
use crate::certify::graph::Op;
use crate::certify::{Graph, onnx, torchscript, trace};
use crate::error::{Error, Result};
use crate::nn::model;
use rlnet_suites::Branch;
use tch::{Device, Kind, Tensor};

/// A branch of a model that takes square images of a side, with what is done to its inputs and outputs.
///
/// # Errors
/// When its operations are not known, or cannot be bounded; the message says which.
pub fn graph(source: &ModelSource, branch: Branch, side: i64, device: Device) -> Result<Graph> {
    let path = &source.path;
    let named = |error: Error| match error {
        Error::Incompatible(why) => Error::Incompatible(format!("{}: {why}", path.display())),
        other => other,
    };
    if let Some(fixed) = source.arithmetic {
        return Err(Error::Incompatible(format!(
            "{}: bounds are of the network in floating point, not in {fixed}; leave --arithmetic out",
            path.display()
        )));
    }
    match ModelKind::of(path) {
        ModelKind::Own => {
            let (network, _) = model::load(path, device)?;
            trace::graph(&network.into_frozen(), branch).map_err(named)
        }
        kind @ (ModelKind::TorchScript | ModelKind::Onnx) => {
            let mut start = Graph::of_images([3, side, side]);
            let adaptation = &source.adaptation;
            if let Some((mean, deviation)) = &adaptation.normalisation {
                start.normalise(mean, deviation)?;
            }
            let mut graph = match kind {
                ModelKind::Onnx => onnx::graph(path, start, device)?,
                _ => torchscript::graph(path, start, device)?,
            };
            if let Some(wanted) = adaptation.logits {
                let weight = Tensor::eye(graph.classes(), (Kind::Float, device)).narrow(0, 0, i64::from(wanted));
                graph.push(Op::Linear { weight, bias: None }, &[graph.last()], None)?;
            }
            Ok(graph)
        }
        ModelKind::Served => Err(Error::Incompatible(
            "the model answers from another process, so its operations are not known; save it with torch.jit.save \
             and evaluate the file"
                .to_owned(),
        )),
    }
}
