//! `rlnet doctor`: what this machine offers, and reasons why work would be slow.

use crate::data::DataError;
use crate::data::installed::{Installed, installed};
use crate::device::{CudaState, LIBTORCH, cuda_state, libtorch_folder};
use crate::error::Result;
use crate::request::Global;
use crate::terminal::{outln, print_json};
use clap::Args;
use serde_json::json;
use tch::{Kind, Tensor};

/// Show device, libtorch, threads, memory and data sets, and reasons why work would be slow
///
/// Example: rlnet doctor
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        // The first tensor loads libtorch, so that its folder is known.
        let _ = Tensor::zeros([1], (Kind::Float, tch::Device::Cpu));
        let cuda = cuda_state();
        let device = global.open_device();
        let threads = tch::get_num_threads();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = memory_gib();
        let folder = libtorch_folder().map(|path| path.display().to_string());
        let data_dir = global.data_dir();
        let data = installed(&data_dir);
        let mut slow = Vec::new();
        if !matches!(cuda, CudaState::Devices(_)) {
            slow.push(
                "no GPU: full-width ResNet18 suites take weeks on a CPU; the suites `demo` and \
                 `cifar10-small` are for a CPU",
            );
        }
        if (threads as usize) < cores {
            slow.push("fewer libtorch threads than cores: raise --threads");
        }
        if memory.is_some_and(|memory| memory < 4.0) {
            slow.push("under 4 GiB of memory available: suites may be killed");
        }
        if global.json {
            print_json(&json!({
                "program": env!("CARGO_PKG_VERSION"),
                "libtorch": {"version": LIBTORCH, "folder": folder},
                "cuda": cuda.describe(),
                "device": device.as_ref().map_or_else(|e| e.to_string(), |d| crate::device::name(*d)),
                "threads": threads,
                "cores": cores,
                "memory_available_gib": memory,
                "data_dir": data_dir.display().to_string(),
                "data": data.iter().map(Installed::json).collect::<Vec<_>>(),
                "slow": slow,
            }));
            return Ok(());
        }
        outln!("rlnet {}", env!("CARGO_PKG_VERSION"));
        outln!("libtorch   {} in {}", LIBTORCH, folder.as_deref().unwrap_or("?"));
        outln!("CUDA       {}", cuda.describe());
        match device {
            Ok(device) => outln!("device     {}", crate::device::name(device)),
            Err(error) => outln!("device     {error}"),
        }
        outln!("threads    {threads} of {cores} cores");
        if let Some(memory) = memory {
            outln!("memory     {memory:.1} GiB available");
        }
        outln!("data       in {}", data_dir.display());
        for set in data {
            let text = match &set.found {
                Ok(_) => "found".to_owned(),
                Err(DataError::MissingFolder { .. }) => "not found".to_owned(),
                Err(why) => format!("not usable: {why}"),
            };
            outln!("  {:<14} {text}", set.name);
        }
        for reason in slow {
            outln!("slow       {reason}");
        }
        Ok(())
    }
}

/// Memory that can be had without swapping, from /proc.
fn memory_gib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes / (1024.0 * 1024.0))
}
