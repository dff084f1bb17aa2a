//! What an attack and an evaluation know of a model.

use crate::error::{Error, Result, first_line};
use crate::nn::{Frozen, Network};
use rlnet_suites::Branch;
use std::borrow::Borrow;
use std::path::Path;
use tch::{CModule, Device, IValue, Tensor};

/// A deterministic map from images in `[0, 1]` to logits, one branch at a time.
pub trait Classifier {
    /// `[N, 3, H, W]` to `[N, classes]`, differentiable with respect to the images.
    ///
    /// # Errors
    /// When libtorch refuses (a wrong image size, for instance).
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor>;
    /// The branches, in bank order.
    fn branches(&self) -> &[Branch];
    /// Where images must live.
    fn device(&self) -> Device;
}

impl<N: Borrow<Network>> Classifier for Frozen<N> {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        Ok(Frozen::logits(self, images, branch))
    }

    fn branches(&self) -> &[Branch] {
        Frozen::branches(self)
    }

    fn device(&self) -> Device {
        Frozen::device(self)
    }
}

/// Anybody's model, as a TorchScript file: images in `[0, 1]` in, logits out.
#[derive(Debug)]
pub struct TorchScript {
    module: CModule,
    device: Device,
}

impl TorchScript {
    /// Loads a file onto a device, in eval mode.
    ///
    /// # Errors
    /// When the file is not TorchScript.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let mut module = CModule::load_on_device(path, device).map_err(|error| {
            Error::reading(
                path,
                format!(
                    "not a TorchScript file ({}); save the model with torch.jit.save",
                    first_line(&error.to_string())
                ),
            )
        })?;
        // A frozen module has no training flag to set, and needs none.
        let _ = module.f_set_eval();
        Ok(Self { module, device })
    }
}

impl Classifier for TorchScript {
    fn logits(&self, images: &Tensor, _branch: Branch) -> Result<Tensor> {
        let output = self
            .module
            .forward_is(&[IValue::Tensor(images.shallow_clone())])?;
        match output {
            IValue::Tensor(logits) => Ok(logits),
            _ => Err(Error::Input(
                "the TorchScript model returned something other than one tensor of logits".into(),
            )),
        }
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        self.device
    }
}
