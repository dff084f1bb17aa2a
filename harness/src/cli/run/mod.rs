//! `rlnet run`: a suite from what is there to its report.

mod cluster;
mod workers;

use crate::error::{Error, Result};
use crate::progress::announce;
use crate::request::execution_options::{summary, with_resume_hint};
use crate::request::{CorruptedFolders, ExecutionOptions, Global};
use crate::run::estimate::loads;
use crate::run::execute::wanted;
use crate::run::files::open_folder;
use crate::run::jobs::Crew;
use crate::run::live::process;
use crate::run::session::{planned, read_suite, take_part};
use crate::run::work::Images;
use crate::run::{CorruptedSource, Executed, Part, Prepared, RunDirectory};
use crate::stop;
use crate::store::Place;
use crate::store::remote::Remote;
use crate::terminal::inspect::{dry_run, verify};
use crate::terminal::render::finish;
use clap::{Args, ValueEnum};
use rlnet_suites::{Cell, Plan};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Run what is missing of a suite, resume what was cut off, draw the report
///
/// The same command again does nothing and says so.
///
/// Example: rlnet run cifar10-small --data-dir ~/data --set training.epochs=2
///
/// Example: rlnet run cifar10-small --out s3://bucket/nights/monday
#[derive(Debug, Args)]
pub struct Run {
    /// A suite of the catalogue, or a TOML file
    suite: String,
    /// Where results go (default: out/SUITE): a folder, or the URL of an object store, which gets
    /// every cell as it is finished and gives those back that are missing here. s3://, gs://, az://,
    /// https:// (WebDAV), file:///; credentials from the environment, as AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL
    #[arg(long, value_name = "DIR|URL")]
    out: Option<Place>,
    /// With a URL: the folder to work in (default: one of its own in ~/.cache/rlnet/runs)
    #[arg(long, value_name = "DIR", requires = "out")]
    work_dir: Option<PathBuf>,
    /// Override a setting: data.test=100, train.teacher.with.epochs=2
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Run only the cells whose name matches, and what they need: 'rlnet/*'
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// Use only the first N test images
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Show what is done and what would run
    #[arg(long, conflicts_with_all = ["verify", "status", "cancel"])]
    dry_run: bool,
    /// Compare every file of the run directory with its checksum; set damaged cells aside
    #[arg(long, conflicts_with_all = ["status", "cancel"])]
    verify: bool,
    /// Workers on this machine: each takes what no other has claimed; every GPU trains one network
    /// at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where the work is done: on this machine, or on a Slurm cluster (an array of tasks a level of
    /// the plan; options in the suite's [slurm] or ~/.config/rlnet/slurm.toml)
    #[arg(long, value_enum, default_value = "local", conflicts_with = "jobs")]
    executor: Where,
    /// Show how far the run is, whoever works on it
    #[arg(long, conflicts_with = "cancel")]
    status: bool,
    /// Cancel what was submitted to Slurm; its tasks save and stop
    #[arg(long)]
    cancel: bool,
    /// For the program's own use: the cells of a task on a cluster
    #[arg(long, value_name = "FILE", hide = true, requires = "worker")]
    cells: Option<PathBuf>,
    /// For the program's own use: this process is a worker of the run of that name
    #[arg(long, value_name = "SESSION", hide = true)]
    worker: Option<String>,
    #[command(flatten)]
    execution: ExecutionOptions,
    #[command(flatten)]
    corrupted: CorruptedFolders,
}

/// Where the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    Local,
    Slurm,
}

