//! Whether there is memory for one more cell beside those that other processes work on.
//!
//! What a cell needs is taken from those of its kind that were measured. Somebody who works alone
//! never waits: it is better to try.

use super::directory::RunDirectory;
use super::heartbeat::worker_statuses;
use rlnet_suites::{Cell, CellSpec, Plan};
use std::fs;

/// Peak memory of processes that computed cells of this plan, bytes; 0 when none is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryGuard {
    train: u64,
    evaluate: u64,
}

impl MemoryGuard {
    /// Reads the records of the plan's finished cells.
    pub fn of(plan: &Plan, directory: &RunDirectory) -> Self {
        let mut room = Self::default();
        for record in plan
            .cells
            .iter()
            .filter_map(|cell| directory.record(&cell.id).ok())
        {
            let peak = match record.cell.spec {
                CellSpec::Train(_) => &mut room.train,
                CellSpec::Evaluate(_) => &mut room.evaluate,
            };
            *peak = record.provenance.peak_memory.max(*peak);
        }
        room
    }

    /// Whether a cell had better wait until another process has given memory back.
    pub fn is_short(&self, cell: &Cell, directory: &RunDirectory) -> bool {
        let peak = match cell.spec {
            CellSpec::Train(_) => self.train,
            CellSpec::Evaluate(_) => self.evaluate,
        };
        let (Some(free), Some(own)) = (
            kilobytes("/proc/meminfo", "MemAvailable:"),
            kilobytes("/proc/self/status", "VmRSS:"),
        ) else {
            return false;
        };
        short(peak, own * 1024, free * 1024) && worker_statuses(directory.root()).len() > 1
    }
}

/// Whether a process that holds `own` bytes cannot grow to `peak` with `free` bytes left.
fn short(peak: u64, own: u64, free: u64) -> bool {
    peak.saturating_sub(own) > free
}

/// A line `KEY: N kB` of a file under /proc.
fn kilobytes(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_short_when_the_rest_of_a_peak_does_not_fit() {
        assert!(!short(0, 5, 0));
        assert!(!short(10, 4, 6));
        assert!(short(10, 4, 5));
        assert!(kilobytes("/proc/meminfo", "MemAvailable:").is_none_or(|free| free > 0));
        assert_eq!(kilobytes("/proc/meminfo", "Nothing:"), None);
    }
}
