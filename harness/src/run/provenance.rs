//! Where and how a cell was computed.

use crate::device;
use rlnet_suites::Provenance;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tch::Device;

/// This program, to the commit.
pub fn program() -> String {
    format!(
        "{} {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("RLNET_COMMIT").unwrap_or_default()
    )
}

/// The provenance of a cell that starts now on `device`.
pub fn start(device: Device) -> Provenance {
    let started = SystemTime::now().duration_since(UNIX_EPOCH);
    Provenance {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("RLNET_COMMIT").unwrap_or_default().to_owned(),
        libtorch: device::LIBTORCH.to_owned(),
        device: device::name(device),
        threads: tch::get_num_threads() as u32,
        started: started.map_or(0, |elapsed| elapsed.as_secs()),
        dirty: option_env!("RLNET_DIRTY") == Some("true"),
        dependencies: option_env!("RLNET_DEPENDENCIES")
            .unwrap_or_default()
            .split(',')
            .filter_map(|one| one.split_once(' '))
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect(),
        machine: machine(),
        flags: flags(device),
        ..Provenance::default()
    }
}

/// Notes what is known at a cell's end.
pub fn end(provenance: &mut Provenance) {
    provenance.peak_memory = peak_memory();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    provenance.ended = now.map_or(0, |elapsed| elapsed.as_secs());
}

/// The machine's name and processor, where /proc says.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, model)| model);
    format!("{}, {model}", read("/proc/sys/kernel/hostname").trim())
}

/// Variables of the environment that libtorch and its libraries look at.
const VARIABLES: [&str; 6] = [
    "OMP_NUM_THREADS",
    "MKL_CBWR",
    "NVIDIA_TF32_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "ATEN_CPU_CAPABILITY",
];

fn flags(device: Device) -> BTreeMap<String, String> {
    let deterministic = match device {
        Device::Cuda(_) => "no: cuDNN and CUDA kernels may differ from run to run",
        _ => "yes, with equal threads",
    };
    let mut flags = BTreeMap::from([
        ("deterministic".to_owned(), deterministic.to_owned()),
        // Set in device::open; a training stage may ask otherwise with its precision.
        ("tf32".to_owned(), "off".to_owned()),
    ]);
    for name in VARIABLES {
        if let Ok(value) = std::env::var(name) {
            flags.insert(name.to_owned(), value);
        }
    }
    flags
}

/// Peak resident memory of this process in bytes; 0 where /proc does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}
