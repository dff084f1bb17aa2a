//! `MODEL` of `rlnet eval`, with the options that say what it is: a file, a server, or Python code that a server
//! is started for.

use super::{cells, heading};
use crate::error::{Error, Result};
use crate::eval::model_source::{Adaptation, ModelKind, ModelSource, onnx_model};
use crate::run::compatibility::ModelFile;
use crate::served::{self, Launch, Server};
use crate::trace::first_line;
use clap::Args;
use rlnet_suites::{FixedPoint, ReluCount};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// Models, and how they are read.
#[derive(Debug, Args)]
pub struct ModelOptions {
    /// One model or several, on the same images: each a model.safetensors, its cell's folder, RUN:NAME, a TorchScript file, python:FILE.py:factory, an ONNX or
    /// .pt2 file, or a .pth file with --factory. Python and TorchScript models are code that runs: use only files
    /// from people you trust
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Name of the model in reports (default: from its file); of several, once a model in their order
    #[arg(long = "name", value_name = "NAME", value_parser = model_name, help_heading = heading::MODEL)]
    names: Vec<String>,
    /// The model that the others are compared with, image by image
    #[arg(long, value_name = "NAME", help_heading = heading::MODEL)]
    pub baseline: Option<String>,
    /// ReLUs of a model that does not describe its layers: 50000, 50000/557056 (of how many), or a mask
    /// file; of several, once a model in their order
    #[arg(long, value_name = "N", value_parser = relu_count, help_heading = heading::MODEL)]
    relus: Vec<ReluCount>,
    #[command(flatten)]
    reading: ReadingOptions,
}

/// How a model is read.
#[derive(Debug, Args)]
pub struct ReadingOptions {
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
    /// Seconds that a model in another process may take to start, and for an answer
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = served::PATIENCE.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = heading::MODEL
    )]
    answer_within: u64,
}

/// A model that was found; its server, if one was started for it, ends with this.
pub struct OpenedModel {
    /// What plans know of it.
    pub file: ModelFile,
    /// Its ReLUs, as stated.
    pub relus: Option<ReluCount>,
    /// Held while the model is used.
    pub server: Option<Server>,
}

impl ModelOptions {
    /// Finds the models; starts a server for each that lives in Python.
    ///
    /// # Errors
    /// When there is no such file, a server cannot be started, or names and models do not pair up.
    pub fn open(&self, threads: Option<usize>) -> Result<Vec<OpenedModel>> {
        let models = self.models.len();
        for (option, given) in [("--name", self.names.len()), ("--relus", self.relus.len())] {
            if given != 0 && given != models {
                return Err(Error::Usage(format!(
                    "{option}: it is given {given} times for {models} models; give it once a model, in their order"
                )));
            }
        }
        let models = self.models.iter().enumerate();
        models
            .map(|(place, model)| {
                let mut opened = self.reading.open(model, self.names.get(place), threads)?;
                opened.relus = self.relus.get(place).copied();
                match opened.relus.filter(|_| opened.file.facts.is_editable) {
                    Some(_) => Err(Error::Usage(format!(
                        "--relus: {} describes its layers itself; leave the option out",
                        opened.file.facts.name
                    ))),
                    None => Ok(opened),
                }
            })
            .collect::<Result<Vec<OpenedModel>>>()
            .map(each_once)
    }
}

