//! A network as a TorchScript file, for PyTorch, for anybody's harness, and for `rlnet eval`.

use crate::error::{Error, Result};
use crate::nn::Network;
use crate::nn::layout::left_alone;
use rlnet_suites::Branch;
use std::path::Path;
use tch::{CModule, Device, Kind, Tensor, no_grad_guard};

/// Images that the tracer watches; the file takes any number.
const WATCHED: i64 = 2;

/// Writes one of a network's branches in eval mode: images `[N, 3, H, W]` in `[0, 1]` in, logits
/// `[N, classes]` out. Norms are folded into the convolutions, the mask is fixed, normalisation
/// is the first layer.
///
/// # Errors
/// When the disk refuses.
pub fn export(network: Network, branch: Branch, path: &Path) -> Result<()> {
    let side = network.spec().image_size as i64;
    // The tracer takes weights for constants, which may not ask for gradients.
    for param in network.params().iter() {
        let _ = param.tensor.set_requires_grad(false);
    }
    let _guard = no_grad_guard();
    let images = Tensor::full([WATCHED, 3, side, side], 0.5, (Kind::Float, Device::Cpu));
    let module = left_alone(|| {
        let frozen = network.into_frozen();
        CModule::create_by_tracing("RLNet", "forward", &[images], &mut |inputs| {
            vec![frozen.logits(&inputs[0], branch)]
        })
    })?;
    // Beside the file first: a full disk must not leave half of it under its name.
    let part = path.with_extension("pt.part");
    let saved = module.save(&part).map_err(|error| {
        Error::Torch(format!(
            "writing {}: {}",
            path.display(),
            crate::trace::first_line(&error.to_string())
        ))
    });
    let moved =
        saved.and_then(|()| std::fs::rename(&part, path).map_err(|error| Error::writing(path, &error)));
    if moved.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    moved
}
