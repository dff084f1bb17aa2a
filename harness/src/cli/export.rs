//! `rlnet export`: a trained model's mask or weights as plain safetensors, or one of its branches
//! as TorchScript, as ONNX (with properties for verifiers), or as a plan for private inference.

use crate::data::images_to_tensor;
use crate::deployed::onnx;
use crate::deployed::plan::{self, DeployedPlan};
use crate::deployed::vnnlib::{self, Property};
use crate::error::{Error, Result};
use crate::eval::verdict::floats;
use crate::files::{checksum, create_folder};
use crate::nn::checkpoint::Tensors;
use crate::nn::{Network, mask_file};
use crate::pytorch::script;
use crate::request::{Global, cells, output_file};
use crate::terminal::{outln, print_json};
use clap::{Args, ValueEnum};
use rlnet_suites::Branch;
use rlnet_suites::epsilon::Epsilon;
use serde_json::json;
use std::path::PathBuf;
use tch::{Device, no_grad_guard};

/// Images that go through the network at once.
const BATCH: i64 = 128;

/// Write a model's mask or weights as a plain safetensors file, or one branch as TorchScript, ONNX or a plan
///
/// Example: rlnet export out/cells/ID/model.safetensors --format mask --out mask.safetensors
///
/// Example: rlnet export out/cells/ID/model.safetensors --format torchscript --branch clean --out clean.pt
///
/// Example: rlnet export RUN:rlnet --format vnnlib --branch clean --dataset cifar10 --limit 100 --eps 1/255 --out verify
#[derive(Debug, Args)]
pub struct Export {
    /// A model.safetensors, its cell's folder (OUT/cells/ID), or RUN:NAME
    model: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write, or the folder of --format vnnlib
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The norm branch of a TorchScript or ONNX file or a plan; needed if the model has several
    #[arg(long, value_name = "BRANCH")]
    branch: Option<Branch>,
    /// vnnlib: the data set of the images
    #[arg(long, value_name = "NAME", required_if_eq("format", "vnnlib"))]
    dataset: Option<String>,
    /// vnnlib: the first so many test images
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// vnnlib: radius of the Linf balls, 1/255 for instance
    #[arg(long, value_name = "RADIUS", required_if_eq("format", "vnnlib"))]
    eps: Option<Epsilon>,
    /// vnnlib: seconds that a verifier may take for an image
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One u8 tensor for each ReLU layer, with counts; one value for each channel that is whole
    Mask,
    /// Weights and running statistics under their own names, for any reader of safetensors
    Safetensors,
    /// A program for torch.jit.load that maps images in [0,1] to logits, at any batch size, with
    /// folded norms and a fixed mask
    Torchscript,
    /// The same as ONNX, for onnxruntime, verifiers and converters; kept units are gathered before their ReLU
    Onnx,
    /// A folder for verifiers: net.onnx, a VNN-LIB property for each image that the branch has right, instances.csv
    Vnnlib,
    /// The operations of a branch for a private-inference engine: NAME.json, with weights and masks in
    /// NAME.safetensors beside it; normalisation is left to the client
    Plan,
}

impl Format {
    /// Whether a file of it holds one branch only.
    fn has_one_branch(self) -> bool {
        matches!(self, Self::Torchscript | Self::Onnx | Self::Vnnlib | Self::Plan)
    }
}