impl Run {
    /// The `demo` suite.
    pub fn demo(out: Option<Place>) -> Self {
        Self {
            suite: "demo".into(),
            out,
            work_dir: None,
            sets: Vec::new(),
            only: None,
            limit: None,
            dry_run: false,
            verify: false,
            jobs: None,
            executor: Where::Local,
            status: false,
            cancel: false,
            cells: None,
            worker: None,
            execution: ExecutionOptions::default(),
            corrupted: CorruptedFolders::default(),
        }
    }

    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        self.execution.listen()?;
        let mut sets = self.sets.clone();
        sets.extend(self.limit.map(|n| format!("data.test={n}")));
        if let Some(seed) = global.seed {
            sets.push(format!("training.seed={seed}"));
            sets.push(format!("evaluation.seed={seed}"));
        }
        let suite = read_suite(&self.suite, &sets)?;
        let place = self.out.clone();
        let place = place.unwrap_or_else(|| Place::Folder(Path::new("out").join(&suite.name)));
        let out = place.folder(self.work_dir.as_deref())?;
        if let (Where::Slurm, Some(url)) = (self.executor, place.url()) {
            return Err(Error::Input(format!(
                "--executor slurm needs a folder that its tasks share, and {url} is none; give --out such a \
                 folder, and when it is done run the same suite with --out {url} --work-dir FOLDER, which copies it"
            )));
        }
        // Workers leave the store to the process that started them.
        let mut remote = match self.worker {
            Some(_) => None,
            None => Remote::open(&place)?,
        };
        if self.verify {
            return verify(&out, remote.as_ref(), global.json);
        }
        if self.status {
            return cluster::status(&out, remote.as_ref(), global.json);
        }
        if self.cancel {
            return cluster::cancel(&out);
        }
        if suite.train.is_empty() {
            return Err(Error::Input(format!(
                "suite {0} trains nothing; it measures a model that is there: rlnet eval MODEL --suite {1}",
                suite.name, self.suite
            )));
        }
        let (data, corrupted, plan) = planned(&suite, global, &self.corrupted.folders())?;
        let only: Vec<Cell> = wanted(&plan, self.only.as_deref())?
            .into_iter()
            .cloned()
            .collect();
        let images = Images::of(&data);
        if self.dry_run {
            let plan = Plan { cells: only, ..plan };
            return dry_run(&plan, &out, remote.as_ref(), images, global.json);
        }
        open_folder(&out)?;
        let directory = RunDirectory::open(&out)?;
        if let Some(session) = &self.worker {
            let mut part = Part {
                session: session.clone(),
                ..self.execution.part()
            };
            match &self.cells {
                // A task on a cluster leaves what others have in hand to them.
                Some(file) => {
                    part.cells = Some(cluster::cells(file)?);
                    part.wait = false;
                }
                None => stop::with_parent(),
            }
            let executed = self.execute(global, (&directory, &plan), (&data, &corrupted), part)?;
            announce(&summary(&plan.suite, &executed, started.elapsed()));
            return Ok(());
        }
        drop(directory.own_plan(&plan)?);
        directory.repair(&plan)?;
        if self.executor == Where::Slurm {
            let wanted: Vec<&Cell> = only.iter().collect();
            let shards = (images.test, self.execution.part().shard);
            return cluster::submit(
                &directory,
                &plan,
                &wanted,
                (suite.slurm.clone(), shards),
                global.json,
            );
        }
        let work = || self.work(global, (&directory, &plan), (&data, &corrupted));
        let (executed, copied) = match &mut remote {
            Some(remote) => {
                remote.begin(&directory, &plan)?;
                remote.during(&directory, &plan, work)?
            }
            None => (work()?, Ok(())),
        };
        announce(&summary(&plan.suite, &executed, started.elapsed()));
        finish(&directory, &plan, global.json, &executed)?;
        copied?;
        remote.map_or(Ok(()), |remote| remote.end(&directory))
    }

    /// Computes what is missing, here or in workers.
    fn work(
        &self,
        global: &Global,
        (directory, plan): (&RunDirectory, &Plan),
        given: (&Prepared, &CorruptedSource),
    ) -> Result<Executed> {
        let wanted = wanted(plan, self.only.as_deref())?;
        let images = Images::of(given.0);
        match self.jobs {
            // No device is opened for nothing.
            _ if wanted.iter().all(|cell| directory.is_done(&cell.id)) => Ok(Executed {
                found: wanted.len(),
                ..Executed::default()
            }),
            Some(jobs) if jobs > 1 => self
                .crew(global, (directory, images), (plan, &wanted), jobs)
                .map_err(with_resume_hint),
            _ => self
                .execute(global, (directory, plan), given, self.execution.part())
                .map_err(with_resume_hint),
        }
    }

    /// Takes part in the work.
    fn execute(
        &self,
        global: &Global,
        (directory, plan): (&RunDirectory, &Plan),
        (data, corrupted): (&Prepared, &CorruptedSource),
        part: Part,
    ) -> Result<Executed> {
        let (place, images) = ((directory, plan), (data, corrupted));
        take_part(global, place, images, part, self.only.as_deref())
    }

    /// Has workers do the work.
    fn crew(
        &self,
        global: &Global,
        (directory, images): (&RunDirectory, Images),
        (plan, wanted): (&Plan, &[&Cell]),
        jobs: u16,
    ) -> Result<Executed> {
        let done = || wanted.iter().filter(|cell| directory.is_done(&cell.id)).count();
        let found = done();
        if found < wanted.len() {
            Crew {
                session: process(),
                arguments: (0..jobs)
                    .map(|number| workers::local(global, number, jobs, &process()))
                    .collect(),
                cells: loads(wanted, plan, directory.root(), images),
            }
            .run(directory, plan)?;
        }
        let computed = done() - found;
        Ok(Executed {
            computed,
            found,
            left: wanted.len() - found - computed,
            ..Executed::default()
        })
    }
}
