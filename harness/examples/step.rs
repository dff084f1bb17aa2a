//! Images a second of training steps and of PGD-20, in each arithmetic: our side of
//! `tests/peers/step.py`.
//!
//! ```text
//! step DEVICE ARCH BATCH STEPS        (cuda resnet18 128 30)
//! ```
//!
//! A line a figure on stdout: what, value and unit, with tabs between. Images are noise, as many as the
//! steps need; batches are made as in training, AugMix included, on CPU threads one ahead. The first
//! steps, in which cuDNN tries its algorithms, are not counted.

use anyhow::{Context, Result, bail};
use rlnet::attack::{Classifier, Target, run};
use rlnet::data::{Split, epoch};
use rlnet::device::{DeviceRequest, Training, open};
use rlnet::nn::{Network, NetworkSpec, Quirks, ReluMask};
use rlnet::train::curves::EpochMeans;
use rlnet::train::optimizer::Optimizer;
use rlnet::train::passes::Passes;
use rlnet::train::score::Scores;
use rlnet::train::sgd::Sgd;
use rlnet::train::stage::views;
use rlnet::train::step::Step;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::objective::Precision;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::{AttackSpec, Branch, CellSpec, NormBanks, Suite, TrainSpec};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use tch::{Cuda, Device, Kind, Tensor, no_grad_guard};

/// Steps before the clock starts.
const WARM: usize = 5;

/// What is measured, on what.
struct Bench {
    device: Device,
    arch: String,
    batch: usize,
    steps: usize,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [device, arch, batch, steps] = &words[..] else {
        bail!("usage: step DEVICE ARCH BATCH STEPS, such as: step cuda resnet18 128 30");
    };
    let wish: DeviceRequest = device.parse().map_err(anyhow::Error::msg)?;
    let bench = Bench {
        device: open(wish, None)?,
        arch: arch.clone(),
        batch: batch.parse().with_context(|| format!("BATCH {batch}"))?,
        steps: steps.parse().with_context(|| format!("STEPS {steps}"))?,
    };
    if bench.batch < 2 || bench.steps == 0 {
        bail!("BATCH is 2 or more, STEPS 1 or more");
    }
    if bench.device.is_cuda() {
        say("bf16 matrix product of 8192", bench.matrix_rate(8192), "TFLOP/s");
    }
    let split = noise(bench.batch * (bench.steps + WARM));
    for stage in ["teacher", "student"] {
        for precision in ["fp32", "tf32", "bf16"] {
            let what = format!("{stage} step, {precision}");
            say(&what, bench.training_rate(stage, precision, &split)?, "images/s");
        }
    }
    say("making batches", bench.batch_rate(&split)?, "images/s");
    for precision in ["fp32", "bf16"] {
        let what = format!("PGD-20 evaluation, {precision}");
        say(&what, bench.attack_rate(precision)?, "images/s");
    }
    Ok(())
}

fn say(what: &str, value: f64, unit: &str) {
    // Nobody is left to be told when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{what}\t{value}\t{unit}");
}

/// Noise with labels of ten classes.
fn noise(n: usize) -> Arc<Split> {
    let mut rng = KeyedRng::new(0, "step example", &[]);
    Arc::new(Split {
        size: 32,
        files: None,
        images: (0..n * 32 * 32 * 3).map(|_| rng.below(256) as u8).collect(),
        labels: (0..n).map(|_| rng.below(10) as u16).collect(),
        indices: (0..n as u32).collect(),
    })
}

impl Bench {
    /// Waits until the device has done what it was given.
    fn wait(&self) {
        if let Device::Cuda(index) = self.device {
            Cuda::synchronize(index as i64);
        }
    }

    /// A stage with the paper's losses and PGD-7.
    fn stage(&self, name: &str, precision: &str) -> Result<TrainSpec> {
        let text = format!(
            "schema = 1\nname = \"rates\"\ntitle = \"Rates\"\ndescription = \"Steps by the clock.\"\n\
             [data]\ndataset = \"cifar10\"\n[network]\narch = \"{}\"\n\
             [training]\nattack = \"pgd:steps=7\"\nbatch = {}\nprecision = \"{precision}\"\n\
             [[train]]\nname = \"teacher\"\nstage = \"teacher\"\n\
             [[train]]\nname = \"mask\"\nstage = \"mask\"\nteacher = \"teacher\"\nbudget = \"11x\"\n\
             [[train]]\nname = \"student\"\nstage = \"student\"\nmask = \"mask\"\n\
             [evaluation]\ncorruptions = \"none\"\nattacks = [\"fgsm\"]\n",
            self.arch, self.batch,
        );
        let suite = Suite::parse(&text, "the example's suite", &[])?;
        let plan = suite.plan(&PlanContext::unread(&suite))?;
        let cell = plan.cells.into_iter().find(|cell| cell.name == name);
        match cell.context("a stage of the example's suite")?.spec {
            CellSpec::Train(spec) => Ok(spec),
            CellSpec::Evaluate(_) => bail!("{name} is trained"),
        }
    }

