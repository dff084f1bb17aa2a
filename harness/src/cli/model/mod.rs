//! `rlnet model`: architectures, and what a network costs.

mod arithmetic;
mod private;
mod sensitivity;

use crate::error::{Error, Result};
use crate::nn::Arch;
use crate::nn::budget::allocate;
use crate::request::conditions::images;
use crate::request::{Global, cells};
use crate::terminal::{outln, print_json, print_line};
use arithmetic::arithmetic;
use clap::{Args, Subcommand};
use rlnet_suites::objective::Dropped;
use rlnet_suites::protocol::{self, Link, NamedLink};
use rlnet_suites::train::{Allocation, Budget};
use rlnet_suites::{
    Branch, FixedPoint, ImageRanges, LinearRecord, ModelRecord, NormBanks, Profile, published,
};
use sensitivity::sensitivity;
use serde_json::json;
use std::path::{Path, PathBuf};

/// List architectures; show ReLUs, parameters, MACs and the cost of private inference
#[derive(Debug, Args)]
pub struct ModelCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the architectures
    ///
    /// Example: rlnet model list
    List,
    /// Show the layers of an architecture or of a trained model
    ///
    /// Example: rlnet model info resnet18 --budget 50k
    Info {
        /// An architecture, or a model.safetensors, its cell's folder, or RUN:NAME
        model: String,
        /// Number of ReLUs to keep: 50k
        #[arg(long, conflicts_with = "reduction")]
        budget: Option<Budget>,
        /// Factor by which the number of ReLUs is reduced: 11.14x, or 11.14
        #[arg(long, value_parser = Budget::reduction)]
        reduction: Option<Budget>,
        /// How layers share the ReLUs: sensitivity, uniform, equal, or published:NAME (rlnet model
        /// budgets)
        #[arg(long, default_value = "sensitivity")]
        allocation: Allocation,
        /// Side of the input in pixels
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(8..=512))]
        image_size: u64,
        /// Number of classes
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=10000))]
        classes: u64,
        /// The protocol whose cost is shown: delphi, half-gates, spu-cheetah, spu-semi2k or crypten
        #[arg(long, value_name = "NAME", default_value = protocol::DEFAULT)]
        protocol: String,
        /// The link between client and server: lan (1 Gbit/s, 0.3 ms a round), wan (200 Mbit/s, 40 ms) or mobile (50 down, 10
        /// up, 60 ms) (default: it does not limit)
        #[arg(long, value_name = "LINK")]
        link: Option<NamedLink>,
    },
    /// List the published numbers of ReLUs to keep in each layer
    ///
    /// Example: rlnet model budgets
    Budgets,
    /// Measure on held-out images how much each ReLU layer matters to a trained model
    ///
    /// Example: rlnet model sensitivity out/cells/ID/model.safetensors --budget 50k
    ///
    /// The measure is the mean KL divergence of the predictions with the layer from those with all
    /// its ReLUs removed. For a model in a run's cell the images are those that its suite holds out,
    /// as in a stage with `allocation = "measured"`. For any other model, or with another --dataset,
    /// they are a tenth of the whole training set. The first line of the output names them.
    Sensitivity {
        /// A model.safetensors, its cell's folder, or RUN:NAME; preferably with all ReLUs
        model: PathBuf,
        /// shapes, textures, cifar10, cifar100, tiny-imagenet or imagefolder:PATH (default: for a model
        /// in a run's cell, the data set that it was trained on)
        #[arg(long)]
        dataset: Option<String>,
        /// Also show how the layers would share this many ReLUs: 50k, or 11.14x
        #[arg(long)]
        budget: Option<Budget>,
    },
    /// Show how wide a ring of integers a trained model needs, for a protocol that computes in one
    ///
    /// Example: rlnet model arithmetic out/small:rlnet --arithmetic fixed:frac=12,trunc=floor
    ///
    /// Rings from 64 bits down to narrower ones than every product fits into are tried on test images:
    /// the classes that change, and the first layer whose products overflow.
    Arithmetic {
        /// A model.safetensors, its cell's folder, or RUN:NAME
        model: PathBuf,
        /// All but the size of the ring, as in rlnet eval --arithmetic
        #[arg(long, default_value = "fixed")]
        arithmetic: FixedPoint,
        /// The data set (default: that of the model)
        #[arg(long)]
        dataset: Option<String>,
        /// The norm branch (default: the first)
        #[arg(long)]
        branch: Option<Branch>,
        /// Use the first N test images
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Use only these test images: positions and ranges (5000-5511 or 3,7,9-20), or a file of them
        #[arg(long, value_name = "LIST", value_parser = images, conflicts_with = "limit")]
        images: Option<ImageRanges>,
    },
}

