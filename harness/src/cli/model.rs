//! `rlnet model`: architectures, and what a network costs.

use super::global::Global;
use super::{say, say_json};
use crate::error::{Error, Result};
use crate::nn::budget::allocate;
use crate::nn::model::{self, ModelHeader};
use crate::nn::{Arch, Network, NetworkSpec};
use clap::{Args, Subcommand};
use rlnet_reports::metrics::cost::{Link, PrivateCost};
use rlnet_suites::train::{Allocation, Budget};
use rlnet_suites::{ModelRecord, NormBanks};
use serde_json::json;
use std::path::Path;
use tch::Device;

/// Architectures; per-layer ReLUs, parameters, MACs and private-inference cost
#[derive(Debug, Args)]
pub struct ModelCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The architectures
    ///
    /// Example: rlnet model list
    List,
    /// The layer table of an architecture or of a trained model
    ///
    /// Example: rlnet model info resnet18 --budget 50k
    Info {
        /// An architecture, or a model.safetensors
        model: String,
        /// ReLUs to keep: 50k
        #[arg(long, conflicts_with = "reduction")]
        budget: Option<Budget>,
        /// How many times fewer ReLUs: 11.14x
        #[arg(long)]
        reduction: Option<Budget>,
        /// sensitivity or uniform
        #[arg(long, default_value = "sensitivity", value_parser = allocation)]
        allocation: Allocation,
        /// Side of the input in pixels
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(8..=512))]
        image_size: u64,
        /// Number of classes
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=10000))]
        classes: u64,
    },
}

fn allocation(text: &str) -> std::result::Result<Allocation, String> {
    match text {
        "sensitivity" => Ok(Allocation::Sensitivity),
        "uniform" => Ok(Allocation::Uniform),
        _ => Err("write sensitivity or uniform".into()),
    }
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
                    say_json(&json!(items.collect::<Vec<_>>()));
                } else {
                    for (name, text) in archs {
                        say(&format!("{name:<10} {text}"));
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
                if let Some(budget) = budget.or(*reduction) {
                    let sizes: Vec<u64> = record.layers.iter().map(|layer| layer.total()).collect();
                    let keep = allocate(&sizes, budget.resolve(record.total())?, *allocation)?;
                    for (layer, keep) in record.layers.iter_mut().zip(keep) {
                        layer.kept = keep;
                    }
                }
                print(&record, global.json)
            }
        }
    }
}

/// A trained model's record, or a fresh network's.
fn read(model: &str, image_size: u64, classes: u64) -> Result<ModelRecord> {
    let path = Path::new(model);
    if path
        .extension()
        .is_some_and(|extension| extension == "safetensors")
    {
        return Ok(model::load(path, Device::Cpu)?.1.record);
    }
    let arch: Arch = model.parse()?;
    let network = Network::new(
        NetworkSpec {
            arch,
            image_size,
            classes: classes as usize,
            norm: NormBanks::Single,
            quirks: Default::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        0,
        Device::Cpu,
    );
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    Ok(ModelHeader::of(&network, &names, "", 0).record)
}

fn print(record: &ModelRecord, as_json: bool) -> Result<()> {
    let (kept, total) = (record.kept(), record.total());
    let reduction = total as f64 / kept.max(1) as f64;
    let cost = PrivateCost::of(kept, Link::default());
    if as_json {
        let value = serde_json::to_value(record).map_err(|error| Error::Work(error.to_string()))?;
        say_json(&json!({
            "model": value,
            "relus_kept": kept,
            "relus_total": total,
            "reduction": reduction,
            "private_inference": {
                "online_seconds": cost.seconds,
                "online_bytes": cost.online_bytes,
                "offline_bytes": cost.offline_bytes,
            },
        }));
        return Ok(());
    }
    say(&format!(
        "{:<16} {:>14} {:>10} {:>10} {:>8}",
        "layer", "C x H x W", "units", "kept", "share"
    ));
    for layer in &record.layers {
        let [c, h, w] = layer.shape;
        say(&format!(
            "{:<16} {:>14} {:>10} {:>10} {:>7.2}%",
            layer.name,
            format!("{c} x {h} x {w}"),
            layer.total(),
            layer.kept,
            100.0 * layer.kept as f64 / layer.total() as f64
        ));
    }
    say(&format!(
        "{:<16} {:>14} {total:>10} {kept:>10}  {reduction:.2}x fewer",
        "total", ""
    ));
    say(&format!(
        "{} at {} x {}: {} parameters (one norm bank unless trained with more), {} MACs",
        record.arch, record.image_size, record.image_size, record.parameters, record.macs
    ));
    say(&format!(
        "private inference of the ReLUs (Delphi cost model): {:.2} s and {:.1} MB online, {:.2} GB offline",
        cost.seconds,
        cost.online_bytes as f64 / 1e6,
        cost.offline_bytes as f64 / 1e9
    ));
    Ok(())
}
