//! `rlnet run --executor slurm` and `--cancel`.

use super::workers;
use crate::error::{Error, Result};
use crate::run::RunDirectory;
use crate::run::heartbeat::process;
use crate::run::shard::Shard;
use crate::run::shell::quoted;
use crate::run::slurm::{self, SlurmRequest};
use crate::terminal::{outln, print_json, print_line};
use rlnet_suites::{Cell, CellId, CellSpec, Plan, Slurm};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The shards that evaluations are split into.
pub struct Shards {
    /// The number of test images.
    pub images: usize,
    /// Images of one attack in a shard.
    pub attacked: usize,
}

/// Submits what is missing; `suite` has the suite's own options.
pub fn submit(
    directory: &RunDirectory,
    plan: &Plan,
    wanted: &[&Cell],
    suite: &Slurm,
    shards: &Shards,
    json: bool,
) -> Result<()> {
    let missing: Vec<&Cell> = wanted
        .iter()
        .copied()
        .filter(|cell| !directory.is_done(&cell.id))
        .collect();
    let running = slurm::last(directory.root())
        .and_then(|last| Some((slurm::queue(&last).ok()?, last)))
        .filter(|(queue, _)| !queue.is_empty());
    if let Some((queue, _)) = running {
        return Err(Error::Usage(format!(
            "{} tasks of this run are in the queue already; look at them with --status, or --cancel them first",
            queue.len()
        )));
    }
    let program =
        std::env::current_exe().map_err(|error| Error::External(format!("finding rlnet itself: {error}")))?;
    let program = quoted(program.display().to_string());
    let session = process();
    let arguments = workers::cluster(&session)
        .into_iter()
        .map(|word| quoted(word.to_string_lossy().into_owned()));
    let slurm = suite.clone().over(own_file()?);
    let shards = |cell: &Cell| match &cell.spec {
        CellSpec::Evaluate(spec) => {
            let counts = vec![shards.images; spec.conditions.len()];
            Shard::all(&spec.conditions, &counts, plan.evaluation_batch, shards.attacked).len()
        }
        CellSpec::Train(_) => 1,
    };
    let count = missing.len();
    let submission = slurm::submit(
        directory,
        &SlurmRequest {
            suite: &plan.suite,
            session: &session,
            slurm: &slurm,
            worker: std::iter::once(program.clone()).chain(arguments).collect(),
            report: vec![
                program,
                "report".into(),
                quoted(directory.root().display().to_string()),
            ],
            missing,
            shards: &shards,
        },
    )?;
    if json {
        print_json(&json!(submission));
        return Ok(());
    }
    for job in &submission.jobs {
        outln!(
            "job {:>8}  {:<10} {:>3} tasks, {} cells",
            job.id,
            job.name,
            job.tasks,
            job.cells.len()
        );
    }
    outln!(
        "{count} cells submitted; add --status to this command to see their progress, --cancel to stop them"
    );
    Ok(())
}

/// The user's own settings; none without a file.
fn own_file() -> Result<Slurm> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    let Some(path) = folder.map(|folder| folder.join("rlnet").join("slurm.toml")) else {
        return Ok(Slurm::default());
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| Error::reading(&path, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Slurm::default()),
        Err(error) => Err(Error::reading(&path, error)),
    }
}

/// The cells of a task.
pub fn cells(file: &Path) -> Result<BTreeSet<CellId>> {
    let text = std::fs::read(file).map_err(|error| Error::reading(file, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::reading(file, error))
}

/// Cancels what was submitted.
pub fn cancel(out: &Path) -> Result<()> {
    let Some(last) = slurm::last(out) else {
        return Err(Error::Usage(format!(
            "{}: nothing was submitted to Slurm",
            out.display()
        )));
    };
    slurm::cancel(out, &last)?;
    print_line("cancelled; finished work is saved, and the same command without --cancel resumes it");
    Ok(())
}
