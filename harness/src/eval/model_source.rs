//! Where a model comes from: a file of this program, a TorchScript or ONNX file, or a server in another process; and
//! what is done to its inputs and outputs.

use crate::attack::{Classifier, Tape, TorchScript};
use crate::certify::{Graph, onnx};
use crate::deployed::FixedPointModel;
use crate::error::{Error, Result};
use crate::files::checksum;
use crate::nn::model;
use crate::served::{self, Served};
use rlnet_suites::fixed_point::Deployed;
use rlnet_suites::{Branch, FixedPoint, ModelRecord};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// What a model's path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// A model.safetensors of this program.
    Own,
    /// A TorchScript file.
    TorchScript,
    /// An ONNX file.
    Onnx,
    /// The socket of a server.
    Served,
}

impl ModelKind {
    /// By the path. A file that is neither a socket nor safetensors nor ONNX is taken for TorchScript.
    pub fn of(path: &Path) -> Self {
        if path.metadata().is_ok_and(|found| found.file_type().is_socket()) {
            return Self::Served;
        }
        let ending = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        match ending.as_str() {
            "safetensors" => Self::Own,
            "onnx" => Self::Onnx,
            _ => Self::TorchScript,
        }
    }
}

/// What a model expects of images in `[0, 1]`, and how many of its logits count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adaptation {
    /// Mean and standard deviation of each channel, of a model that expects normalised images.
    pub normalisation: Option<([f64; 3], [f64; 3])>,
    /// The first so many logits are those of the data set's classes.
    pub logits: Option<u32>,
}

/// A model's path, and the adaptation of its inputs and outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSource {
    /// A file or a socket.
    pub path: PathBuf,
    /// What is done to images and logits.
    pub adaptation: Adaptation,
    /// The arithmetic it is computed in, where that is not floating point.
    pub arithmetic: Option<FixedPoint>,
    /// How long a server may take for one answer.
    pub patience: Duration,
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            adaptation: Adaptation::default(),
            arithmetic: None,
            patience: served::PATIENCE,
        }
    }
}

impl ModelSource {
    /// Opens the model; for one of this program, with its record.
    ///
    /// # Errors
    /// When it cannot be read or reached.
    pub fn open(&self, device: Device) -> Result<(Box<dyn Classifier>, Option<ModelRecord>)> {
        let (model, record): (Box<dyn Classifier>, _) = match (ModelKind::of(&self.path), self.arithmetic) {
            (ModelKind::Own, None) => {
                let (network, header) = model::load(&self.path, device)?;
                (Box::new(network.into_frozen()), Some(header.record))
            }
            (ModelKind::Own, Some(fixed)) => {
                let (network, header) = model::load(&self.path, device)?;
                let record = ModelRecord {
                    deployed: Some(Deployed {
                        arithmetic: fixed.to_string(),
                        twin: checksum(&self.path)?,
                    }),
                    ..header.record
                };
                (Box::new(FixedPointModel::new(network, fixed)), Some(record))
            }
            (_, Some(_)) => {
                return Err(Error::Usage(format!(
                    "--arithmetic: {} is no model of this program, so its layers cannot be computed in another \
                     arithmetic; import it first (rlnet import), or evaluate a model.safetensors",
                    self.path.display()
                )));
            }
            (ModelKind::TorchScript, None) => (Box::new(TorchScript::load(&self.path, device)?), None),
            (ModelKind::Onnx, None) => (Box::new(onnx_model(&self.path, device)?), None),
            (ModelKind::Served, None) => (Box::new(Served::connect(&self.path, self.patience)?), None),
        };
        if self.adaptation == Adaptation::default() {
            return Ok((model, record));
        }
        if record.is_some() {
            return Err(Error::Usage(format!(
                "{}: a model of this program has its normalisation and its classes inside; leave --mean, --std and \
                 --logits out",
                self.path.display()
            )));
        }
        Ok((Box::new(Adapted::new(model, &self.adaptation)), None))
    }
}

/// An ONNX file whose operators are all known here, and no Python is needed for.
///
/// # Errors
/// When it has others; the message names one.
pub fn onnx_model(path: &Path, device: Device) -> Result<Graph> {
    let side = onnx::side(path)?;
    onnx::graph(path, Graph::of_images([3, side, side]), device)
}

/// A model whose images are normalised before it, and whose logits are cut behind it.
struct Adapted {
    model: Box<dyn Classifier>,
    /// `[1, 3, 1, 1]` each.
    normalisation: Option<(Tensor, Tensor)>,
    logits: Option<i64>,
}

