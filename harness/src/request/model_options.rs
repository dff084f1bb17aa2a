//! `MODEL` of `rlnet eval`, with the options that say what it is: a file, a server, or Python code that a server
//! is started for.

use super::{cells, heading};
use crate::error::{Error, Result};
use crate::eval::model_source::{Adaptation, ModelSource};
use crate::run::compatibility::ModelFile;
use crate::served::{Launch, Server};
use clap::Args;
use rlnet_suites::FixedPoint;
use std::path::{Path, PathBuf};

/// A model, and how it is read.
#[derive(Debug, Args)]
pub struct ModelOptions {
    /// A model.safetensors, its cell's folder, RUN:NAME, a TorchScript file, python:FILE.py:factory, an ONNX or
    /// .pt2 file, or a .pth file with --factory. Python and TorchScript models are code that runs: use only files
    /// from people you trust
    model: PathBuf,
    /// Name of the model in reports (default: from its file)
    #[arg(long, value_name = "NAME", value_parser = model_name, help_heading = heading::MODEL)]
    name: Option<String>,
    /// Function of a Python file that makes the torch module that MODEL's weights (.pth) belong to
    #[arg(long, value_name = "FILE.py:make", help_heading = heading::MODEL)]
    factory: Option<String>,
    /// Mean of each channel, of a model that expects normalised images: 0.49,0.48,0.45
    #[arg(long, value_name = "R,G,B", value_parser = channels, requires = "std", help_heading = heading::MODEL)]
    mean: Option<[f64; 3]>,
    /// Standard deviation of each channel, of a model that expects normalised images
    #[arg(long, value_name = "R,G,B", value_parser = channels, requires = "mean", help_heading = heading::MODEL)]
    std: Option<[f64; 3]>,
    /// Use only the first N logits of a model that has more than the data set has classes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), help_heading = heading::MODEL)]
    logits: Option<u32>,
    /// Compute in the arithmetic of a private-inference protocol, a ring of integers:
    /// fixed:bits=64,frac=18,trunc=nearest|floor|probabilistic|local,relu=exact|hummingbird:LOW..HIGH|circa:k=K
    /// (and draws=N,seed=S where that is random)
    #[arg(long, value_name = "ARITHMETIC", help_heading = heading::MODEL)]
    arithmetic: Option<FixedPoint>,
    /// The Python that has the model's framework and the rlnet package
    #[arg(long, value_name = "PYTHON", env = "RLNET_PYTHON", default_value = "python3", help_heading = heading::MODEL)]
    python: PathBuf,
}

/// A model that was found; its server, if one was started for it, ends with this.
pub struct OpenedModel {
    /// What plans know of it.
    pub file: ModelFile,
    /// Held while the model is used.
    pub server: Option<Server>,
}

impl ModelOptions {
    /// Finds the model; starts a server for one that lives in Python.
    ///
    /// # Errors
    /// When there is no such file, or the server cannot be started.
    pub fn open(&self, threads: Option<usize>) -> Result<OpenedModel> {
        let text = self.model.to_string_lossy();
        let mut adaptation = Adaptation {
            normalisation: self.mean.zip(self.std),
            logits: self.logits,
        };
        let (path, server) = match text.strip_prefix("socket:") {
            Some(socket) => (PathBuf::from(socket), None),
            None => match self.launch(&text, threads)? {
                Some(launch) => {
                    // The server normalises in the model's own framework.
                    adaptation.normalisation = None;
                    let server = Server::start(&launch)?;
                    (server.socket(), Some(server))
                }
                None => (cells::model_file(&self.model)?, None),
            },
        };
        let stem = Path::new(text.split(':').next_back().unwrap_or_default()).file_stem();
        let name = self.name.clone().or_else(|| {
            server.as_ref()?;
            stem.map(|stem| stem.to_string_lossy().into_owned())
        });
        let source = ModelSource {
            path,
            adaptation,
            arithmetic: self.arithmetic,
        };
        let file = ModelFile::read(source, name.as_deref())?;
        Ok(OpenedModel { file, server })
    }

    /// How to start a server, for a model that needs one.
    fn launch(&self, text: &str, threads: Option<usize>) -> Result<Option<Launch>> {
        let ending = Path::new(text)
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let model = match (text.strip_prefix("python:"), ending.as_str()) {
            (Some(code), _) => code,
            (None, "onnx" | "pt2") => text,
            (None, "pth" | "ckpt") if self.factory.is_none() => {
                return Err(Error::Model(format!(
                    "{text}: such a file holds the weights of a PyTorch module or the pickled module, not a model that \
                     can be run; write the function that makes the module into a file, and name it with --factory \
                     FILE.py:make"
                )));
            }
            _ if self.factory.is_some() => text,
            _ => return Ok(None),
        };
        let joined = |values: [f64; 3]| values.map(|value| value.to_string()).join(",");
        let options = [
            ("--factory", self.factory.clone()),
            ("--mean", self.mean.map(joined)),
            ("--std", self.std.map(joined)),
            ("--threads", threads.map(|threads| threads.to_string())),
        ];
        Ok(Some(Launch {
            python: self.python.clone(),
            model: model.to_owned(),
            options: options
                .into_iter()
                .filter_map(|(option, value)| value.map(|value| [option.to_owned(), value]))
                .flatten()
                .collect(),
        }))
    }
}

/// A name that is a part of cells' names and of a folder's.
fn model_name(text: &str) -> std::result::Result<String, String> {
    let allowed = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
    if !text.is_empty() && text.chars().all(allowed) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err("use letters, digits, and - _ . + (not first)".to_owned())
}

/// One value for every channel, or three.
///
/// # Errors
/// When it is neither.
pub fn channels(text: &str) -> std::result::Result<[f64; 3], String> {
    let values: Vec<f64> = text
        .split(',')
        .map(|part| part.trim().parse::<f64>().ok().filter(|value| value.is_finite()))
        .collect::<Option<_>>()
        .ok_or("write one number, or three with commas")?;
    match values.as_slice() {
        [all] => Ok([*all; 3]),
        [red, green, blue] => Ok([*red, *green, *blue]),
        _ => Err("write one number, or three with commas".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_is_a_name_of_a_folder() {
        for good in ["epoch_41", "wrn-28.10", "été"] {
            assert_eq!(model_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a/b", "a b", "..", "a:b"] {
            assert!(model_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn channels_are_one_number_or_three() {
        assert_eq!(channels("0.5"), Ok([0.5; 3]));
        assert_eq!(channels("1, 2,3"), Ok([1.0, 2.0, 3.0]));
        for bad in ["", "a", "1,2", "1,2,3,4", "nan", "inf"] {
            assert!(channels(bad).is_err(), "{bad:?}");
        }
    }
}
