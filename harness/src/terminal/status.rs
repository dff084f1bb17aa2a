//! `rlnet run --status`: the progress of a run, whichever processes work on it.

use super::{outln, print_json};
use crate::error::{Error, Result};
use crate::run::RunDirectory;
use crate::run::failure::Failures;
use crate::run::heartbeat::worker_statuses;
use crate::run::progress::describe;
#[cfg(feature = "slurm")]
use crate::run::slurm::{self, Submission};
use crate::store::remote::Remote;
use rlnet_suites::{Cell, Plan};
use serde_json::json;
use std::path::Path;

/// Prints the progress of a run, from its directory, its store and, where it was submitted, from Slurm.
///
/// # Errors
/// When there is no run, or its files or its store cannot be read.
pub fn status(out: &Path, remote: Option<&Remote>, json: bool) -> Result<()> {
    let plan = plan_of(out, remote)?;
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
    let workers = worker_statuses(out);
    #[cfg(feature = "slurm")]
    let last = slurm::last(out);
    #[cfg(feature = "slurm")]
    let queue = last.as_ref().map(slurm::queue);
    if json {
        let mut value = json!({
            "suite": plan.suite, "cells": plan.cells.len(), "done": count,
            "failed": failed, "running": workers,
        });
        #[cfg(feature = "slurm")]
        {
            value["submission"] = json!(last);
            value["queue"] = json!(queue.map(|queue| queue.unwrap_or_else(|why| vec![why.to_string()])));
        }
        if let Some((url, stored)) = stored {
            value["store"] = json!({"url": url, "done": stored});
        }
        print_json(&value);
        return Ok(());
    }
    outln!("{}: {count} of {} cells done", plan.suite, plan.cells.len());
    if let Some((url, stored)) = stored {
        outln!("  {stored} cells in {url}");
    }
    for worker in &workers {
        outln!("  {} on {}: {}", worker.process, worker.device, describe(worker));
    }
    for failure in &failed {
        outln!("  failed: {}: {}", failure.name, failure.why);
    }
    #[cfg(feature = "slurm")]
    if let (Some(last), Some(queue)) = (last, queue) {
        jobs(&directory, &last, queue);
    }
    Ok(())
}

#[cfg(feature = "slurm")]
fn jobs(
    directory: &RunDirectory,
    last: &Submission,
    queue: std::result::Result<Vec<String>, crate::error::Problem>,
) {
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
        outln!("Slurm does not list its queue: {why}");
    }
}

/// The plan of a run: that in its directory, or, on a machine where nothing was run yet, the store's.
fn plan_of(out: &Path, remote: Option<&Remote>) -> Result<Plan> {
    let path = out.join("plan.json");
    match remote {
        _ if path.exists() => {
            let text = std::fs::read(&path).map_err(|error| Error::reading(&path, error))?;
            serde_json::from_slice(&text).map_err(|error| Error::reading(&path, error))
        }
        Some(remote) => remote.store().plan()?.ok_or_else(|| remote.store().no_run()),
        None => Err(Error::Usage(format!(
            "{}: there is no run (no plan.json); name the run's folder with --out, or leave --status out to start it",
            out.display()
        ))),
    }
}