impl ModelCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        match &self.action {
            Action::List => {
                let archs = Arch::catalogue();
                if global.json {
                    let items = archs
                        .iter()
                        .map(|(name, text)| json!({"name": name, "what": text}));
                    print_json(&json!(items.collect::<Vec<_>>()));
                } else {
                    for (name, text) in archs {
                        outln!("{name:<17} {text}");
                    }
                }
                Ok(())
            }
            Action::Info {
                model,
                budget,
                reduction,
                allocation,
                image_size,
                classes,
                protocol,
                link,
            } => {
                let profile = Profile::find(protocol)?;
                let mut record = read(model, *image_size, *classes)?;
                let budget = budget.or(*reduction);
                if budget.is_some() || allocation.has_counts() {
                    let sizes: Vec<u64> = record.layers.iter().map(|layer| layer.total()).collect();
                    let keep = allocate(&sizes, budget, *allocation, None)?;
                    for (layer, keep) in record.layers.iter_mut().zip(keep) {
                        layer.kept = keep;
                    }
                    record.macs = record.products().iter().map(LinearRecord::macs).sum();
                }
                print(
                    &record,
                    &profile,
                    link.map(Into::into).unwrap_or_default(),
                    global.json,
                );
                Ok(())
            }
            Action::Budgets => {
                budgets(global.json);
                Ok(())
            }
            Action::Sensitivity {
                model,
                dataset,
                budget,
            } => sensitivity(model, dataset.as_deref(), *budget, global),
            Action::Arithmetic {
                model,
                arithmetic: fixed,
                dataset,
                branch,
                limit,
                images,
            } => {
                let images = images.as_ref().ok_or(*limit);
                arithmetic(model, *fixed, (dataset.as_deref(), images), *branch, global)
            }
        }
    }
}

fn budgets(as_json: bool) {
    let lists = published::budgets();
    if as_json {
        print_json(&lists);
        return;
    }
    for list in lists {
        let text = format!(
            "{:<32} {:<9} at {:>3} {:>8} ReLUs  {}",
            list.name, list.arch, list.image_size, list.relus, list.note
        );
        print_line(text.trim_end());
    }
}

/// A trained model's record, or that of an architecture.
fn read(model: &str, image_size: u64, classes: u64) -> Result<ModelRecord> {
    let arch: Arch = match (model.parse(), Path::new(model)) {
        (Ok(arch), _) => arch,
        // A name that is no architecture, nor looks like anything else.
        (Err(error), path) if !path.exists() && path.extension().is_none() && !model.contains(['/', ':']) => {
            return Err(Error::from(error));
        }
        (Err(_), path) => {
            let (_, network, header) = cells::load_model(path)?;
            // Files of earlier versions do not list their linear layers.
            return Ok(ModelRecord {
                linear: network.linear().to_vec(),
                ..header.record
            });
        }
    };
    let survey = arch.survey(image_size, classes);
    Ok(ModelRecord {
        arch: model.to_owned(),
        image_size: image_size as u32,
        classes: (0..classes).map(|class| class.to_string()).collect(),
        norm: NormBanks::Single,
        parameters: survey.parameters,
        macs: survey.macs(),
        layers: survey.layers,
        linear: survey.linear,
        dropped: Dropped::Identity,
        epoch: 0,
        overfitted: None,
        imported: false,
        deployed: None,
    })
}

fn print(record: &ModelRecord, profile: &Profile, link: Link, as_json: bool) {
    let (kept, total) = (record.kept(), record.total());
    let reduction = total as f64 / kept.max(1) as f64;
    if as_json {
        print_json(&json!({
            "model": record,
            "relus_kept": kept,
            "relus_total": total,
            "reduction": reduction,
            "private_inference": private::json(record, profile, link),
        }));
        return;
    }
    print_line("layer                       C x H x W      units       kept    share");
    for layer in &record.layers {
        let [c, h, w] = layer.shape;
        outln!(
            "{:<22} {:>14} {:>10} {:>10} {:>7.2}%",
            layer.name,
            format!("{c} x {h} x {w}"),
            layer.total(),
            layer.kept,
            100.0 * layer.kept as f64 / layer.total() as f64
        );
    }
    outln!(
        "{:<22} {:>14} {total:>10} {kept:>10}  {reduction:.2}x fewer",
        "total",
        ""
    );
    outln!(
        "{} at {} x {}: {} parameters (one norm bank unless trained with more), {} MACs",
        record.arch,
        record.image_size,
        record.image_size,
        record.parameters,
        record.macs
    );
    if record.dropped != Dropped::Identity {
        outln!(
            "its {} dropped units are {}, a multiplication each, which the MACs include",
            total - kept,
            record.dropped
        );
    }
    private::print(record, profile, link);
}
