//! `rlnet bench`: how fast this machine is.

use crate::attack::Classifier;
use crate::bench::{self, Clock, Rate, Saved, Steps};
use crate::error::{Error, Result};
use crate::nn::Arch;
use crate::progress::announce;
use crate::request::{Global, OpenedModel, ReadingOptions};
use crate::terminal::{outln, print_json};
use clap::{Args, ValueEnum};
use rlnet_reports::format::count;
use rlnet_suites::train::Budget;
use serde_json::json;
use std::path::PathBuf;
use tch::Device;

/// Measure how fast this machine runs a model, attacks on it, training steps and corruptions
///
/// Example: rlnet bench resnet18
///
/// Example: rlnet bench model.pt --batch 64 --only passes,attacks --json
///
/// MODEL is the name of an architecture (random weights and two banks of batch norm), or anything that `rlnet eval`
/// takes. Images are noise that no attack breaks, so a real run is faster. Training steps are measured of
/// architectures only. `rlnet run --dry-run` counts with the rate of the architecture that was measured last on the CPU.
#[derive(Debug, Args)]
pub struct Bench {
    /// Architectures (resnet18), or models as `rlnet eval` takes them
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadingOptions,
    /// What to measure, with commas (default: all)
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,
    /// The attacks to measure, instead of those of AutoAttack, FGSM and PGD; repeat the option for more
    #[arg(long = "attack", value_name = "ATTACK")]
    attacks: Vec<String>,
    /// ReLUs that an architecture keeps in passes and attacks, drawn by lot: 50k or 11x (default: all)
    #[arg(long, value_name = "N")]
    budget: Option<Budget>,
    /// Images at a time (default: 128 on a GPU, 32 on a CPU)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..))]
    batch: Option<u32>,
    /// Side of the images, in pixels
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..))]
    size: u32,
    /// Training steps that are timed (default: 30 on a GPU, 2 on a CPU)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Seconds for each of the other figures, at least
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
}

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Matrix products and a copy: the floor under the other figures.
    Machine,
    /// Passes forward and backward.
    Passes,
    /// Attacks that nothing breaks.
    Attacks,
    /// Steps of the three training stages.
    Training,
    /// The fifteen corruptions, on the CPU.
    Corruptions,
}

impl Bench {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        if !(self.seconds > 0.0 && self.seconds <= 600.0) {
            return Err(Error::Usage(format!(
                "--seconds {}: give more than 0 and at most 600",
                self.seconds
            )));
        }
        let device = global.open_device()?;
        let clock = Clock {
            device,
            seconds: self.seconds,
        };
        let mut rates = Vec::new();
        if self.measures(What::Machine) {
            announce("measuring the machine");
            rates.extend(bench::machine(clock)?);
        }
        if self.measures(What::Corruptions) {
            announce("measuring corruptions");
            rates.extend(bench::corruptions(self.seconds)?);
        }
        for model in &self.models {
            let name = model.to_string_lossy();
            rates.extend(match name.parse::<Arch>() {
                Ok(_) => self.architecture(&name, clock)?,
                Err(_) if self.budget.is_some() => {
                    return Err(Error::Usage(format!(
                        "--budget: {name} is no architecture, and a model keeps the ReLUs that it has"
                    )));
                }
                Err(_) => {
                    let opened = self.reading.open(model, None, global.threads.map(usize::from))?;
                    self.file(&opened, clock)?
                }
            });
        }
        self.show(&rates, device, global)
    }

    fn measures(&self, what: What) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }

    fn batch(&self, device: Device) -> usize {
        let usual = if device.is_cuda() { 128 } else { 32 };
        self.batch.unwrap_or(usual) as usize
    }

    /// A network with random weights: all that its device runs.
    fn architecture(&self, arch: &str, clock: Clock) -> Result<Vec<Rate>> {
        let network = bench::network(arch, self.budget, clock.device)?;
        let macs = network.macs() as f64 / f64::from(tch::get_num_threads());
        let mut rates = self.model_rates(arch, &network.into_frozen(), clock)?;
        if self.measures(What::Training) {
            announce(&format!("measuring training steps of {arch}"));
            let usual = if clock.device.is_cuda() { 30 } else { 2 };
            let steps = Steps {
                batch: self.batch(clock.device),
                counted: self.steps.unwrap_or(usual) as usize,
            };
            rates.extend(bench::training(clock, arch, steps)?);
        }
        if clock.device == Device::Cpu
            && self.budget.is_none()
            && let Some(passes) = bench::slowest_passes(arch, &rates)?
        {
            let macs_per_thread = passes * macs;
            Saved { macs_per_thread }.write()?;
        }
        Ok(rates)
    }

    fn file(&self, opened: &OpenedModel, clock: Clock) -> Result<Vec<Rate>> {
        let (model, _) = opened.file.source.open(clock.device)?;
        self.model_rates(&opened.file.facts.name, model.as_ref(), clock)
    }

    fn model_rates(&self, name: &str, model: &dyn Classifier, clock: Clock) -> Result<Vec<Rate>> {
        let (batch, side) = (self.batch(clock.device), i64::from(self.size));
        let mut rates = Vec::new();
        if self.measures(What::Passes) {
            announce(&format!("measuring passes of {name}"));
            rates.extend(bench::passes(clock, name, model, batch, side)?);
        }
        if self.measures(What::Attacks) {
            announce(&format!("measuring attacks on {name}"));
            let attacks = match self.attacks.as_slice() {
                [] => &bench::ATTACKS.map(str::to_owned),
                asked => asked,
            };
            rates.extend(bench::attacks(clock, attacks, name, model, batch, side)?);
        }
        Ok(rates)
    }

    fn show(&self, rates: &[Rate], device: Device, global: &Global) -> Result<()> {
        let (name, threads) = (crate::device::name(device), tch::get_num_threads());
        if global.json {
            print_json(&json!({
                "program": env!("CARGO_PKG_VERSION"),
                "libtorch": crate::device::LIBTORCH,
                "device": name,
                "threads": threads,
                "batch": self.batch(device),
                "rates": rates,
            }));
            return Ok(());
        }
        outln!(
            "{name}, {}, {} images at a time",
            count(threads as usize, "CPU thread"),
            self.batch(device)
        );
        let mut of = None;
        for rate in rates {
            if rate.model != of {
                outln!("\n{}", rate.model.as_deref().unwrap_or_default());
                of.clone_from(&rate.model);
            }
            let digits = if rate.value < 10.0 { 2 } else { 0 };
            outln!("  {:<44} {:>10.digits$} {}", rate.what, rate.value, rate.unit);
        }
        Ok(())
    }
}
