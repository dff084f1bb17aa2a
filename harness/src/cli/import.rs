//! `rlnet import`: a PyTorch checkpoint as a model of ours, or a mask into a trained model.

use crate::data;
use crate::error::{Error, Result};
use crate::nn::model::ModelHeader;
use crate::nn::{Arch, Network, mask_file, model};
use crate::pytorch::{self, Request, TorchFile};
use crate::request::{Global, cells, output_file};
use crate::terminal::{outln, print_json};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};
use tch::Device;

/// A PyTorch checkpoint as a model of ours, or a mask into a trained model
///
/// With --arch, FILE is what torch.save wrote: the official RLNet, SENet and SNL code's
/// checkpoints, or one with torchvision's names. Nothing in it is executed. Names are mapped,
/// shapes checked; a tensor that is missing or left over is an error. Masks come along.
///
/// With --model, FILE is what `rlnet export --format mask` writes, or any safetensors file with
/// a tensor of zeros and ones for each ReLU layer: [C, H, W], or [C] for whole channels, named
/// as the layer or by its number from 0.
///
/// Example: rlnet import CustomResNet18_stage2_best_TA0.0.pth --arch resnet18 --out student.safetensors
///
/// Example: rlnet import mask.safetensors --model out/cells/ID/model.safetensors --out masked.safetensors
#[derive(Debug, Args)]
pub struct Import {
    /// The checkpoint or mask
    file: PathBuf,
    /// The checkpoint's architecture (rlnet model list)
    #[arg(long, conflicts_with = "model", required_unless_present = "model")]
    arch: Option<Arch>,
    /// The model.safetensors a mask goes into, its cell's folder, or RUN:NAME
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The model to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What a checkpoint was trained on (default: by its number of classes)
    #[arg(long, conflicts_with = "model")]
    dataset: Option<String>,
    /// Side of its input in pixels (default: the data set's)
    #[arg(long, conflicts_with = "model", value_parser = clap::value_parser!(u64).range(8..=512))]
    image_size: Option<u64>,
    /// Means that its training code subtracts from images in [0,1]: R,G,B (default: the data set's)
    #[arg(long, conflicts_with = "model", value_parser = three, value_name = "R,G,B")]
    mean: Option<[f64; 3]>,
    /// Deviations that its training code divides by: R,G,B (default: the data set's)
    #[arg(long, conflicts_with = "model", value_parser = three, value_name = "R,G,B")]
    std: Option<[f64; 3]>,
    /// The key of its weights, where there are several
    #[arg(long, conflicts_with = "model")]
    key: Option<String>,
    /// Whether a ResNet's blocks that keep their shape add their input (default: as the official
    /// class with the file's names does)
    #[arg(long, conflicts_with = "model", value_enum)]
    identity_skip: Option<Skip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Skip {
    Yes,
    No,
}

impl Import {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        match (&self.arch, &self.model) {
            (Some(arch), _) => self.checkpoint(arch, global),
            (None, Some(file)) => self.mask(file, global),
            (None, None) => Err(Error::Input(
                "name --arch for a checkpoint, or --model for a mask".into(),
            )),
        }
    }

    fn mask(&self, file: &Path, global: &Global) -> Result<()> {
        let file = cells::model_file(file)?;
        output_file::check("--out", &self.out, &[&self.file, &file])?;
        let (mut network, mut header) = model::load(&file, Device::Cpu)?;
        let mask = mask_file::load(&self.file, &network)?;
        network.set_mask(mask)?;
        header.record.layers = network.mask().records(network.layers());
        self.finish(&network, &header, &[], global)
    }

    fn checkpoint(&self, arch: &Arch, global: &Global) -> Result<()> {
        output_file::check("--out", &self.out, &[&self.file])?;
        let file = TorchFile::open(&self.file)?;
        let key = self.key.as_deref();
        let classes = pytorch::import::classes(&file, key)?;
        let dataset = match &self.dataset {
            Some(name) => name.as_str(),
            None => by_classes(classes).ok_or_else(|| {
                Error::Input(format!(
                    "{} has {classes} classes: name what it was trained on with --dataset ({}, imagefolder:PATH)",
                    self.file.display(),
                    data::NAMES.join(", ")
                ))
            })?,
        };
        let facts =
            data::facts(dataset, &global.data_dir()).map_err(|error| Error::Input(error.to_string()))?;
        if facts.classes.len() != classes {
            return Err(Error::Input(format!(
                "{} has {classes} classes, {dataset} {}: name what it was trained on with --dataset",
                self.file.display(),
                facts.classes.len()
            )));
        }
        let request = Request {
            arch: arch.clone(),
            image_size: self.image_size.unwrap_or(facts.size as u64),
            classes,
            mean: self.mean.unwrap_or(facts.mean),
            std: self.std.unwrap_or(facts.std),
            identity_skip: self.identity_skip.map(|skip| skip == Skip::Yes),
        };
        let imported = pytorch::import(&file, key, &request)?;
        let header = ModelHeader::of(&imported.network, &facts.classes, dataset, imported.epoch);
        let mut notes = vec![format!(
            "{} tensors as {arch} with {} norm, normalised for {dataset}",
            imported.tensors,
            format!("{:?}", header.record.norm).to_lowercase()
        )];
        notes.extend(imported.notes);
        self.finish(&imported.network, &header, &notes, global)
    }

    /// Writes the model and says what it is.
    fn finish(
        &self,
        network: &Network,
        header: &ModelHeader,
        notes: &[String],
        global: &Global,
    ) -> Result<()> {
        model::save(&self.out, network, header)?;
        let (kept, total) = (header.record.kept(), header.record.total());
        if global.json {
            let mut value = json!({"model": self.out.display().to_string(), "kept": kept, "total": total});
            if !notes.is_empty() {
                value["notes"] = json!(notes);
            }
            print_json(&value);
        } else {
            outln!("{}: {kept} of {total} ReLUs kept", self.out.display());
            for note in notes {
                outln!("  {note}");
            }
        }
        Ok(())
    }
}

/// The benchmark's data set with so many classes.
fn by_classes(classes: usize) -> Option<&'static str> {
    match classes {
        10 => Some("cifar10"),
        100 => Some("cifar100"),
        200 => Some("tiny-imagenet"),
        _ => None,
    }
}

/// Three numbers with commas.
fn three(text: &str) -> std::result::Result<[f64; 3], String> {
    let numbers: Vec<f64> = text
        .split(',')
        .map_while(|part| part.trim().parse().ok())
        .collect();
    <[f64; 3]>::try_from(numbers)
        .ok()
        .filter(|numbers| numbers.iter().all(|number| number.is_finite()))
        .ok_or_else(|| "write three numbers with commas: 0.4914,0.4822,0.4465".to_owned())
}
