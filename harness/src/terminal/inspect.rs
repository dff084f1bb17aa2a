//! `rlnet run --dry-run` and `--verify`: the state of a run directory; nothing is computed.

use crate::bench::Saved;
use crate::error::{Error, Problem, Result};
use crate::progress::announce;
use crate::run::RunDirectory;
use crate::run::estimate::{Cost, Line, cpu_time, lines};
use crate::run::progress::duration;
use crate::run::work::{self, GPU_RATE, Images};
use crate::store::remote::Remote;
use crate::terminal::{outln, print_json};
use rlnet_suites::{Cell, CellId, Plan};
use serde_json::json;
use std::fmt::Display;
use std::path::Path;

/// Compares every file of every finished cell, and the store's copies, with their checksums, and
/// moves what is damaged aside.
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
    if json {
        let one = |id: &CellId, why: &Problem| json!({"cell": id, "why": why.to_string()});
        let here: Vec<_> = damaged.iter().map(|(id, why)| one(id, why)).collect();
        let mut value = json!({"cells": ids.len(), "damaged": here, "damaged_images": &images});
        if let Some(remote) = remote {
            let there: Vec<_> = copies.iter().map(|(id, why)| one(id, why)).collect();
            value["store"] = json!({
                "url": remote.store().url(), "cells": remote.there().len(), "damaged": there,
            });
        }
        print_json(&value);
    }
    for (id, why) in &damaged {
        directory.set_aside(id, why)?;
    }
    // Images of a damaged cell were moved with it.
    for id in images.iter().filter(|id| directory.is_done(id)) {
        directory.set_images_aside(id)?;
    }
    let mut found = Vec::new();
    if !images.is_empty() {
        let count = images.len();
        found.push(format!(
            "the adversarial images of {count} cells were damaged (their outcome rows stay)"
        ));
    }
    let mut places: Vec<(&dyn Display, usize, usize)> = Vec::new();
    let (folder, url) = (out.display(), remote.map_or("", |remote| remote.store().url()));
    places.push((&folder, damaged.len(), ids.len()));
    if let Some(remote) = remote {
        withdraw(remote, &copies);
        places.push((&url, copies.len(), remote.there().len()));
    }
    for (place, damaged, all) in places {
        if damaged > 0 {
            found.push(format!("{damaged} of {all} cells in {place} were damaged"));
        } else if !json {
            outln!("{all} cells verified in {place}: no file has changed");
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::Differs(format!(
        "{}; run the same command without --verify to compute or copy them again",
        found.join(", ")
    )))
}

/// Takes damaged copies out of a store.
fn withdraw(remote: &Remote, copies: &[(CellId, Problem)]) {
    for (id, why) in copies {
        let kept = if remote.store().withdraw(id) {
            "the store no longer counts it as finished"
        } else {
            "its cell.json could not be removed; remove it by hand"
        };
        announce(&format!(
            "cell {id} in {} is damaged: {why}; {kept}",
            remote.store().url()
        ));
    }
}

/// Prints what is done of a plan, what would run, and an estimate of its time and disk space.
///
/// # Errors
/// When the arithmetic of a cell is not known.
pub fn dry_run(plan: &Plan, out: &Path, remote: Option<&Remote>, images: Images, json: bool) -> Result<()> {
    let lines = lines(plan, out, images);
    let stored = |line: &Line<'_>| remote.is_some_and(|remote| remote.there().contains(&line.cell.id));
    // What is fetched is not computed.
    let to_do = |line: &Line<'_>| !line.done && !stored(line);
    let work = work::of(plan, |cell| {
        Ok(Images {
            train: cell.data.train.map_or(images.train, |n| n as usize),
            ..images
        })
    })?;
    let (macs, kept) = lines
        .iter()
        .zip(work)
        .filter(|(line, _)| to_do(line))
        .fold((0.0, 0.0), |(macs, kept), (_, work)| {
            (macs + work.macs, kept + work.kept)
        });
    let gpu_hours = macs / (GPU_RATE * 1e12) / 3600.0;
    if json {
        let cells = lines.iter().map(|line| {
            let mut value = json!({
                "id": line.cell.id, "name": line.cell.name, "done": line.done, "needs": line.needs,
                "seconds": line.cost.map(|cost| cost.seconds), "bytes": line.cost.map(|cost| cost.bytes),
            });
            if remote.is_some() {
                value["stored"] = json!(stored(line));
            }
            value
        });
        print_json(&json!({
            "suite": plan.suite, "cells": cells.collect::<Vec<_>>(),
            "to_do": {"macs": macs, "gpu_hours": gpu_hours, "images_bytes": kept},
        }));
        return Ok(());
    }
    for line in &lines {
        let time = match line.cost {
            _ if !to_do(line) => String::new(),
            Some(cost) => duration(cost.seconds),
            None => "?".to_owned(),
        };
        let state = match (line.done, stored(line)) {
            (true, _) => "done",
            (false, true) => "stored",
            (false, false) => "to do",
        };
        let needs = match line.needs.as_slice() {
            [] => String::new(),
            needs => format!("  <- {}", needs.join(", ")),
        };
        let Cell { id, name, .. } = line.cell;
        outln!("{id}  {state:<6} {time:>8}  {name}{needs}");
    }
    let open: Vec<&Line<'_>> = lines.iter().filter(|line| to_do(line)).collect();
    let (missing, all) = (open.len(), plan.cells.len());
    outln!("{missing} of {all} cells to do in {}", out.display());
    if let Some(remote) = remote {
        let there = lines.iter().filter(|line| stored(line)).count();
        let fetched = lines.iter().filter(|line| !line.done && stored(line)).count();
        outln!(
            "{there} of {all} cells are in {}, {fetched} of them to be fetched",
            remote.store().url()
        );
    }
    let measured: Vec<Cost> = open.iter().filter_map(|line| line.cost).collect();
    if !measured.is_empty() {
        let others = match missing - measured.len() {
            0 => String::new(),
            unknown => format!("; {unknown} cells are like none measured"),
        };
        outln!(
            "about {} and {:.0} MB, going by measured cells of the same kind{others}",
            duration(measured.iter().map(|cost| cost.seconds).sum()),
            measured.iter().map(|cost| cost.bytes).sum::<f64>() / 1e6
        );
    }
    if missing > 0 {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        outln!(
            "by arithmetic{}, at most: {} on {threads} CPU threads, {} on one large GPU, {:.1} GB of adversarial images",
            match Saved::read() {
                Some(_) => " and what `rlnet bench` measured here",
                None => "",
            },
            duration(cpu_time(macs, threads)),
            duration(3600.0 * gpu_hours),
            kept / 1e9
        );
    }
    Ok(())
}
