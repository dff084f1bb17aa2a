//! `rlnet model`: architectures, and what a network costs.

mod sensitivity;

use crate::error::{Error, Result};
use crate::nn::Arch;
use crate::nn::budget::allocate;
use crate::request::{Global, cells};
use crate::terminal::{outln, print_json, print_line};
use clap::{Args, Subcommand};
use rlnet_reports::metrics::cost::{Link, PrivateCost};
use rlnet_suites::train::{Allocation, Budget};
use rlnet_suites::{ModelRecord, NormBanks, published};
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
            } => {
                let mut record = read(model, *image_size, *classes)?;
                let budget = budget.or(*reduction);
                if budget.is_some() || allocation.has_counts() {
                    let sizes: Vec<u64> = record.layers.iter().map(|layer| layer.total()).collect();
                    let keep = allocate(&sizes, budget, *allocation, None)?;
                    for (layer, keep) in record.layers.iter_mut().zip(keep) {
                        layer.kept = keep;
                    }
                }
                print(&record, global.json);
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
        (Err(_), path) => return Ok(cells::load_model(path)?.2.record),
    };
    let survey = arch.survey(image_size, classes);
    Ok(ModelRecord {
        arch: model.to_owned(),
        image_size: image_size as u32,
        classes: (0..classes).map(|class| class.to_string()).collect(),
        norm: NormBanks::Single,
        parameters: survey.parameters,
        macs: survey.macs,
        layers: survey.layers,
        epoch: 0,
        imported: false,
    })
}

fn print(record: &ModelRecord, as_json: bool) {
    let (kept, total) = (record.kept(), record.total());
    let reduction = total as f64 / kept.max(1) as f64;
    let cost = PrivateCost::of(kept, Link::default());
    if as_json {
        print_json(&json!({
            "model": record,
            "relus_kept": kept,
            "relus_total": total,
            "reduction": reduction,
            "private_inference": {
                "online_seconds": cost.seconds,
                "online_bytes": cost.online_bytes,
                "offline_bytes": cost.offline_bytes,
            },
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
    outln!(
        "private inference of the ReLUs (Delphi cost model): {:.2} s and {:.1} MB online, {:.2} GB offline",
        cost.seconds,
        cost.online_bytes as f64 / 1e6,
        cost.offline_bytes as f64 / 1e9
    );
}
