//! `rlnet run`: a suite from what is there to its report.

use super::drawn::finish;
use super::global::Global;
use super::joining::{Joining, go_on, summary};
use super::look::{dry_run, verify};
use super::remote::Remote;
use super::{cluster, workers};
use crate::error::{Error, Result};
use crate::nn::budget::allocate;
use crate::nn::mask_file;
use crate::progress::announce;
use crate::run::corrupted::Folders;
use crate::run::estimate::loads;
use crate::run::execute::wanted;
use crate::run::files::open_folder;
use crate::run::jobs::Crew;
use crate::run::live::{Presence, process};
use crate::run::work::Images;
use crate::run::{CorruptedSource, Executed, Executor, Part, Prepared, RunDirectory};
use crate::store::Place;
use crate::{device, stop};
use clap::{Args, ValueEnum};
use rlnet_suites::{Cell, CellSpec, Plan, Suite, SuiteError, catalog};
use std::collections::BTreeMap;
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
    joining: Joining,
    #[command(flatten)]
    corrupted: CorruptedFolders,
}

/// Where the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    Local,
    Slurm,
}

/// Where corrupted images, or what they are made of, are found.
#[derive(Debug, Clone, Default, Args)]
pub struct CorruptedFolders {
    /// Read corrupted images from this folder: CIFAR-10-C, CIFAR-100-C, Tiny-ImageNet-C, or
    /// what rlnet corrupt made
    #[arg(long, value_name = "DIR")]
    pub corrupted_dir: Option<PathBuf>,
    /// Folder of the reference's frost photographs (default: pictures made by a formula)
    #[arg(long, value_name = "DIR")]
    pub frost_textures: Option<PathBuf>,
}

impl CorruptedFolders {
    /// As the run needs them.
    pub fn folders(&self) -> Folders {
        Folders {
            corrupted: self.corrupted_dir.clone(),
            frost: self.frost_textures.clone(),
        }
    }
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
            joining: Joining::default(),
            corrupted: CorruptedFolders::default(),
        }
    }

    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        self.joining.listen()?;
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
                ..self.joining.part()
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
        directory.heal(&plan)?;
        if self.executor == Where::Slurm {
            let wanted: Vec<&Cell> = only.iter().collect();
            let shards = (images.test, self.joining.part().shard);
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
                .map_err(go_on),
            _ => self
                .execute(global, (directory, plan), given, self.joining.part())
                .map_err(go_on),
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

/// A suite's images, and its cells as they are on them.
pub fn planned(
    suite: &Suite,
    global: &Global,
    folders: &Folders,
) -> Result<(Prepared, CorruptedSource, Plan)> {
    let data = Prepared::load_suite(suite, &global.data_dir())?;
    let corrupted = CorruptedSource::new(suite.evaluation.corrupted(), folders, &suite.asked(), &data)?;
    let plan = suite.plan(&corrupted.context(&data))?;
    check(suite, &plan, |dataset| data.of_dataset(dataset).size)?;
    Ok((data, corrupted, plan))
}

/// Takes part in the work on the cells whose name matches `only`, and what they need.
pub fn take_part(
    global: &Global,
    (directory, plan): (&RunDirectory, &Plan),
    (data, corrupted): (&Prepared, &CorruptedSource),
    part: Part,
    only: Option<&str>,
) -> Result<Executed> {
    let device = global.open_device()?;
    let _presence = Presence::show(directory.root(), &device::name(device))?;
    Executor {
        directory,
        data,
        corrupted,
        device,
        external: BTreeMap::new(),
        allowed: Vec::new(),
        part,
    }
    .run(plan, only)
}

/// A suite of the catalogue by name, or a file.
pub fn read_suite(name: &str, sets: &[String]) -> Result<Suite> {
    let (file, text) = suite_text(name)?;
    Ok(Suite::parse(&text, &file, sets)?)
}

/// What a suite is called in messages, and its text.
pub fn suite_text(name: &str) -> Result<(String, String)> {
    if let Some(text) = catalog::find(name) {
        return Ok((format!("suite {name}"), text.to_owned()));
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        let known = catalog::CATALOGUE.iter().map(|(name, _)| *name);
        let hint = rlnet_suites::error::suggest(name, known);
        let message = format!("not in the catalogue, and not a .toml file; {hint}");
        return Err(SuiteError::value("suite", name, message).into());
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::reading(path, error))?;
    Ok((name.to_owned(), text))
}

/// What only the harness can check before hours of work: architectures, budgets, masks from files,
/// and whether units of a search on other images fit. `image_size` tells the side of a data set's
/// images. A mistake is reported at the line of the suite that it comes from.
pub fn check(suite: &Suite, plan: &Plan, image_size: impl Fn(&str) -> usize) -> Result<()> {
    for cell in &plan.cells {
        if let CellSpec::Train(spec) = &cell.spec {
            let name = cell.name.as_str();
            let wrong = |key: &str, error: String| {
                let settings: [&[&str]; 3] = [&["train", name, key], &["network", key], &["train", name]];
                Error::from(suite.wrong_at(&settings, error))
            };
            let arch: crate::nn::Arch = spec
                .arch
                .parse()
                .map_err(|error: SuiteError| wrong("arch", error.to_string()))?;
            let size = image_size(&cell.data.dataset);
            let layers = arch.survey(size as u64, 10).layers;
            let sizes: Vec<u64> = layers.iter().map(rlnet_suites::LayerRecord::total).collect();
            if let Some(imported) = &spec.imported {
                mask_file::verify(Path::new(&imported.path), &imported.blake3)?;
            }
            let search = cell.parents.last().filter(|_| spec.units_only);
            let search = search.and_then(|id| plan.cells.iter().find(|cell| cell.id == *id));
            if let Some(search) = search.filter(|search| image_size(&search.data.dataset) != size) {
                let (of, on) = (image_size(&search.data.dataset), &search.data.dataset);
                return Err(wrong(
                    "units",
                    format!(
                        "the units of {} are of images of {of} pixels ({on}) and do not fit images of {size} ({}); \
                         search on images of one size",
                        search.name, cell.data.dataset
                    ),
                ));
            }
            if spec.draws_mask() {
                // What will be measured is not known yet; any weights show whether it fits.
                let stand_in = vec![1.0; sizes.len()];
                let key = if spec.budget.is_some() {
                    "budget"
                } else {
                    "allocation"
                };
                allocate(&sizes, spec.budget, spec.allocation, Some(&stand_in))
                    .map_err(|error| wrong(key, error.to_string()))?;
            } else if let Some(budget) = spec.budget {
                let kept = budget.resolve(sizes.iter().sum());
                kept.map_err(|error| wrong("budget", error.to_string()))?;
            }
        }
    }
    Ok(())
}
