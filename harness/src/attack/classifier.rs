//! What an attack and an evaluation know of a model.

use crate::error::{Error, Result, first_line};
use crate::nn::{Frozen, Network};
use rlnet_suites::Branch;
use std::borrow::Borrow;
use std::fs::File;
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
        let read = match path.to_str() {
            Some(_) => CModule::load_on_device(path, device),
            // libtorch takes no such name, but it takes what the file holds.
            None => {
                let mut file = File::open(path).map_err(|error| Error::reading(path, error))?;
                CModule::load_data_on_device(&mut file, device)
            }
        };
        let mut module = read.map_err(|error| {
            Error::reading(
                path,
                format!(
                    "not a TorchScript file ({}); save the model with torch.jit.save",
                    cause(&error.to_string())
                ),
            )
        })?;
        // A frozen module has no training flag to set, and needs none.
        let _ = module.f_set_eval();
        Ok(Self { module, device })
    }
}

/// What is wrong with a file, of all that libtorch says: its advice about zip archives, which follows,
/// is longer than the message and helps with none.
fn cause(text: &str) -> &str {
    let line = first_line(text);
    let line = line.strip_prefix("Internal torch error: ").unwrap_or(line);
    line.split(". This is an internal").next().unwrap_or(line)
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
