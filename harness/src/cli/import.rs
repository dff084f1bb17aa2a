//! `rlnet import`: a PyTorch checkpoint becomes a model of this program, or a mask goes into a model.

use crate::data;
use crate::error::{Error, Result};
use crate::nn::model::ModelHeader;
use crate::nn::{Arch, Network, mask_file, model};
use crate::pytorch::{self, ImportRequest, TorchFile};
use crate::request::{Global, cells, heading, output_file};
use crate::terminal::{outln, print_json};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The heading of options about a checkpoint.
const CHECKPOINT: &str = "Checkpoint";

/// Convert a PyTorch checkpoint to a model of this program, or put a mask into a trained model
///
/// Example: rlnet import CustomResNet18_stage2_best_TA0.0.pth --arch resnet18 --out student.safetensors
///
/// Example: rlnet import mask.safetensors --model out/cells/ID/model.safetensors --out masked.safetensors
///
/// With --arch, FILE is a file of torch.save: a checkpoint of the official RLNet, SENet or SNL code,
/// or one with torchvision's names. Nothing in it is executed. Names are mapped and shapes are
/// checked; a missing or unused tensor is an error. Masks are imported as well.
///
/// With --model, FILE is a file of `rlnet export --format mask`, or any safetensors file with a
/// tensor of zeros and ones for each ReLU layer: [C, H, W], or [C] for whole channels, named as the
/// layer or by its number from 0.
#[derive(Debug, Args)]
pub struct Import {
    /// The checkpoint or mask
    file: PathBuf,
    /// The checkpoint's architecture (rlnet model list)
    #[arg(long, conflicts_with = "model", help_heading = CHECKPOINT)]
    arch: Option<Arch>,
    /// The model.safetensors that gets the mask, its cell's folder, or RUN:NAME
    #[arg(long, value_name = "FILE", help_heading = "Mask")]
    model: Option<PathBuf>,
    /// The model file to write
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    out: PathBuf,
    /// The data set that the checkpoint was trained on (default: by its number of classes)
    #[arg(long, conflicts_with = "model", help_heading = CHECKPOINT)]
    dataset: Option<String>,
    /// Side of its input in pixels (default: the data set's)
    #[arg(
        long,
        conflicts_with = "model",
        value_parser = clap::value_parser!(u64).range(8..=512),
        help_heading = CHECKPOINT
    )]
    image_size: Option<u64>,
    /// Mean that its training code subtracts from images in [0,1] (default: the data set's)
    #[arg(long, conflicts_with = "model", value_parser = three, value_name = "R,G,B", help_heading = CHECKPOINT)]
    mean: Option<[f64; 3]>,
    /// Standard deviation that its training code divides by (default: the data set's)
    #[arg(long, conflicts_with = "model", value_parser = three, value_name = "R,G,B", help_heading = CHECKPOINT)]
    std: Option<[f64; 3]>,
    /// The key of its weights, if the file has several
    #[arg(long, conflicts_with = "model", help_heading = CHECKPOINT)]
    key: Option<String>,
    /// Whether ResNet blocks that keep the shape add their input (default: as in the official class
    /// with the file's names)
    #[arg(long, conflicts_with = "model", value_enum, help_heading = CHECKPOINT)]
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
            (None, None) => Err(Error::Usage(format!(
                "{}: for a checkpoint name its architecture with --arch; for a mask name the model that gets it with \
                 --model",
                self.file.display()
            ))),
        }
    }

    fn mask(&self, file: &Path, global: &Global) -> Result<()> {
        let (file, mut network, mut header) = cells::load_model(file)?;
        output_file::check("--out", &self.out, &[&self.file, &file])?;
        let mask = mask_file::load(&self.file, &network)?;
        network.set_mask(mask)?;
        header.record.layers = network.mask().records(network.layers());
        header.record.macs = network.macs();
        self.finish(&network, &header, &[], global)
    }

    fn checkpoint(&self, arch: &Arch, global: &Global) -> Result<()> {
        output_file::check("--out", &self.out, &[&self.file])?;
        if self
            .file
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            return Err(Error::Usage(format!(
                "{0}: --arch is for PyTorch checkpoints, and this is a safetensors file; if it is a mask: rlnet import \
                 {0} --model MODEL --out {1}",
                self.file.display(),
                self.out.display()
            )));
        }
        let file = TorchFile::open(&self.file)?;
        let key = self.key.as_deref();
        let classes = pytorch::import::classes(&file, key)?;
        let dataset = match &self.dataset {
            Some(name) => name.as_str(),
            None => by_classes(classes).ok_or_else(|| {
                Error::Usage(format!(
                    "{} has {classes} classes: name its training data set with --dataset ({}, imagefolder:PATH)",
                    self.file.display(),
                    data::NAMES.join(", ")
                ))
            })?,
        };
        let facts = data::facts(dataset, &global.data_dir())?;
        if facts.classes.len() != classes {
            return Err(Error::Usage(format!(
                "{} has {classes} classes, {dataset} {}: name its training data set with --dataset",
                self.file.display(),
                facts.classes.len()
            )));
        }
        let request = ImportRequest {
            arch: arch.clone(),
            image_size: self.image_size.unwrap_or(facts.size as u64),
            classes,
            mean: self.mean.unwrap_or(facts.mean),
            std: self.std.unwrap_or(facts.std),
            identity_skip: self.identity_skip.map(|skip| skip == Skip::Yes),
        };
        let imported = pytorch::import(&file, key, &request)?;
        let mut header = ModelHeader::of(&imported.network, &facts.classes, dataset, imported.epoch);
        header.record.imported = true;
        let mut notes = vec![
            format!(
                "{} tensors as {arch} with {} norm, for {dataset}",
                imported.tensors,
                format!("{:?}", header.record.norm).to_lowercase()
            ),
            format!(
                "normalisation: mean {}{}, deviation {}{}",
                commas(request.mean),
                whose(self.mean),
                commas(request.std),
                whose(self.std)
            ),
        ];
        notes.extend(imported.notes);
        self.finish(&imported.network, &header, &notes, global)
    }

    /// Writes the model and prints what it is.
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

/// Whether a normalisation was given.
fn whose(given: Option<[f64; 3]>) -> &'static str {
    if given.is_some() {
        ""
    } else {
        " (assumed: the data set's)"
    }
}

fn commas(numbers: [f64; 3]) -> String {
    numbers.map(|number| format!("{number:.4}")).join(",")
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