    /// A dual-norm network; with `share` of its ReLUs, drawn by lot, when there is one.
    fn network(&self, share: Option<u64>) -> Result<Network> {
        let spec = NetworkSpec {
            arch: self.arch.parse()?,
            image_size: 32,
            classes: 10,
            norm: NormBanks::Dual,
            quirks: Quirks::default(),
            mean: [0.5; 3],
            std: [0.25; 3],
        };
        let mut network = Network::new(spec, 0, self.device);
        if let Some(share) = share {
            let sizes = network.layer_sizes();
            let keep: Vec<u64> = sizes.iter().map(|n| n / share).collect();
            network.set_mask(ReluMask::random(&sizes, &keep, 0))?;
        }
        Ok(network)
    }

    fn training_rate(&self, stage: &str, precision: &str, split: &Arc<Split>) -> Result<f64> {
        let spec = self.stage(stage, precision)?;
        let _settings = Training::begin(self.device, spec.precision != Precision::Fp32)?;
        let distilled = stage == "student";
        let teacher = distilled.then(|| self.network(None)).transpose()?;
        let network = self.network(distilled.then_some(11))?;
        let mut optimizer = Optimizer::Sgd(Sgd::new(network.params(), spec.momentum, spec.weight_decay));
        let (mut scores, mut means, passes) = (Scores::default(), EpochMeans::default(), Passes::default());
        let step = Step {
            spec: &spec,
            network: &network,
            teacher: teacher.as_ref(),
            slopes: None,
            epoch: 1,
            lr: 0.01,
            done: 0.5,
            pattern: Default::default(),
            passes: &passes,
        };
        let mut started = Instant::now();
        for (place, batch) in epoch(Arc::clone(split), views(&spec, 1)).enumerate() {
            if place == WARM {
                self.wait();
                started = Instant::now();
            }
            step.run(&batch?, &mut optimizer, &mut scores, &mut means)?;
        }
        self.wait();
        Ok((self.steps * self.batch) as f64 / started.elapsed().as_secs_f64())
    }

    /// What the CPU's threads can make, with nobody waiting for it.
    fn batch_rate(&self, split: &Arc<Split>) -> Result<f64> {
        let spec = self.stage("teacher", "fp32")?;
        let started = Instant::now();
        let images = epoch(Arc::clone(split), views(&spec, 1)).map(|batch| batch.map(|batch| batch.len()));
        let images = images.sum::<std::result::Result<usize, _>>()?;
        Ok(images as f64 / started.elapsed().as_secs_f64())
    }

    fn attack_rate(&self, precision: &str) -> Result<f64> {
        let n = if self.device.is_cuda() { 1000 } else { 64 };
        let kind = (precision == "bf16").then_some(Kind::BFloat16);
        let network = self.network(None)?;
        let frozen = network.freeze_branch(Branch::Adversarial, kind);
        let model: &dyn Classifier = &frozen;
        let images = Tensor::rand([n, 3, 32, 32], (Kind::Float, self.device));
        let labels = Tensor::randint(10, [n], (Kind::Int64, self.device));
        let indices: Vec<u32> = (0..n as u32).collect();
        let attack: AttackSpec = "pgd:steps=20".parse()?;
        let mut rate = 0.0;
        // Once to warm up.
        for _ in 0..2 {
            let started = Instant::now();
            let target = Target::new(model, Branch::Adversarial, &images, &labels, &indices, 0);
            let _ = run(&attack, &target, None)?;
            self.wait();
            rate = n as f64 / started.elapsed().as_secs_f64();
        }
        Ok(rate)
    }

    /// TFLOP/s of a square product, what the hardware gives to matrices.
    fn matrix_rate(&self, side: i64) -> f64 {
        const TIMES: i32 = 20;
        let _guard = no_grad_guard();
        let matrix = Tensor::rand([side, side], (Kind::BFloat16, self.device));
        let _ = matrix.matmul(&matrix);
        self.wait();
        let started = Instant::now();
        for _ in 0..TIMES {
            let _ = matrix.matmul(&matrix);
        }
        self.wait();
        f64::from(TIMES) * 2.0 * (side as f64).powi(3) / started.elapsed().as_secs_f64() / 1e12
    }
}