impl Adapted {
    fn new(model: Box<dyn Classifier>, adaptation: &Adaptation) -> Self {
        let device = model.device();
        let channels = |values: &[f64; 3]| {
            Tensor::from_slice(values)
                .to_kind(Kind::Float)
                .to_device(device)
                .reshape([1, 3, 1, 1])
        };
        Self {
            model,
            normalisation: adaptation
                .normalisation
                .as_ref()
                .map(|(mean, deviation)| (channels(mean), channels(deviation))),
            logits: adaptation.logits.map(i64::from),
        }
    }

    fn normalised(&self, images: &Tensor) -> Tensor {
        match &self.normalisation {
            Some((mean, deviation)) => (images - mean) / deviation,
            None => images.shallow_clone(),
        }
    }

    fn cut(&self, logits: Tensor) -> Result<Tensor> {
        match self.logits {
            None => Ok(logits),
            Some(wanted) if wanted <= logits.size()[1] => Ok(logits.narrow(1, 0, wanted)),
            Some(wanted) => Err(Error::Incompatible(format!(
                "--logits {wanted}: the model has {} logits only",
                logits.size()[1]
            ))),
        }
    }
}

impl Classifier for Adapted {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        self.cut(self.model.logits(&self.normalised(images), branch)?)
    }

    fn branches(&self) -> &[Branch] {
        self.model.branches()
    }

    fn device(&self) -> Device {
        self.model.device()
    }

    fn has_gradients(&self) -> bool {
        self.model.has_gradients()
    }

    fn tape<'a>(&'a self, images: &Tensor) -> Box<dyn Tape + 'a> {
        Box::new(AdaptedTape {
            model: self,
            tape: self.model.tape(&self.normalised(&images.detach())),
        })
    }
}

struct AdaptedTape<'a> {
    model: &'a Adapted,
    tape: Box<dyn Tape + 'a>,
}

impl Tape for AdaptedTape<'_> {
    fn logits(&mut self, branch: Branch) -> Result<Tensor> {
        self.model.cut(self.tape.logits(branch)?)
    }

    fn gradient(&self, loss: &Tensor, keep: bool) -> Result<Tensor> {
        let gradient = self.tape.gradient(loss, keep)?;
        Ok(match &self.model.normalisation {
            Some((_, deviation)) => gradient / deviation,
            None => gradient,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Objective;

    /// Five linear logits of images.
    struct Linear;

    impl Classifier for Linear {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            let flat = images.flatten(1, -1);
            let weights = Tensor::arange(5 * flat.size()[1], (Kind::Float, Device::Cpu));
            Ok(flat.matmul(&weights.reshape([-1, 5]).sin()))
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    #[test]
    fn normalisation_and_cut_are_those_written_by_hand() {
        let adaptation = Adaptation {
            normalisation: Some(([0.5, 0.4, 0.3], [0.25, 0.5, 0.2])),
            logits: Some(3),
        };
        let adapted = Adapted::new(Box::new(Linear), &adaptation);
        let images = Tensor::rand([4, 3, 2, 2], (Kind::Float, Device::Cpu));
        let labels = Tensor::from_slice(&[0_i64, 1, 2, 0]);
        let by_hand = {
            let variable = images.copy().set_requires_grad(true);
            let mean = Tensor::from_slice(&[0.5_f32, 0.4, 0.3]).reshape([1, 3, 1, 1]);
            let deviation = Tensor::from_slice(&[0.25_f32, 0.5, 0.2]).reshape([1, 3, 1, 1]);
            let logits = Linear
                .logits(&((&variable - mean) / deviation), Branch::Single)
                .expect("logits");
            let logits = logits.narrow(1, 0, 3);
            let loss = Objective::CrossEntropy(labels.copy())
                .per_image(&logits)
                .sum(Kind::Float);
            (
                logits.detach(),
                Tensor::run_backward(&[loss], &[variable], false, false).remove(0),
            )
        };
        let mut tape = adapted.tape(&images);
        let logits = tape.logits(Branch::Single).expect("logits");
        let loss = Objective::CrossEntropy(labels)
            .per_image(&logits)
            .sum(Kind::Float);
        let gradient = tape.gradient(&loss, false).expect("a gradient");
        assert!(logits.detach().allclose(&by_hand.0, 1e-6, 1e-6, false));
        assert!(gradient.allclose(&by_hand.1, 1e-6, 1e-6, false));
        let plain = adapted.logits(&images, Branch::Single).expect("logits");
        assert!(plain.equal(&logits.detach()));
        let more = Adaptation {
            logits: Some(9),
            ..adaptation
        };
        let adapted = Adapted::new(Box::new(Linear), &more);
        assert!(adapted.logits(&images, Branch::Single).is_err());
    }
}
