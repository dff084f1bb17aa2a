//! `rlnet run --dry-run` and `--verify`: the state of a run directory; nothing is computed.

use crate::error::{Error, Result};
use crate::progress::announce;
use crate::run::RunDirectory;
use crate::run::estimate::{Cost, cpu_time, lines};
use crate::run::progress::duration;
use crate::run::work::{self, GPU_RATE, Images};
use crate::store::remote::Remote;
use crate::terminal::{outln, print_json};
use rlnet_suites::{Cell, CellId, Plan};
use serde_json::json;
use std::fmt::Display;
use std::path::Path;

/// Compares every file of every finished cell, and the store's copies, with their checksums.
///
/// # Errors
/// When something is damaged, or cannot be read.
pub fn verify(out: &Path, remote: Option<&Remote>, json: bool) -> Result<()> {
    if !out.join("cells").is_dir() && remote.is_none() {
        return Err(Error::Missing(format!(
            "{} is not a run directory: it has no cells; name one with --out",
            out.display()
        )));
    }
    let directory = RunDirectory::open(out)?;
    let ids = directory.finished()?;
    let all: Vec<&CellId> = ids.iter().collect();
    let damaged = directory.damaged(&all, true);
    let images = directory.damaged_images(&all);
    let copies = match remote {
        Some(remote) => remote.store().damaged(remote.there())?,
        None => Vec::new(),
    };
    let list = |damaged: &[(&CellId, &String)]| -> Vec<_> {
        let one = |(id, why): &(&CellId, &String)| json!({"cell": id, "why": why});
        damaged.iter().map(one).collect()
    };
    if json {
        let here: Vec<_> = damaged.iter().map(|(id, why)| (*id, why)).collect();
        let mut said = json!({"cells": ids.len(), "damaged": list(&here), "damaged_images": &images});
        if let Some(remote) = remote {
            let there: Vec<_> = copies.iter().map(|(id, why)| (id, why)).collect();
            said["store"] = json!({
                "url": remote.store().url(), "cells": remote.there().len(), "damaged": list(&there),
            });
        }
        print_json(&said);
    }
    for (id, why) in &damaged {
        directory.set_aside(id, why)?;
    }
    // Those of a damaged cell went with it.
    for id in images.iter().filter(|id| directory.is_done(id)) {
        directory.set_images_aside(id)?;
    }
    let mut found = Vec::new();
    if !images.is_empty() {
        found.push(format!(
            "the adversarial images of {} cells were damaged (their outcome rows stay)",
            images.len()
        ));
    }
    if !damaged.is_empty() {
        found.push(format!(
            "{} of {} cells in {} were damaged",
            damaged.len(),
            ids.len(),
            out.display()
        ));
    }
    if let (Some(remote), false) = (remote, copies.is_empty()) {
        let url = remote.store().url();
        for (id, why) in &copies {
            let kept = match remote.store().withdraw(id) {
                true => "the store no longer counts it as finished",
                false => "its cell.json could not be removed; remove it by hand",
            };
            announce(&format!("cell {id} in {url} is damaged: {why}; {kept}"));
        }
        found.push(format!(
            "{} of {} cells in {url} were damaged",
            copies.len(),
            remote.there().len()
        ));
    }
    if !found.is_empty() {
        return Err(Error::Differs(format!(
            "{}; run the same command without --verify to compute or copy them again",
            found.join(", ")
        )));
    }
    if !json {
        let fine = |count: usize, place: &dyn Display| {
            outln!("{count} cells verified in {place}: no file has changed");
        };
        fine(ids.len(), &out.display());
        if let Some(remote) = remote {
            fine(remote.there().len(), &remote.store().url());
        }
    }
    Ok(())
}

/// Prints what is done of a plan, what would run, and an estimate of its time and disk space.
///
/// # Errors
/// When the arithmetic of a cell is not known.
pub fn dry_run(plan: &Plan, out: &Path, remote: Option<&Remote>, images: Images, json: bool) -> Result<()> {
    let mut lines = lines(plan, out, images);
    let there = |cell: &Cell| remote.is_some_and(|remote| remote.there().contains(&cell.id));
    if json {
        let cells: Vec<_> = lines
            .iter()
            .map(|line| {
                let mut said = json!({
                    "id": line.cell.id, "name": line.cell.name, "done": line.done, "needs": line.needs,
                    "seconds": line.cost.map(|cost| cost.seconds), "bytes": line.cost.map(|cost| cost.bytes),
                });
                if remote.is_some() {
                    said["stored"] = json!(there(line.cell));
                }
                said
            })
            .collect();
        let (macs, kept) = arithmetic(plan, images, |cell| {
            !RunDirectory::has(out, &cell.id) && !there(cell)
        })?;
        print_json(&json!({
            "suite": plan.suite, "cells": cells,
            "to_do": {"macs": macs, "gpu_hours": gpu_hours(macs), "images_bytes": kept},
        }));
        return Ok(());
    }
    // What is fetched is not computed.
    let fetched = lines.iter().filter(|line| !line.done && there(line.cell)).count();
    let here: Vec<bool> = lines.iter().map(|line| line.done).collect();
    for line in &mut lines {
        line.done |= there(line.cell);
    }
    let (mut missing, mut unknown, mut total) = (0, 0, Cost::default());
    for (line, here) in lines.iter().zip(here) {
        let state = match (here, line.done) {
            (true, _) => "done",
            (false, true) => "stored",
            (false, false) => "to do",
        };
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
        outln!("{id}  {state:<6} {cost:>8}  {name}{needs}");
    }
    outln!(
        "{missing} of {} cells to do in {}",
        plan.cells.len(),
        out.display()
    );
    if let Some(remote) = remote {
        let stored = plan.cells.iter().filter(|cell| there(cell)).count();
        outln!(
            "{stored} of {} cells are in {}, {fetched} of them to be fetched",
            plan.cells.len(),
            remote.store().url()
        );
    }
    if missing > unknown {
        outln!(
            "about {} and {:.0} MB, going by measured cells of the same kind{}",
            duration(total.seconds),
            total.bytes / 1e6,
            match unknown {
                0 => String::new(),
                unknown => format!("; {unknown} cells are like none measured"),
            }
        );
    }
    if missing > 0 {
        let (macs, kept) = arithmetic(plan, images, |cell| {
            !RunDirectory::has(out, &cell.id) && !there(cell)
        })?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        outln!(
            "by arithmetic, at most: {} on {threads} CPU threads, {} on one large GPU, {:.1} GB of adversarial images",
            duration(cpu_time(macs, threads)),
            duration(3600.0 * gpu_hours(macs)),
            kept / 1e9
        );
    }
    Ok(())
}

/// Multiply-accumulates of some cells of a plan, and bytes of the adversarial images that they store.
fn arithmetic(plan: &Plan, images: Images, counts: impl Fn(&Cell) -> bool) -> Result<(f64, f64)> {
    let work = work::of(plan, |_| Ok(images))?;
    Ok(plan
        .cells
        .iter()
        .zip(work)
        .filter(|(cell, _)| counts(cell))
        .fold((0.0, 0.0), |(macs, kept), (_, work)| {
            (macs + work.macs, kept + work.kept)
        }))
}

/// Hours on one large GPU.
fn gpu_hours(macs: f64) -> f64 {
    macs / (GPU_RATE * 1e12) / 3600.0
}
