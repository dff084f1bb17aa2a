//! `rlnet run`: a suite from what is there to its report.

use super::global::Global;
use super::{say, say_json};
use crate::error::{Error, Result};
use crate::nn::budget::allocate;
use crate::progress::announce;
use crate::run::corrupted::Folders;
use crate::run::prepare::Sizes;
use crate::run::{CorruptedSource, Executed, Executor, Prepared, RunDirectory};
use clap::Args;
use rlnet_reports::{Format, Rendered, render};
use rlnet_suites::train::{Dialect, Stage};
use rlnet_suites::{CellSpec, Plan, Suite, SuiteError, catalog};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Run what is missing of a suite, resume what was cut off, draw the report
///
/// The same command again does nothing and says so.
///
/// Example: rlnet run cifar10-small --data-dir ~/data --set training.epochs=2
#[derive(Debug, Args)]
pub struct Run {
    /// A suite of the catalogue, or a TOML file
    suite: String,
    /// Where results go (default: out/SUITE)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    corrupted: CorruptedFolders,
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
    pub fn demo(out: Option<PathBuf>) -> Self {
        Self {
            suite: "demo".into(),
            out,
            sets: Vec::new(),
            only: None,
            limit: None,
            dry_run: false,
            corrupted: CorruptedFolders::default(),
        }
    }

    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        let mut sets = self.sets.clone();
        sets.extend(self.limit.map(|n| format!("data.test={n}")));
        if let Some(seed) = global.seed {
            sets.push(format!("training.seed={seed}"));
            sets.push(format!("evaluation.seed={seed}"));
        }
        let suite = read_suite(&self.suite, &sets)?;
        if suite.train.is_empty() {
            return Err(Error::Input(format!(
                "suite {0} trains nothing; it measures a model that is there: rlnet eval MODEL --suite {1}",
                suite.name, self.suite
            )));
        }
        let data = Prepared::load(
            &suite.data.dataset,
            &global.data_dir(),
            Sizes {
                train: suite.data.train,
                test: suite.data.test,
                validation: suite.data.validation,
            },
        )?;
        let asked = suite.asked();
        let folders = self.corrupted.folders();
        let corrupted = CorruptedSource::new(suite.evaluation.corrupted(), &folders, &asked, &data)?;
        let plan = suite.plan(&corrupted.world(&data.checksum))?;
        check(&plan, data.size)?;
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| Path::new("out").join(&plan.suite));
        if self.dry_run {
            return dry_run(&plan, &out, global.json);
        }
        let directory = RunDirectory::open(&out)?;
        let executed = Executor {
            directory: &directory,
            data: &data,
            corrupted: &corrupted,
            device: global.open_device()?,
            external: BTreeMap::new(),
            allowed: Vec::new(),
        }
        .run(&plan, self.only.as_deref())?;
        let Executed { computed, found } = executed;
        announce(&format!(
            "{}: {computed} cells computed, {found} were done before ({:.0} s)",
            plan.suite,
            started.elapsed().as_secs_f64()
        ));
        finish(&out, global.json, computed == 0)
    }
}

/// Draws the report of a run directory and says where it is.
pub fn finish(out: &Path, json: bool, nothing_new: bool) -> Result<()> {
    let rendered =
        render(&[out.to_path_buf()], out, &Format::ALL).map_err(|error| Error::Work(error.to_string()))?;
    show(&rendered, json);
    if nothing_new && !json {
        say("Every cell was done before; nothing was computed.");
    }
    Ok(())
}

/// A drawn report on the terminal: the main table, the answer, the page.
pub fn show(rendered: &Rendered, json: bool) {
    if json {
        say_json(&rendered.json);
        return;
    }
    say(&rendered.markdown);
    for sentence in &rendered.answer {
        say(sentence);
    }
    say(&format!("Report: {}", rendered.index.display()));
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

/// What only the harness can check before hours of work: dialects, architectures, budgets.
pub fn check(plan: &Plan, image_size: usize) -> Result<()> {
    for cell in &plan.cells {
        if let CellSpec::Train(spec) = &cell.spec {
            if spec.dialect == Dialect::Parity {
                return Err(Error::Input(format!(
                    "train {}: dialect \"parity\" cannot be run yet, its switches are not all there; \
                     use \"fixed\"",
                    cell.name
                )));
            }
            let arch: crate::nn::Arch = spec.arch.parse()?;
            let layers = arch.survey(image_size as u64, 10).layers;
            let sizes: Vec<u64> = layers.iter().map(rlnet_suites::LayerRecord::total).collect();
            if spec.stage == Stage::Mask {
                // What will be measured is not known yet; any weights show whether it fits.
                let stand_in = vec![1.0; sizes.len()];
                allocate(&sizes, spec.budget, spec.allocation, Some(&stand_in))?;
            }
        }
    }
    Ok(())
}

fn dry_run(plan: &Plan, out: &Path, json: bool) -> Result<()> {
    let done = |cell: &rlnet_suites::Cell| out.join("cells").join(&cell.id.0).join("cell.json").exists();
    if json {
        let cells: Vec<_> = plan
            .cells
            .iter()
            .map(|cell| serde_json::json!({"id": cell.id, "name": cell.name, "done": done(cell)}))
            .collect();
        say_json(&serde_json::json!({"suite": plan.suite, "cells": cells}));
        return Ok(());
    }
    for cell in &plan.cells {
        let state = if done(cell) { "done" } else { "to do" };
        say(&format!("{}  {state:<6} {}", cell.id, cell.name));
    }
    let missing = plan.cells.iter().filter(|cell| !done(cell)).count();
    say(&format!(
        "{missing} of {} cells to do in {}",
        plan.cells.len(),
        out.display()
    ));
    Ok(())
}
