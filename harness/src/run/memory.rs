//! Whether there is memory for one more cell beside those that other processes work on, and whether the
//! machine has what a plan's largest batch needs at least.
//!
//! What a cell needs is taken from those of its kind that were measured. Somebody who works alone
//! never waits: it is better to try. Only what is clearly too large is refused before.

use super::directory::RunDirectory;
use super::heartbeat::worker_statuses;
use crate::error::{Error, Result};
use crate::nn::Arch;
use rlnet_reports::format;
use rlnet_suites::{Cell, CellSpec, LayerRecord, Plan};
use std::collections::BTreeMap;
use std::fs;

/// The cell of a plan that holds most at once, by what it must hold at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub cell: String,
    /// Images in its batch.
    pub batch: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Need {
    /// The largest of a plan's batches of its own networks. `size` gives the side of a data set's images;
    /// `images` how many there are to train with and to test on, which no batch exceeds.
    pub fn of(plan: &Plan, size: impl Fn(&str) -> usize, images: [u64; 2]) -> Option<Self> {
        let mut units: BTreeMap<(&str, usize), u64> = BTreeMap::new();
        let needs = plan.cells.iter().filter_map(|cell| {
            let trained = match &cell.spec {
                CellSpec::Train(spec) => spec,
                CellSpec::Evaluate(_) => {
                    let parent = cell.parents.first()?;
                    let parent = plan.cells.iter().find(|other| other.id == *parent)?;
                    let CellSpec::Train(spec) = &parent.spec else {
                        return None;
                    };
                    spec
                }
            };
            let (batch, images) = match &cell.spec {
                CellSpec::Train(spec) => (spec.batch, images[0]),
                CellSpec::Evaluate(_) => (plan.evaluation_batch, images[1]),
            };
            let batch = images.min(batch as u64);
            let arch: Arch = trained.arch.parse().ok()?;
            let side = size(&cell.data.dataset);
            let units = units.entry((&trained.arch, side)).or_insert_with(|| {
                let layers = arch.survey(side as u64, 2).layers;
                layers.iter().map(LayerRecord::total).sum()
            });
            Some(Self {
                cell: cell.name.clone(),
                batch,
                bytes: least(*units, batch),
            })
        });
        needs.max_by_key(|need| need.bytes)
    }

    /// Why a machine with so much memory cannot have it; nothing where it may.
    pub fn beyond(&self, memory: u64) -> Option<String> {
        (self.bytes > memory).then(|| {
            format!(
                "a batch of {} images of {} holds at least {} of activations, and this machine has {}; lower the batch \
                 (training.batch, evaluation.batch), or use a machine with more memory",
                format::thousands(self.batch),
                self.cell,
                format::bytes(self.bytes),
                format::bytes(memory)
            )
        })
    }

    /// Refuses what this machine's memory cannot hold.
    ///
    /// # Errors
    /// With the cell, its batch and both sizes.
    pub fn refuse(need: Option<&Self>) -> Result<()> {
        let why = need
            .zip(of_machine())
            .and_then(|(need, memory)| need.beyond(memory));
        why.map_or(Ok(()), |why| Err(Error::Usage(why)))
    }
}

/// Bytes that a batch holds at least while a gradient is worked out: the output of every unit and of the
/// convolution before it, in single precision. A step of a training has half of its batch in one pass.
fn least(units: u64, batch: u64) -> u64 {
    4 * units * batch
}

/// Memory that processes of this machine can have together, swap included; of a container, its limit.
pub fn of_machine() -> Option<u64> {
    let of = |key| kilobytes("/proc/meminfo", key);
    let machine = 1024 * (of("MemTotal:")? + of("SwapTotal:").unwrap_or(0));
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

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

    /// ResNet8 at width 4 has 18,432 units before its ReLUs on 32 pixels: by hand, 4 bytes each an image.
    #[test]
    fn a_batch_that_no_machine_holds_is_refused_with_both_sizes() {
        let text = rlnet_suites::catalog::find("demo").expect("demo");
        let plan = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = rlnet_suites::Suite::parse(text, "demo", &sets).expect("a suite");
            let context = rlnet_suites::plan::PlanContext::unread(&suite);
            suite.plan(&context).expect("a plan")
        };
        let need =
            |sets: &[&str], images: [u64; 2]| Need::of(&plan(sets), |_| 32, images).expect("a network");
        let small = [
            "network.arch=resnet8-w4",
            "training.batch=1000",
            "evaluation.batch=100",
        ];
        let found = need(&small, [800, 40]);
        assert_eq!((found.batch, found.bytes), (800, 4 * 18_432 * 800));
        // Evaluations hold less; where there are few images to train with, they are the largest.
        let found = need(&small, [30, 500]);
        assert_eq!((found.batch, found.bytes), (100, 4 * 18_432 * 100));
        assert_eq!(found.beyond(found.bytes), None);
        let why = found.beyond(found.bytes - 1).expect("too large");
        assert!(
            why.contains("a batch of 100 images") && why.contains("7.4 MB"),
            "{why}"
        );
        assert!(Need::refuse(Some(&found)).is_ok());
        let wide = need(
            &["network.arch=resnet8-w1024", "training.batch=100000"],
            [100_000, 10],
        );
        let refused = Need::refuse(Some(&wide)).expect_err("1.9 TB").to_string();
        assert!(refused.contains("lower the batch"), "{refused}");
    }
}
