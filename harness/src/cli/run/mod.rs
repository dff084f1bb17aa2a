//! `rlnet run`: a suite, from what is there to its report.

#[cfg_attr(not(feature = "slurm"), path = "no_slurm.rs")]
mod slurm;
mod workers;

use crate::error::{Error, Result};
use crate::files::open_folder;
use crate::progress::announce;
use crate::request::conditions::{images, suite_on};
use crate::request::execution_options::{summary, with_resume_hint};
use crate::request::{CorruptedFolders, ExecutionOptions, Global, heading};
use crate::run::estimate::{cpu_seconds, loads};
use crate::run::eta::Load;
use crate::run::execute::wanted;
use crate::run::heartbeat::process;
use crate::run::memory::Need;
use crate::run::part::Part;
use crate::run::progress::duration;
use crate::run::session::Session;
use crate::run::work::Images;
use crate::run::worker_pool::WorkerPool;
use crate::run::{Executed, Participation, RunDirectory};
use crate::stop;
use crate::store::remote::Remote;
use crate::store::{OutputLocation, Store, StoreClaims};
use crate::terminal::inspect::{dry_run, verify};
use crate::terminal::render::finish;
use crate::terminal::status::status;
use clap::{Args, ValueEnum};
use rlnet_suites::{Cell, ImageRanges, Plan, Suite};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Run a suite: compute what is missing, resume what was interrupted, write the report
///
/// Example: rlnet run cifar10-small --data-dir ~/data --set training.epochs=2
///
/// Example: rlnet run cifar10-small --out s3://bucket/nights/monday
///
/// A second run of the same command finds everything done and computes nothing.
#[derive(Debug, Default, Args)]
pub struct Run {
    /// A suite of the catalogue (rlnet suite list), or a TOML file
    suite: String,
    /// Override a setting: data.test=100, train.teacher.with.epochs=2
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Run only the cells whose name matches, and the cells that they need: 'rlnet/*'
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// Use only the first N test images
    #[arg(long, value_name = "N", help_heading = heading::DATA)]
    limit: Option<u32>,
    /// Measure on these test images: positions and ranges (5000-5511 or 3,7,9-20), or a file of them
    #[arg(long, value_name = "LIST", value_parser = images, conflicts_with = "limit", help_heading = heading::DATA)]
    images: Option<ImageRanges>,
    #[command(flatten)]
    corrupted: CorruptedFolders,
    /// Number of worker processes on this machine. Each takes work that no other process has
    /// claimed; a GPU trains one network at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = heading::RUN)]
    jobs: Option<u16>,
    /// Take only the I-th of N parts of the cells, which are about as long; cells that they need are waited for. For
    /// engines that number their workers, which share --out
    #[arg(long, value_name = "I/N", conflicts_with = "executor", help_heading = heading::RUN)]
    part: Option<Part>,
    /// Seconds after which the work of another machine, which says nothing in the store, is taken over
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 180,
        value_parser = clap::value_parser!(u64).range(2..=86_400),
        help_heading = heading::RUN
    )]
    patience: u64,
    /// Where the work runs: on this machine, or on a Slurm cluster as one array of tasks for each
    /// level of the plan (options in the suite's [slurm] or ~/.config/rlnet/slurm.toml)
    #[arg(long, value_enum, default_value = "local", conflicts_with = "jobs", help_heading = heading::RUN)]
    executor: Where,
    #[command(flatten)]
    execution: ExecutionOptions,
    /// Start even if the estimate for this CPU is longer than a day
    #[arg(long, help_heading = heading::RUN)]
    yes: bool,
    /// Folder for results (default: out/SUITE), or the URL of an object store
    ///
    /// Every finished cell is copied to the store, and cells that are missing here are fetched from
    /// it. URLs: s3://, gs://, az://, https:// (WebDAV), file:///. Credentials come from the
    /// environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, ...
    #[arg(long, value_name = "DIR|URL", help_heading = heading::OUTPUT)]
    out: Option<OutputLocation>,
    /// Working folder when --out is a URL (default: a folder of its own in ~/.cache/rlnet/runs)
    #[arg(long, value_name = "DIR", requires = "out", help_heading = heading::OUTPUT)]
    work_dir: Option<PathBuf>,
    /// Show what is done, what would run, and an estimate of its time and disk space
    #[arg(long, conflicts_with_all = ["verify", "status", "cancel"], help_heading = heading::INSPECT)]
    dry_run: bool,
    /// Show the progress of the run, whichever processes work on it
    #[arg(long, conflicts_with = "cancel", help_heading = heading::INSPECT)]
    status: bool,
    /// Compare every file of the run with its checksum; move damaged cells aside
    #[arg(long, conflicts_with_all = ["status", "cancel"], help_heading = heading::INSPECT)]
    verify: bool,
    /// Cancel the tasks that were submitted to Slurm; they save their work and stop
    #[arg(long, help_heading = heading::INSPECT)]
    cancel: bool,
    /// For the program's own use: the cells of a task on a cluster
    #[arg(long, value_name = "FILE", hide = true, requires = "worker")]
    cells: Option<PathBuf>,
    /// For the program's own use: this process is a worker of the run of that name
    #[arg(long, value_name = "SESSION", hide = true)]
    worker: Option<String>,
}

