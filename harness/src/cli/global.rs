//! Options that every command takes.

use crate::device::{self, Wish};
use crate::error::Result;
use clap::Args;
use std::path::PathBuf;
use tch::Device;

/// Options that every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: Wish,
    /// libtorch's threads (default: all cores)
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Seed of training and evaluation (default: the suite's)
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Folder of the data sets (default: $RLNET_DATA, else ~/.cache/rlnet/data)
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Machine-readable output on stdout
    #[arg(long, global = true)]
    pub json: bool,
}

impl Global {
    /// The device, with the number of threads set.
    pub fn open_device(&self) -> Result<Device> {
        let threads = match self.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        device::open(self.device, Some(threads))
    }

    /// Where data sets are.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .or_else(|| std::env::var_os("RLNET_DATA").map(PathBuf::from))
            .unwrap_or_else(|| {
                let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
                home.join(".cache/rlnet/data")
            })
    }
}