impl ReadingOptions {
    /// Finds a model; starts a server for it, with so many threads, if it lives in Python.
    ///
    /// # Errors
    /// When there is no such file, or the server cannot be started.
    pub fn open(&self, model: &Path, name: Option<&String>, threads: Option<usize>) -> Result<OpenedModel> {
        let text = model.to_string_lossy();
        let mut adaptation = Adaptation {
            normalisation: self.mean.zip(self.std),
            logits: self.logits,
        };
        let (path, server) = match text.strip_prefix("socket:") {
            Some(socket) if ModelKind::of(Path::new(socket)) != ModelKind::Served => {
                return Err(Error::Model(format!(
                    "{socket}: nobody listens there; start the model's server first (rlnet.evaluate does, and so does \
                     python:FILE.py:factory)"
                )));
            }
            Some(socket) => (PathBuf::from(socket), None),
            None => match self.launch(&text, threads)? {
                Some(launch) => {
                    // The server normalises in the model's own framework.
                    adaptation.normalisation = None;
                    let server = Server::start(&launch)?;
                    (server.socket(), Some(server))
                }
                None => (cells::model_file(model)?, None),
            },
        };
        let stem = Path::new(text.split(':').next_back().unwrap_or_default()).file_stem();
        let name = name.cloned().or_else(|| {
            server.as_ref()?;
            stem.map(|stem| stem.to_string_lossy().into_owned())
        });
        let source = ModelSource {
            path,
            adaptation,
            arithmetic: self.arithmetic,
            patience: self.patience(),
        };
        let file = ModelFile::read(source, name.as_deref())?;
        Ok(OpenedModel {
            file,
            relus: None,
            server,
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.answer_within)
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
            // What is made of operators that are known here needs no Python.
            (None, "onnx") if self.factory.is_none() && onnx_model(Path::new(text), Device::Cpu).is_ok() => {
                return Ok(None);
            }
            (None, "onnx" | "pt2") => text,
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
            patience: self.patience(),
            options: options
                .into_iter()
                .filter_map(|(option, value)| value.map(|value| [option.to_owned(), value]))
                .flatten()
                .collect(),
        }))
    }
}

/// Models are a set: one that is given twice, under one name, counts once.
fn each_once(models: Vec<OpenedModel>) -> Vec<OpenedModel> {
    let mut once: Vec<OpenedModel> = Vec::new();
    for model in models {
        let is_twin = |other: &OpenedModel| {
            let (one, two) = (&other.file, &model.file);
            (&one.id, &one.facts.name, other.relus) == (&two.id, &two.facts.name, model.relus)
        };
        if !once.iter().any(is_twin) {
            once.push(model);
        }
    }
    once
}

/// A name that is a part of cells' names and of a folder's.
fn model_name(text: &str) -> std::result::Result<String, String> {
    let allowed = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
    if !text.is_empty() && text.chars().all(allowed) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err("use letters, digits, and - _ . + (not first)".to_owned())
}

/// A number of ReLUs, with or without that of all, or a mask file with a value for each unit.
fn relu_count(text: &str) -> std::result::Result<ReluCount, String> {
    const WRITE: &str =
        "write a number (50000), kept/all (50000/557056), or the path of a mask (.safetensors)";
    if text.ends_with(".safetensors") {
        let layers =
            Tensor::read_safetensors(text).map_err(|error| first_line(&error.to_string()).to_owned())?;
        if layers.is_empty() || layers.iter().any(|(_, layer)| layer.dim() < 3) {
            return Err("a mask has a tensor [C, H, W] of zeros and ones for each ReLU layer".to_owned());
        }
        let kept = |layer: &Tensor| layer.ne(0.0).sum(Kind::Int64).int64_value(&[]);
        return Ok(ReluCount {
            kept: layers.iter().map(|(_, layer)| kept(layer).unsigned_abs()).sum(),
            total: Some(layers.iter().map(|(_, layer)| layer.numel() as u64).sum()),
        });
    }
    let (kept, total) = match text.split_once('/') {
        Some((kept, total)) => (kept, Some(total.parse().map_err(|_| WRITE)?)),
        None => (text, None),
    };
    let kept = kept.parse().map_err(|_| WRITE)?;
    if total.is_some_and(|total| total < kept) {
        return Err("it keeps more than it has".to_owned());
    }
    Ok(ReluCount { kept, total })
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
    fn relus_are_stated_as_a_number_or_by_a_mask() {
        let count = |kept, total| Ok(ReluCount { kept, total });
        assert_eq!(relu_count("50000"), count(50_000, None));
        assert_eq!(relu_count("5/20"), count(5, Some(20)));
        for bad in ["", "x", "5/", "9/5", "-1", "no.safetensors"] {
            assert!(relu_count(bad).is_err(), "{bad:?}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mask.safetensors");
        let write = |layer: Tensor| Tensor::write_safetensors(&[("layer", layer)], &file).expect("written");
        write(Tensor::from_slice(&[1_u8, 0, 1, 0]).reshape([1, 2, 2]));
        assert_eq!(relu_count(&file.display().to_string()), count(2, Some(4)));
        write(Tensor::from_slice(&[1_u8, 0, 1, 0]));
        assert!(relu_count(&file.display().to_string()).is_err());
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
