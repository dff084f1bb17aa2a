//! `rlnet run --executor slurm`, `--status` and `--cancel`.

use super::workers;
use crate::error::{Error, Result};
use crate::run::RunDirectory;
use crate::run::failure::Failures;
use crate::run::live::{process, words};
use crate::run::shard::Shard;
use crate::run::shell::quoted;
use crate::run::slurm::{self, Request, Submission};
use crate::run::view::describe;
use crate::store::remote::Remote;
use crate::terminal::{outln, print_json, print_line};
use rlnet_suites::{Cell, CellId, CellSpec, Plan, Slurm};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Submits what is missing. `settings` are the suite's own, the number of test images and that
/// of attacked images in a shard.
pub fn submit(
    directory: &RunDirectory,
    plan: &Plan,
    wanted: &[&Cell],
    (suite, (images, shard)): (Slurm, (usize, usize)),
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
        return Err(Error::Input(format!(
            "{} tasks of this run are in the queue already; see --status, or --cancel them first",
            queue.len()
        )));
    }
    let program =
        std::env::current_exe().map_err(|error| Error::Work(format!("finding rlnet itself: {error}")))?;
    let program = quoted(program.display().to_string());
    let session = process();
    let arguments = workers::cluster(&session).into_iter();
    let arguments = arguments.map(|word| quoted(word.to_string_lossy().into_owned()));
    let slurm = suite.over(own_file()?);
    let shards = |cell: &Cell| match &cell.spec {
        CellSpec::Evaluate(spec) => {
            let counts = vec![images; spec.conditions.len()];
            Shard::all(&spec.conditions, &counts, plan.evaluation_batch, shard).len()
        }
        CellSpec::Train(_) => 1,
    };
    let count = missing.len();
    let submission = slurm::submit(
        directory,
        &Request {
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
        "{count} cells submitted; add --status to this command to see how far they are, --cancel to stop them"
    );
    Ok(())
}

/// The user's own settings; none without a file.
fn own_file() -> Result<Slurm> {
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
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

/// Says how far a run is, from its directory, its store and, where it was submitted, from Slurm.
pub fn status(out: &Path, remote: Option<&Remote>, json: bool) -> Result<()> {
    let path = out.join("plan.json");
    // On a machine where nothing was run yet, the store knows.
    let elsewhere = match remote {
        Some(remote) if !path.exists() => {
            Some(remote.store().plan()?.ok_or_else(|| remote.store().no_run())?)
        }
        _ => None,
    };
    let plan = match elsewhere {
        Some(plan) => plan,
        None => {
            if !path.exists() {
                return Err(Error::Input(format!(
                    "{}: nothing was run there (it has no plan.json); name the run's folder with --out, or leave \
                     --status out to run it",
                    out.display()
                )));
            }
            let text = std::fs::read(&path).map_err(|error| Error::reading(&path, error))?;
            serde_json::from_slice(&text).map_err(|error| Error::reading(&path, error))?
        }
    };
    let stored = remote.map(|remote| {
        let there = |cell: &&Cell| remote.there().contains(&cell.id);
        (remote.store().url(), plan.cells.iter().filter(there).count())
    });
    let directory = RunDirectory::open(out)?;
    let failures = Failures::new(&directory, "")?;
    let done = |cell: &&Cell| directory.is_done(&cell.id);
    let count = plan.cells.iter().filter(done).count();
    let failed: Vec<_> = plan
        .cells
        .iter()
        .filter(|cell| !done(cell))
        .filter_map(|cell| failures.of(&cell.id))
        .collect();
    let words = words(out);
    let last = slurm::last(out);
    let queue = last.as_ref().map(slurm::queue);
    if json {
        let queue = queue.map(|queue| queue.unwrap_or_else(|why| vec![why]));
        let mut said = json!({
            "suite": plan.suite, "cells": plan.cells.len(), "done": count,
            "failed": failed, "running": words, "submission": last, "queue": queue,
        });
        if let Some((url, stored)) = stored {
            said["store"] = json!({"url": url, "done": stored});
        }
        print_json(&said);
        return Ok(());
    }
    outln!("{}: {count} of {} cells done", plan.suite, plan.cells.len());
    if let Some((url, stored)) = stored {
        outln!("  {stored} cells in {url}");
    }
    for word in &words {
        outln!("  {} on {}: {}", word.process, word.device, describe(word));
    }
    for failure in &failed {
        outln!("  failed: {}: {}", failure.name, failure.why);
    }
    if let (Some(last), Some(queue)) = (last, queue) {
        jobs(&directory, &last, queue);
    }
    Ok(())
}

fn jobs(directory: &RunDirectory, last: &Submission, queue: std::result::Result<Vec<String>, String>) {
    let (queue, why) = match queue {
        Ok(queue) => (queue, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    for job in &last.jobs {
        let done = job.cells.iter().filter(|id| directory.is_done(id)).count();
        let mine = |line: &&String| line.split(['_', ' ']).next() == Some(job.id.as_str());
        let states: Vec<&str> = queue.iter().filter(mine).map(String::as_str).collect();
        outln!(
            "job {} {}: {done} of {} cells done{}",
            job.id,
            job.name,
            job.cells.len(),
            if states.is_empty() { "" } else { "; in the queue:" }
        );
        for state in states {
            outln!("  {state}");
        }
    }
    if let Some(why) = why {
        outln!("the queue cannot be asked: {why}");
    }
}

/// Cancels what was submitted.
pub fn cancel(out: &Path) -> Result<()> {
    let Some(last) = slurm::last(out) else {
        return Err(Error::Input(format!(
            "{}: nothing was submitted to Slurm",
            out.display()
        )));
    };
    slurm::cancel(out, &last)?;
    print_line("cancelled; what was done is saved, and the same command without --cancel goes on with it");
    Ok(())
}
