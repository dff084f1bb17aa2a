//! `rlnet import`: a mask into a trained model.

use super::global::Global;
use super::{say, say_json};
use crate::error::Result;
use crate::nn::{mask_file, model};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tch::Device;

/// Put a mask into a trained model
///
/// FILE is what `rlnet export --format mask` writes, or any safetensors file with a tensor of
/// zeros and ones for each ReLU layer: [C, H, W], or [C] for whole channels, named as the layer
/// or by its number from 0.
///
/// Example: rlnet import mask.safetensors --model out/cells/ID/model.safetensors --out masked.safetensors
#[derive(Debug, Args)]
pub struct Import {
    /// The mask
    file: PathBuf,
    /// The model.safetensors it goes into
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The model to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Import {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let (mut network, mut header) = model::load(&self.model, Device::Cpu)?;
        let mask = mask_file::load(&self.file, &network)?;
        network.set_mask(mask)?;
        header.record.layers = network.mask().records(network.layers());
        model::save(&self.out, &network, &header)?;
        let (kept, total) = (header.record.kept(), header.record.total());
        if global.json {
            say_json(&json!({"model": self.out, "kept": kept, "total": total}));
        } else {
            say(&format!("{}: {kept} of {total} ReLUs kept", self.out.display()));
        }
        Ok(())
    }
}
