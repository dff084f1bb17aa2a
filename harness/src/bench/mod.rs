//! How fast this machine is at what the harness does: passes through a model, attacks, training steps, corruptions.
//!
//! Every figure is of work that is repeated for [`Clock::seconds`] or longer, after a first time that is not
//! counted. Images are noise and labels are what the model says, so that no image is broken early: an attack on
//! images that break costs less.

mod attacks;
mod corruptions;
mod machine;
mod passes;
mod training;

use attacks::COUNTED as ATTACK;

pub use attacks::{ATTACKS, attacks};
pub use corruptions::corruptions;
pub use machine::machine;
pub use passes::passes;
pub use training::{Steps, training};

use crate::error::{Error, Result};
use crate::files::{cache_folder, create_folder, write_json};
use crate::nn::budget::allocate;
use crate::nn::{Network, NetworkSpec, Quirks, ReluMask};
use rlnet_suites::train::{Allocation, Budget};
use rlnet_suites::{AttackSpec, NormBanks};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Instant;
use tch::{Cuda, Device, Kind, Tensor};

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// The model or architecture; nothing where it is of the machine alone.
    pub model: Option<String>,
    /// What was measured.
    pub what: String,
    /// How much of it.
    pub value: f64,
    /// Its unit: `images/s`, `GMAC/s` or `GB/s`.
    pub unit: &'static str,
}

impl Rate {
    fn new(model: Option<&str>, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            model: model.map(str::to_owned),
            what: what.into(),
            value,
            unit,
        }
    }
}

/// The device whose work is timed.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Where the work runs.
    pub device: Device,
    /// How long a figure is measured, at least.
    pub seconds: f64,
}

impl Clock {
    /// Seconds of one `work`: the median of as many as fit the time, three at least, or one that takes longer than all of it.
    fn time(self, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
        let begun = Instant::now();
        work()?;
        self.wait();
        let least = if begun.elapsed().as_secs_f64() > self.seconds {
            1
        } else {
            3
        };
        let (begun, mut each) = (Instant::now(), Vec::new());
        while each.len() < least || begun.elapsed().as_secs_f64() < self.seconds {
            let started = Instant::now();
            work()?;
            self.wait();
            each.push(started.elapsed().as_secs_f64());
        }
        each.sort_by(f64::total_cmp);
        Ok(each[each.len() / 2])
    }

    /// Waits until the device has done what it was given.
    fn wait(self) {
        if let Device::Cuda(index) = self.device {
            Cuda::synchronize(index as i64);
        }
    }
}

/// A network of an architecture for ten classes of images of 32 pixels, with random weights and two banks of batch norm;
/// with a budget it keeps so many ReLUs, an equal share of every layer's, drawn by lot.
///
/// # Errors
/// When there is no such architecture, or it has fewer ReLUs.
pub fn network(arch: &str, budget: Option<Budget>, device: Device) -> Result<Network> {
    let spec = NetworkSpec {
        arch: arch
            .parse()
            .map_err(|error| Error::Usage(format!("{arch}: {error}")))?,
        image_size: 32,
        classes: 10,
        norm: NormBanks::Dual,
        quirks: Quirks::default(),
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    let mut network = Network::new(spec, 0, device);
    if budget.is_some() {
        let sizes = network.layer_sizes();
        let keep = allocate(&sizes, budget, Allocation::Uniform, None)?;
        network.set_mask(ReluMask::random(&sizes, &keep, 0))?;
    }
    Ok(network)
}

/// Noise, `[N, 3, side, side]` in `[0, 1]`.
fn noise(n: usize, side: i64, device: Device) -> Tensor {
    Tensor::rand([n as i64, 3, side, side], (Kind::Float, device))
}

/// Passes a second through an architecture, in attacks or in training, whichever is slower; nothing where one of them was
/// not measured.
///
/// # Errors
/// When there is no such architecture.
pub fn slowest_passes(arch: &str, rates: &[Rate]) -> Result<Option<f64>> {
    let of = |what: &str| rates.iter().find(|rate| rate.what == what).map(|rate| rate.value);
    let attack: AttackSpec = ATTACK.parse()?;
    let step = training::passes(arch)?;
    let pair = of(ATTACK).zip(of(training::COUNTED));
    Ok(pair.map(|(attacked, trained)| (attacked * attack.passes()).min(trained * step)))
}

/// What estimates of later runs on this machine need to know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Multiply-accumulates a second of one CPU thread, in attacks or in training, whichever is slower.
    pub macs_per_thread: f64,
}

impl Saved {
    fn path() -> Option<PathBuf> {
        Some(cache_folder()?.join("bench.json"))
    }

    /// What was measured here last, if anything was.
    pub fn read() -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path()?).ok()?).ok()
    }

    /// Keeps it for [`Saved::read`], where the user has a home folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(self) -> Result<()> {
        let Some(path) = Self::path() else { return Ok(()) };
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        write_json(&path, &self)
    }
}
