//! `rlnet run --dry-run` and `--verify`: a run directory looked at, with nothing computed.

use super::{say, say_json};
use crate::error::{Error, Result};
use crate::run::RunDirectory;
use crate::run::estimate::{Cost, Images, lines};
use crate::run::view::duration;
use rlnet_suites::{Cell, Plan};
use std::path::Path;

/// Looks at every file of every finished cell.
pub fn verify(out: &Path, json: bool) -> Result<()> {
    if !out.join("cells").is_dir() {
        return Err(Error::Input(format!(
            "{} is no run directory: it has no cells; name one with --out",
            out.display()
        )));
    }
    let directory = RunDirectory::open(out)?;
    let ids = directory.finished()?;
    let damaged = directory.damaged(&ids.iter().collect::<Vec<_>>(), true);
    if json {
        let list = damaged
            .iter()
            .map(|(id, why)| serde_json::json!({"cell": id, "why": why}));
        say_json(&serde_json::json!({"cells": ids.len(), "damaged": list.collect::<Vec<_>>()}));
    }
    for (id, why) in &damaged {
        directory.set_aside(id, why)?;
    }
    if !damaged.is_empty() {
        return Err(Error::Work(format!(
            "{} of {} cells in {} were damaged; run the same command without --verify to compute them again",
            damaged.len(),
            ids.len(),
            out.display()
        )));
    }
    if !json {
        say(&format!(
            "{} cells in {}: all files are as they were written",
            ids.len(),
            out.display()
        ));
    }
    Ok(())
}

/// What is done of a plan, what would run, and what that may take.
pub fn dry_run(plan: &Plan, out: &Path, images: Images, json: bool) -> Result<()> {
    let lines = lines(plan, out, images);
    if json {
        let cells: Vec<_> = lines
            .iter()
            .map(|line| {
                serde_json::json!({
                    "id": line.cell.id, "name": line.cell.name, "done": line.done, "needs": line.needs,
                    "seconds": line.cost.map(|cost| cost.seconds), "bytes": line.cost.map(|cost| cost.bytes),
                })
            })
            .collect();
        say_json(&serde_json::json!({"suite": plan.suite, "cells": cells}));
        return Ok(());
    }
    let (mut missing, mut unknown, mut total) = (0, 0, Cost::default());
    for line in &lines {
        let state = if line.done { "done" } else { "to do" };
        let cost = match line.cost {
            Some(cost) if !line.done => {
                total.seconds += cost.seconds;
                total.bytes += cost.bytes;
                duration(cost.seconds)
            }
            None if !line.done => "?".to_owned(),
            _ => String::new(),
        };
        missing += usize::from(!line.done);
        unknown += usize::from(!line.done && line.cost.is_none());
        let needs = match line.needs.as_slice() {
            [] => String::new(),
            needs => format!("  <- {}", needs.join(", ")),
        };
        let Cell { id, name, .. } = line.cell;
        say(&format!("{id}  {state:<6} {cost:>8}  {name}{needs}"));
    }
    say(&format!(
        "{missing} of {} cells to do in {}",
        plan.cells.len(),
        out.display()
    ));
    if missing > unknown {
        say(&format!(
            "about {} and {:.0} MB, going by measured cells of the same kind{}",
            duration(total.seconds),
            total.bytes / 1e6,
            match unknown {
                0 => String::new(),
                unknown => format!("; {unknown} cells are like none measured"),
            }
        ));
    }
    Ok(())
}
