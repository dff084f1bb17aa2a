//! `rlnet run`: a suite from what is there to its report.

use super::global::Global;
use super::{say, say_json};
use crate::error::{Error, Result};
use crate::nn::budget::allocate;
use crate::nn::mask_file;
use crate::progress::announce;
use crate::run::corrupted::Folders;
use crate::run::live::Presence;
use crate::run::piece::ATTACKED;
use crate::run::prepare::Sizes;
use crate::run::{CorruptedSource, Executed, Executor, Part, Prepared, RunDirectory};
use crate::{device, stop};
use clap::Args;
use rlnet_reports::{Format, Rendered, render};
use rlnet_suites::{CellSpec, Plan, Suite, SuiteError, catalog};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    joining: Joining,
    #[command(flatten)]
    corrupted: CorruptedFolders,
}

/// How a process takes part in a run, and how long.
#[derive(Debug, Clone, Args)]
pub struct Joining {
    /// Stop after N minutes: the step or batch in flight is finished and saved, the exit code is
    /// 3, and the same command goes on exactly
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
    /// Images of one attack that a process claims at a time; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = ATTACKED as u32, value_parser = clap::value_parser!(u32).range(1..))]
    shard: u32,
}

impl Joining {
    /// Listens to whatever may ask to stop.
    pub fn listen(&self) -> Result<()> {
        stop::on_signals()?;
        self.minutes.map_or(Ok(()), stop::after_minutes)
    }

    /// As the run needs it.
    pub fn part(&self) -> Part {
        Part {
            shard: self.shard as usize,
            ..Part::default()
        }
    }
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
            joining: Joining {
                minutes: None,
                shard: ATTACKED as u32,
            },
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
        drop(directory.own_plan(&plan)?);
        directory.heal(&plan)?;
        let device = global.open_device()?;
        let executed = {
            let _presence = Presence::show(&out, &device::name(device))?;
            Executor {
                directory: &directory,
                data: &data,
                corrupted: &corrupted,
                device,
                external: BTreeMap::new(),
                allowed: Vec::new(),
                part: self.joining.part(),
            }
            .run(&plan, self.only.as_deref())
            .map_err(go_on)?
        };
        announce(&summary(&plan.suite, &executed, started.elapsed()));
        finish(&directory, &plan, global.json, &executed)
    }
}

/// What a run did, in a line.
pub fn summary(name: &str, executed: &Executed, took: Duration) -> String {
    let shared = match executed.shared {
        0 => String::new(),
        shared => format!(", {shared} by other processes"),
    };
    format!(
        "{name}: {} cells computed{shared}, {} were done before ({:.0} s)",
        executed.computed,
        executed.found,
        took.as_secs_f64()
    )
}

/// Adds to a stop how to go on: with the same command.
pub fn go_on(error: Error) -> Error {
    match error {
        Error::Stopped(why) => {
            let words: Vec<String> = std::env::args().map(quoted).collect();
            Error::Stopped(format!("{why}\nto go on: {}", words.join(" ")))
        }
        other => other,
    }
}

/// A word as a shell takes it.
pub fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Draws the report of a run directory and says where it is.
pub fn finish(directory: &RunDirectory, plan: &Plan, json: bool, executed: &Executed) -> Result<()> {
    // Another suite may share the directory: the report is of this one.
    let _own = directory.own_plan(plan)?;
    let out = directory.root();
    let rendered =
        render(&[out.to_path_buf()], out, &Format::ALL).map_err(|error| Error::Work(error.to_string()))?;
    show(&rendered, json);
    if executed.computed + executed.shared == 0 && !json {
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
    if let Some(text) = catalog::find(name) {
        return Ok(Suite::parse(text, &format!("suite {name}"), sets)?);
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        let known = catalog::CATALOGUE.iter().map(|(name, _)| *name);
        let hint = rlnet_suites::error::suggest(name, known);
        let message = format!("not in the catalogue, and not a .toml file; {hint}");
        return Err(SuiteError::value("suite", name, message).into());
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::reading(path, error))?;
    Ok(Suite::parse(&text, name, sets)?)
}

/// What only the harness can check before hours of work: architectures, budgets.
pub fn check(plan: &Plan, image_size: usize) -> Result<()> {
    for cell in &plan.cells {
        if let CellSpec::Train(spec) = &cell.spec {
            let arch: crate::nn::Arch = spec.arch.parse()?;
            let layers = arch.survey(image_size as u64, 10).layers;
            let sizes: Vec<u64> = layers.iter().map(rlnet_suites::LayerRecord::total).collect();
            if let Some(imported) = &spec.imported {
                mask_file::verify(Path::new(&imported.path), &imported.blake3)?;
            }
            if spec.draws_mask() {
                // What will be measured is not known yet; any weights show whether it fits.
                let stand_in = vec![1.0; sizes.len()];
                allocate(&sizes, spec.budget, spec.allocation, Some(&stand_in))?;
            } else if let Some(budget) = spec.budget {
                budget.resolve(sizes.iter().sum())?;
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