/// Seconds on a CPU beyond which a run starts only with --yes.
const LONG: f64 = 86_400.0;

/// Refuses cells that take longer than a day on a CPU.
fn refuse_long(cells: &[Load], threads: usize) -> Result<()> {
    let seconds = cpu_seconds(cells, threads);
    if seconds <= LONG {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "this run would take about {} on {threads} CPU threads (an estimate; --dry-run shows more). Add --yes to start \
         it, use a GPU, or choose a smaller scale: --set scale=small",
        duration(seconds)
    )))
}

/// Where the work runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Where {
    #[default]
    Local,
    Slurm,
}

impl Run {
    /// The `demo` suite.
    pub fn demo(out: Option<OutputLocation>) -> Self {
        Self {
            suite: "demo".into(),
            out,
            ..Self::default()
        }
    }

    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        self.execution.listen()?;
        let suite = self.suite(global)?;
        let place = self.place(&suite)?;
        let out = place.folder(self.work_dir.as_deref())?;
        // Workers leave the store to the process that started them.
        let remote = match self.worker {
            Some(_) => None,
            None => Remote::open(&place)?,
        };
        if self.verify {
            return verify(&out, remote.as_ref(), global.json);
        }
        if self.status {
            return status(&out, remote.as_ref(), global.json);
        }
        if self.cancel {
            return slurm::cancel(&out);
        }
        if suite.train.is_empty() {
            return Err(Error::Usage(format!(
                "suite {0} trains no model, it evaluates one that exists: rlnet eval MODEL --suite {1}",
                suite.name, self.suite
            )));
        }
        self.start(global, &suite, &out, remote, started)
    }

    /// Plans the cells, and computes what is missing or shows what it would be.
    fn start(
        &self,
        global: &Global,
        suite: &Suite,
        out: &Path,
        mut remote: Option<Remote>,
        started: Instant,
    ) -> Result<()> {
        let session = Session::new(suite, &global.data_dir(), &self.corrupted.folders())?;
        let plan = &session.plan;
        let cells: Vec<&Cell> = self.cells(&session)?;
        let runs_here = self.worker.is_none() && self.executor == Where::Local;
        if runs_here && global.is_cpu() {
            Need::refuse(session.need().as_ref())?;
        }
        if self.dry_run {
            let plan = Plan {
                cells: cells.into_iter().cloned().collect(),
                ..plan.clone()
            };
            let images = Images::of(&session.data);
            return dry_run(&plan, out, remote.as_ref(), images, global.json);
        }
        if runs_here && !self.yes && global.is_cpu() {
            let stored = |id| remote.as_ref().is_some_and(|remote| remote.there().contains(id));
            let missing: Vec<&Cell> = cells
                .iter()
                .copied()
                .filter(|cell| !stored(&cell.id) && !RunDirectory::has(out, &cell.id))
                .collect();
            let loads = loads(&missing, plan, out, Images::of(&session.data));
            refuse_long(&loads, global.cpu_threads())?;
        }
        open_folder(out)?;
        let directory = RunDirectory::open(out)?;
        if let Some(name) = &self.worker {
            let executed = self.take_part(global, &session, &directory, self.worker_part(name)?)?;
            announce(&summary(&plan.suite, &executed, started.elapsed()));
            return Ok(());
        }
        drop(directory.own_plan(plan)?);
        directory.repair(plan)?;
        if self.executor == Where::Slurm {
            let shards = slurm::Shards {
                images: session.data.test.len(),
                attacked: self.execution.part().shard,
            };
            return slurm::submit(&directory, plan, &cells, &suite.slurm, &shards, global.json);
        }
        let work = || self.work(global, &session, &directory);
        let (executed, copied) = match &mut remote {
            Some(remote) => {
                remote.begin(&directory, plan)?;
                remote.during(&directory, plan, work)?
            }
            None => (work()?, Ok(())),
        };
        announce(&summary(&plan.suite, &executed, started.elapsed()));
        finish(&directory, plan, global.json, &executed)?;
        copied?;
        remote.map_or(Ok(()), |remote| remote.end(&directory))
    }

    /// The suite, with the settings that options override.
    fn suite(&self, global: &Global) -> Result<Suite> {
        let mut sets = self.sets.clone();
        if let Some(seed) = global.seed {
            sets.push(format!("training.seed={seed}"));
            sets.push(format!("evaluation.seed={seed}"));
        }
        suite_on(&self.suite, sets, (self.limit, self.images.as_ref()))
    }

    /// The cells to compute: of those that are wanted this process's part.
    fn cells<'a>(&self, session: &'a Session) -> Result<Vec<&'a Cell>> {
        let wanted = wanted(&session.plan, self.only.as_deref())?;
        match self.part {
            Some(part) => part.of(wanted, &session.plan, Images::of(&session.data)),
            None => Ok(wanted),
        }
    }

    /// Where results go.
    fn place(&self, suite: &Suite) -> Result<OutputLocation> {
        let default = || OutputLocation::Folder(Path::new("out").join(&suite.name));
        let place = self.out.clone().unwrap_or_else(default);
        match (self.executor, place.url()) {
            (Where::Slurm, Some(url)) => Err(Error::Usage(format!(
                "--executor slurm needs a folder that its tasks share, and {url} is not one; give such a folder with \
                 --out, and when the run is done, run the same suite with --out {url} --work-dir FOLDER, which copies it"
            ))),
            _ => Ok(place),
        }
    }

    /// How a worker takes part.
    fn worker_part(&self, session: &str) -> Result<Participation> {
        let mut part = self.execution.part();
        session.clone_into(&mut part.session);
        match &self.cells {
            // A task on a cluster leaves what others have in hand to them.
            Some(file) => {
                part.cells = Some(slurm::cells(file)?);
                part.wait = false;
            }
            None => stop::with_parent(),
        }
        Ok(part)
    }

    /// Computes what is missing, here or in workers.
    fn work(&self, global: &Global, session: &Session, directory: &RunDirectory) -> Result<Executed> {
        let wanted = self.cells(session)?;
        if wanted.iter().all(|cell| directory.is_done(&cell.id)) {
            // No device is opened for nothing.
            return Ok(Executed {
                found: wanted.len(),
                ..Executed::default()
            });
        }
        match self.jobs {
            Some(jobs) if jobs > 1 => self.crew(global, session, directory, &wanted, jobs),
            _ => self.take_part(global, session, directory, self.execution.part()),
        }
        .map_err(with_resume_hint)
    }

    /// Takes part in the work.
    fn take_part(
        &self,
        global: &Global,
        session: &Session,
        directory: &RunDirectory,
        mut part: Participation,
    ) -> Result<Executed> {
        if self.part.is_some() {
            part.cells = Some(self.cells(session)?.iter().map(|cell| cell.id.clone()).collect());
        }
        if let Some(url) = self.out.as_ref().and_then(OutputLocation::url) {
            let store = Arc::new(Store::open(url)?);
            let patience = Duration::from_secs(self.patience);
            part.shared = Some(Arc::new(StoreClaims::start(
                store,
                directory,
                &part.session,
                patience,
            )));
        }
        session.take_part(directory, global.open_device()?, part, self.only.as_deref())
    }

    /// Has workers do the work.
    fn crew(
        &self,
        global: &Global,
        session: &Session,
        directory: &RunDirectory,
        wanted: &[&Cell],
        jobs: u16,
    ) -> Result<Executed> {
        let done = || wanted.iter().filter(|cell| directory.is_done(&cell.id)).count();
        let found = done();
        let images = Images::of(&session.data);
        WorkerPool {
            session: process(),
            arguments: (0..jobs)
                .map(|number| workers::local(global, number, jobs, &process()))
                .collect(),
            cells: loads(wanted, &session.plan, directory.root(), images),
        }
        .run(directory, &session.plan)?;
        let computed = done() - found;
        Ok(Executed {
            computed,
            found,
            left: wanted.len() - found - computed,
            ..Executed::default()
        })
    }
}
