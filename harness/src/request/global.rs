//! Options that every command takes.

use super::{heading, words};
use crate::device::{self, DeviceRequest};
use crate::error::Result;
use clap::{ArgAction, Args};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use tch::Device;

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = heading::GLOBAL)]
pub struct Global {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceRequest,
    /// Number of libtorch threads (default: all cores)
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Random seed of training and evaluation (default: the suite's)
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Folder of the data sets (default: $RLNET_DATA, else ~/.cache/rlnet/data)
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Print help; --help says more than -h
    #[arg(long, short, global = true, action = ArgAction::Help)]
    pub help: Option<bool>,
}

impl Global {
    /// The device, with the number of threads set: `--threads`, else `OMP_NUM_THREADS`, else
    /// libtorch's own default.
    pub fn open_device(&self) -> Result<Device> {
        device::open(self.device, self.threads.map(usize::from))
    }

    /// Lets libtorch's threads spin at barriers for microseconds only, then sleep, unless the
    /// user has chosen otherwise. libgomp's default is 300,000 turns: beside two busy
    /// processes on two cores, an epoch of the demo's teacher took 51 s with it and 13 s with
    /// 2,000; on an idle machine both take 4 s (never spinning, 9 s).
    ///
    /// libgomp reads its environment once, when it is loaded, which is before `main`: no later call
    /// can change the limit. So the program replaces itself by itself with the variable set (`exec`:
    /// same process id, same open files). If that fails it continues as it is, because only speed is
    /// at stake. One thread meets no barrier, and a second start takes as long as the first: 0.18 s.
    pub fn bound_spinning(&self) {
        const TURNS: &str = "GOMP_SPINCOUNT";
        let chosen = [TURNS, "OMP_WAIT_POLICY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        let threads = self.threads.map_or_else(
            || std::env::var("OMP_NUM_THREADS").unwrap_or_default(),
            |threads| threads.to_string(),
        );
        if chosen || threads == "1" {
            return;
        }
        if let Ok(program) = std::env::current_exe() {
            let _ = Command::new(program)
                .args(words::own().iter().skip(1))
                .env(TURNS, "2000")
                .exec();
        }
    }

    /// Whether the work runs on the CPU. (A device that is not there is refused when it is opened.)
    pub fn is_cpu(&self) -> bool {
        device::decide(self.device, &device::cuda_state()).is_ok_and(|device| device == Device::Cpu)
    }

    /// The number of CPU threads: `--threads`, else as many as there are cores.
    pub fn cpu_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from)
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
