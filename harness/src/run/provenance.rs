//! Where and how a cell was computed.

use crate::device;
use rlnet_suites::Provenance;
use std::time::{SystemTime, UNIX_EPOCH};
use tch::Device;

/// libtorch's version, as the harness is built against; tch accepts no other.
const LIBTORCH: &str = "2.11.0";

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
        libtorch: LIBTORCH.to_owned(),
        device: device::name(device),
        threads: tch::get_num_threads() as u32,
        started: started.map_or(0, |elapsed| elapsed.as_secs()),
        ..Provenance::default()
    }
}

/// Peak resident memory of this process in bytes; 0 where /proc does not say.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}