impl Export {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        if self.branch.is_some() && !self.format.has_one_branch() {
            return Err(Error::Usage(
                "--branch is only for --format torchscript, onnx, vnnlib and plan: the other formats hold all branches".into(),
            ));
        }
        if self.format == Format::Plan {
            plan::check_path(&self.out)?;
        }
        if self.dataset.is_some() && self.format != Format::Vnnlib {
            return Err(Error::Usage(
                "--dataset and --eps are only for --format vnnlib, whose properties are of images".into(),
            ));
        }
        let (file, network, _) = cells::load_model(&self.model)?;
        output_file::check("--out", &self.out, &[&file])?;
        let out = self.out.display();
        match self.format {
            Format::Mask => {
                let header = mask_file::save(&self.out, &network)?;
                if global.json {
                    let mut value = json!(header);
                    value["file"] = json!(out.to_string());
                    print_json(&value);
                } else {
                    outln!(
                        "{out}: {} of {} ReLUs kept in {} layers, by {}",
                        header.kept,
                        header.total,
                        header.layers.len(),
                        header.granularity
                    );
                }
            }
            Format::Safetensors => {
                let mut tensors = Tensors::default();
                tensors.put_network("", &network);
                tensors.save_plain(&self.out)?;
                let count = network.params().iter().count();
                if global.json {
                    print_json(
                        &json!({"file": out.to_string(), "tensors": count, "parameters": network.params().count()}),
                    );
                } else {
                    outln!("{out}: {count} tensors, f32");
                }
            }
            Format::Torchscript => {
                let branch = self.one_branch(&network)?;
                let side = network.spec().image_size;
                script::export(network, branch, &self.out)?;
                if global.json {
                    print_json(&json!({"file": out.to_string(), "branch": branch, "input": [3, side, side]}));
                } else {
                    outln!("{out}: branch {branch}, images [N, 3, {side}, {side}] in [0,1] to logits");
                }
            }
            Format::Onnx => {
                let branch = self.one_branch(&network)?;
                let side = network.spec().image_size;
                onnx::save(&DeployedPlan::of(&network, branch), &network, branch, &self.out)?;
                if global.json {
                    print_json(&json!({"file": out.to_string(), "branch": branch, "input": [3, side, side]}));
                } else {
                    outln!("{out}: branch {branch}, images [N, 3, {side}, {side}] in [0,1] to logits, ONNX");
                }
            }
            Format::Vnnlib => self.properties(network, global)?,
            Format::Plan => {
                let branch = self.one_branch(&network)?;
                let plan = DeployedPlan::of(&network, branch);
                let weights = plan.path_of_weights(&self.out);
                output_file::check("--out", &weights, &[&file])?;
                plan.save(&network, branch, &checksum(&file)?, &self.out)?;
                let (weights, operations) = (weights.display(), plan.steps.len());
                if global.json {
                    let weights = weights.to_string();
                    print_json(&json!({
                        "file": out.to_string(), "weights": weights, "branch": branch, "operations": operations,
                    }));
                } else {
                    outln!("{out}: branch {branch}, {operations} operations; weights and masks in {weights}");
                }
            }
        }
        Ok(())
    }
}

impl Export {
    /// The branch as ONNX, and a property for each image that it has right.
    fn properties(&self, network: Network, global: &Global) -> Result<()> {
        let (Some(dataset), Some(eps)) = (&self.dataset, self.eps) else {
            return Err(Error::Usage("--format vnnlib needs --dataset and --eps".into()));
        };
        let branch = self.one_branch(&network)?;
        let test = crate::data::load(dataset, &global.data_dir())?
            .test
            .take(self.limit)
            .loaded()?;
        let (side, classes) = (network.spec().image_size, network.spec().classes);
        if test.size as u64 != side {
            return Err(Error::Usage(format!(
                "--dataset {dataset}: its images have {} pixels a side, the model takes {side}",
                test.size
            )));
        }
        create_folder(&self.out)?;
        onnx::save(
            &DeployedPlan::of(&network, branch),
            &network,
            branch,
            &self.out.join(vnnlib::NETWORK),
        )?;
        let images = images_to_tensor(&test.images, test.len(), test.size, Device::Cpu);
        let frozen = network.into_frozen();
        let said = images.split(BATCH, 0).into_iter().flat_map(|batch| {
            let _guard = no_grad_guard();
            floats(&frozen.logits(&batch, branch).argmax(1, false))
        });
        let said: Vec<f32> = said.collect();
        let values = floats(&images);
        let each = values.len() / test.len().max(1);
        let right = said.iter().zip(&test.labels).enumerate();
        let right = right.filter(|(_, (said, label))| **said == f32::from(**label));
        let properties: Vec<Property<'_>> = right
            .map(|(place, (_, &label))| Property {
                index: test.indices[place],
                image: &values[place * each..][..each],
                label,
                classes,
            })
            .collect();
        let list = vnnlib::save(&self.out, &properties, eps, self.seconds)?;
        let (count, list) = (properties.len(), list.display());
        if global.json {
            print_json(&json!({"file": list.to_string(), "branch": branch, "eps": eps, "properties": count}));
        } else {
            outln!(
                "{list}: branch {branch}, {count} of {} images, those it has right; radius {eps}",
                test.len()
            );
        }
        Ok(())
    }

    /// The branch that was named, or the only one.
    fn one_branch(&self, network: &Network) -> Result<Branch> {
        match (self.branch, network.spec().norm.branches()) {
            (Some(branch), _) => cells::check_branch(network, branch),
            (None, &[branch]) => Ok(branch),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|branch| branch.name()).collect();
                Err(Error::Usage(format!(
                    "--format {}: the file holds one branch; choose it with --branch: {}",
                    self.format
                        .to_possible_value()
                        .map_or(String::new(), |value| value.get_name().to_owned()),
                    names.join(", ")
                )))
            }
        }
    }
}
