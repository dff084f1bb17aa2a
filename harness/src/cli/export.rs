//! `rlnet export`: a trained model's mask or weights as plain safetensors.

use super::global::Global;
use super::{say, say_json};
use crate::error::{Error, Result};
use crate::nn::{Network, mask_file, model};
use clap::{Args, ValueEnum};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use tch::{Device, no_grad_guard};

/// A trained model's mask or weights as a plain safetensors file
///
/// Example: rlnet export out/cells/ID/model.safetensors --format mask --out mask.safetensors
#[derive(Debug, Args)]
pub struct Export {
    /// model.safetensors of a run
    model: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One u8 tensor a ReLU layer, with counts; whole channels as one value each
    Mask,
    /// Weights and running statistics under their own names, for any reader of safetensors
    Safetensors,
}

impl Export {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let (network, _) = model::load(&self.model, Device::Cpu)?;
        let out = self.out.display();
        match self.format {
            Format::Mask => {
                let header = mask_file::save(&self.out, &network)?;
                if global.json {
                    let value =
                        serde_json::to_value(&header).map_err(|error| Error::Work(error.to_string()))?;
                    say_json(&value);
                } else {
                    say(&format!(
                        "{out}: {} of {} ReLUs kept in {} layers, by {}",
                        header.kept,
                        header.total,
                        header.layers.len(),
                        header.granularity
                    ));
                }
            }
            Format::Safetensors => {
                let count = weights(&self.out, &network)?;
                if global.json {
                    say_json(&json!({"tensors": count, "parameters": network.params().count()}));
                } else {
                    say(&format!("{out}: {count} tensors, f32"));
                }
            }
        }
        Ok(())
    }
}

/// Writes every tensor of a network; gives their number.
fn weights(path: &Path, network: &Network) -> Result<usize> {
    let _guard = no_grad_guard();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = network
        .params()
        .iter()
        .map(|param| {
            let flat = param.tensor.contiguous();
            let mut bytes = vec![0_u8; flat.numel() * 4];
            flat.copy_data_u8(&mut bytes, flat.numel());
            let shape = param.tensor.size().iter().map(|&n| n as usize).collect();
            (param.name.clone(), shape, bytes)
        })
        .collect();
    let failed =
        |why: safetensors::SafeTensorError| Error::Work(format!("writing {}: {why}", path.display()));
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(failed)?;
    let bytes = serialize(views, None).map_err(failed)?;
    crate::run::files::write_atomic(path, &bytes)?;
    Ok(tensors.len())
}
