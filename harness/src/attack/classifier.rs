//! What an attack and an evaluation know of a model.

use super::tape::{Autograd, Tape};
use crate::error::{Error, Result};
use crate::nn::{Frozen, Network};
use crate::pytorch::kind::instead_of_torchscript;
use crate::trace::first_line;
use rlnet_suites::Branch;
use std::borrow::Borrow;
use std::path::{Path, PathBuf};
use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

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
    /// Whether gradients can be asked for; else only attacks that need none can be run.
    fn has_gradients(&self) -> bool {
        true
    }
    /// How much of its ring each layer's largest product fills, `[N, layers]`, 1 where it begins to wrap around;
    /// differentiable with respect to the images. Nothing for a model in floating point.
    ///
    /// # Errors
    /// When libtorch refuses.
    fn load(&self, _images: &Tensor, _branch: Branch) -> Result<Option<Tensor>> {
        Ok(None)
    }
    /// Passes of these images `[N, 3, H, W]` whose gradients can be asked for.
    fn tape<'a>(&'a self, images: &Tensor) -> Box<dyn Tape + 'a> {
        Box::new(Autograd::new(self, images))
    }
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
    path: PathBuf,
}

impl TorchScript {
    /// Loads a file onto a device, in eval mode.
    ///
    /// # Errors
    /// When the file is not TorchScript.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let file = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
        // Batch norms folded into convolutions, where the model lets that be done: it changes none of its attributes.
        let frozen = rlnet_libtorch::freeze(&file).ok();
        let bytes = frozen.as_deref().unwrap_or(&file);
        let read = CModule::load_data_on_device(&mut &*bytes, device);
        let mut module = read.map_err(|error| {
            let why = instead_of_torchscript(path).unwrap_or_else(|| {
                format!(
                    "{}; save the model with torch.jit.save",
                    damage(&error.to_string())
                )
            });
            Error::reading(path, format!("not a TorchScript file: {why}"))
        })?;
        // A frozen module has no training flag to set, and needs none.
        let _ = module.f_set_eval();
        Ok(Self {
            module,
            device,
            path: path.to_owned(),
        })
    }

    /// The model's own failure.
    fn failed(&self, error: &TchError) -> Error {
        let who = format!("{}: the model failed", self.path.display());
        Error::torch(&who, &error.to_string())
    }

    fn refused(&self, images: &Tensor, what: &str) -> Error {
        Error::Incompatible(format!(
            "{}: given images {:?}, the model returns {what}; it must return one floating-point tensor of \
             logits [images, classes]: wrap it so that it does, and save that with torch.jit.save",
            self.path.display(),
            images.size()
        ))
    }
}

/// What is wrong with a file, of all that libtorch says: its advice about zip archives, which follows,
/// is longer than the message and helps with none.
fn damage(text: &str) -> &str {
    let line = first_line(text);
    let line = line.strip_prefix("Internal torch error: ").unwrap_or(line);
    line.split(". This is an internal").next().unwrap_or(line)
}

impl Classifier for TorchScript {
    /// Whatever floating-point type the model computes in, attacks get 32 bits.
    fn logits(&self, images: &Tensor, _branch: Branch) -> Result<Tensor> {
        // Models that normalise in place would change the caller's images.
        let own = images.copy();
        let output = self.module.forward_is(&[IValue::Tensor(own)]);
        let logits = match output.map_err(|error| self.failed(&error))? {
            IValue::Tensor(logits) => logits,
            IValue::Tuple(_) => return Err(self.refused(images, "a tuple")),
            IValue::TensorList(_) | IValue::GenericList(_) => return Err(self.refused(images, "a list")),
            IValue::GenericDict(_) => return Err(self.refused(images, "a dictionary")),
            _ => return Err(self.refused(images, "no tensor")),
        };
        let (kind, size) = (logits.f_kind()?, logits.size());
        if !matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
            return Err(self.refused(images, &format!("a tensor {size:?} of type {kind:?}")));
        }
        if size.len() != 2 || size[0] != images.size()[0] {
            return Err(self.refused(images, &format!("a tensor {size:?}")));
        }
        Ok(logits.to_kind(Kind::Float))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        self.device
    }
}
