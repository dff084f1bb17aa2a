//! `rlnet suite`: the catalogue of experiments.

mod cost;

use crate::data::glance;
use crate::error::{Error, Result};
use crate::progress::announce;
use crate::request::Global;
use crate::run::difference::differences;
use crate::run::memory::{Need, of_machine};
use crate::run::session::{check, read_suite, suite_text};
use crate::run::work::GPU_RATE;
use crate::terminal::{outln, print_json, print_line};
use clap::{Args, Subcommand};
use rlnet_suites::dataset::find;
use rlnet_suites::objective::Score;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::scale::{SCALES, Scale};
use rlnet_suites::schema::json_schema;
use rlnet_suites::train::Stage;
use rlnet_suites::{Cell, CellId, CellSpec, Plan, Suite, TrainSpec, catalog};
use serde_json::json;

/// List, show, estimate and check suites
#[derive(Debug, Args)]
pub struct SuiteCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the suites of the catalogue
    ///
    /// Example: rlnet suite list
    List,
    /// Show a suite's cells with all settings resolved
    ///
    /// Example: rlnet suite show cifar10-small
    ///
    /// Example: rlnet suite show paper-cifar10 --set scale=small
    ///
    /// Example: rlnet suite show demo --why rlnet senet
    Show {
        #[command(flatten)]
        suite: SuiteArgs,
        /// Show how two of its cells differ
        #[arg(long, num_args = 2, value_names = ["CELL", "CELL"])]
        why: Vec<String>,
        /// Show for every setting its value, where the value comes from, and what the setting means
        #[arg(long)]
        explain: bool,
    },
    /// Estimate the arithmetic of a suite (an upper bound), and its time
    ///
    /// Example: rlnet suite cost paper-cifar10 --set scale=h200
    Cost {
        #[command(flatten)]
        suite: SuiteArgs,
        /// Speed of the machine in 10^12 multiply-accumulates per second, as measured
        #[arg(long, default_value_t = GPU_RATE)]
        rate: f64,
    },
    /// Print the JSON Schema of a suite, for editors that complete and check TOML
    ///
    /// Example: rlnet suite schema > suite.schema.json
    Schema,
    /// Check a TOML file at every scale that it has; errors come with their line
    ///
    /// Example: rlnet suite check mine.toml
    Check {
        /// The TOML file
        file: String,
    },
}

/// A suite with changed settings.
#[derive(Debug, Args)]
struct SuiteArgs {
    /// A suite of the catalogue, or a TOML file
    #[arg(value_name = "SUITE")]
    name: String,
    /// Override a setting, or choose a scale: scale=small
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

impl SuiteCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        match &self.action {
            Action::List => list(global.json),
            Action::Show {
                suite, explain: true, ..
            } => explain(suite, global.json),
            Action::Show { suite, why, .. } => match why.as_slice() {
                [a, b] => print_differences(&suite.resolve(global)?, a, b, global.json),
                _ => show(suite, global),
            },
            Action::Cost { suite, rate } => cost::show(&suite.resolve(global)?, *rate, global.json),
            Action::Schema => {
                print_json(&json_schema());
                Ok(())
            }
            Action::Check { file } => {
                let (suite, plan) = resolve_suite(file, &[], global)?;
                note_memory(&suite, &plan, global);
                for scale in read_suite(file, &[])?.scale.keys() {
                    resolve(file, &[format!("scale={scale}")], global)?;
                }
                if global.json {
                    print_json(&json!({"suite": plan.suite, "cells": plan.cells.len()}));
                } else {
                    outln!("{file}: suite {} is fine, {} cells", plan.suite, plan.cells.len());
                }
                Ok(())
            }
        }
    }
}

/// Resolves a suite without its data: ids differ from a run's, everything else is the same.
fn resolve(name: &str, sets: &[String], global: &Global) -> Result<Plan> {
    resolve_suite(name, sets, global).map(|(_, plan)| plan)
}

fn resolve_suite(name: &str, sets: &[String], global: &Global) -> Result<(Suite, Plan)> {
    let suite = read_suite(name, sets)?;
    let seen = |dataset: &str| glance(dataset, &global.data_dir());
    let mut context = PlanContext::unread(&suite);
    context.classes = seen(&suite.data.dataset).map(|seen| seen.classes);
    let plan = suite.plan(&context)?;
    check(&suite, &plan, |dataset| Some(seen(dataset)?.size))?;
    Ok((suite, plan))
}

/// Says where this machine's memory cannot hold a batch: a suite may be checked here and run elsewhere.
fn note_memory(suite: &Suite, plan: &Plan, global: &Global) {
    let size = |dataset: &str| glance(dataset, &global.data_dir()).map_or(32, |seen| seen.size);
    let known = find(&suite.data.dataset).ok().flatten();
    let images = [(suite.data.train, 0), (suite.data.test, 1)].map(|(limit, of)| {
        let whole = known.map(|known| [known.train, known.test][of]);
        limit.or(whole).map_or(u64::MAX, u64::from)
    });
    let need = Need::of(plan, size, images);
    let why = need
        .zip(of_machine())
        .and_then(|(need, memory)| need.beyond(memory));
    if let Some(why) = why.filter(|_| global.is_cpu()) {
        announce(&format!("note: {why}; rlnet run refuses this here"));
    }
}

impl SuiteArgs {
    fn resolve(&self, global: &Global) -> Result<Plan> {
        resolve(&self.name, &self.sets, global)
    }
}

fn list(json: bool) -> Result<()> {
    let suites = catalog::CATALOGUE
        .iter()
        .map(|(name, _)| read_suite(name, &[]))
        .collect::<Result<Vec<_>>>()?;
    if json {
        let items = suites.iter().map(|suite| {
            json!({"name": suite.name, "title": suite.title, "dataset": suite.data.dataset,
                   "gpu_hours": suite.gpu_hours})
        });
        print_json(&items.collect::<Vec<_>>());
    } else {
        for suite in &suites {
            // How pictures are prepared stands in the suite.
            let dataset = suite.data.dataset.split('?').next().unwrap_or_default();
            outln!("{:<26} {dataset:<20} {}", suite.name, suite.title);
        }
        print_line("\nEach suite exists at several scales (--set scale=NAME):");
        for (name, _) in SCALES {
            if let Some(scale) = Scale::find(name)? {
                outln!("{name:<26} {}", scale.title);
            }
        }
    }
    Ok(())
}

/// Prints how the content of two cells of a plan differs. Parents have their names beside their ids.
fn print_differences(plan: &Plan, a: &str, b: &str, json: bool) -> Result<()> {
    let find = |name: &str| {
        plan.cells.iter().find(|cell| cell.name == name).ok_or_else(|| {
            let names = plan.cells.iter().map(|cell| cell.name.as_str());
            let hint = rlnet_suites::error::suggest(name, names);
            Error::Usage(format!("{} has no cell {name}; {hint}", plan.suite))
        })
    };
    // Labels (id, name, model) are no part of what a cell is.
    let content = |name: &str| {
        let cell = find(name)?;
        let named = |id: &CellId| {
            plan.cells
                .iter()
                .find(|cell| cell.id == *id)
                .map(|cell| &cell.name)
        };
        let parents: Vec<_> = cell
            .parents
            .iter()
            .map(|id| json!({"cell": id, "name": named(id)}))
            .collect();
        let content = json!({
            "data": cell.data, "spec": cell.spec, "versions": cell.versions, "parents": parents,
        });
        Ok::<_, Error>((cell, content))
    };
    let ((left, first), (right, second)) = (content(a)?, content(b)?);
    let found = differences(&first, &second);
    if json {
        print_json(&json!({"a": left.id, "b": right.id, "differences": found}));
        return Ok(());
    }
    if left.id == right.id {
        outln!("{a} and {b} are one cell: everything that can change a result is equal");
    }
    for one in &found {
        outln!("{}: {} | {}", one.at, one.a, one.b);
    }
    Ok(())
}

fn show(suite: &SuiteArgs, global: &Global) -> Result<()> {
    let plan = suite.resolve(global)?;
    if global.json {
        print_json(&plan);
        return Ok(());
    }
    outln!("{}: {}\n{}", plan.suite, plan.title, plan.description.trim());
    if let Some(hours) = read_suite(&suite.name, &suite.sets)?.gpu_hours {
        outln!("Expected: {hours} hours on one large GPU.");
    }
    for cell in &plan.cells {
        match &cell.spec {
            CellSpec::Train(spec) => {
                outln!(
                    "\ntrain {}: stage {}{}",
                    cell.name,
                    spec.stage,
                    built_on(&plan, cell)
                );
                for (key, value) in spec.own_keys()?.iter().chain(&spec.settings()?) {
                    outln!("  {key:<16} {value}");
                }
                outln!("  replays of the reference: {}", replayed(spec));
            }
            CellSpec::Evaluate(spec) => {
                let conditions: Vec<String> = spec.conditions.iter().map(ToString::to_string).collect();
                outln!("evaluate {}: {}", cell.name, conditions.join(" "));
            }
        }
    }
    Ok(())
}

/// The stages that a stage builds on, by their names.
fn built_on(plan: &Plan, cell: &Cell) -> String {
    let parents = plan.cells.iter().filter(|other| cell.parents.contains(&other.id));
    let names: Vec<&str> = parents.map(|parent| parent.name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", on {}", names.join(" and "))
}

/// The reference's defects that a stage replays: switches that are on, those of them that change
/// nothing in this stage, and the setting that stands for one in both dialects.
fn replayed(spec: &TrainSpec) -> String {
    let names = |acting: bool| -> Vec<String> {
        spec.quirks
            .iter()
            .filter(|quirk| spec.concerns(**quirk) == acting)
            .map(|quirk| format!("{quirk} ({})", quirk.number()))
            .collect()
    };
    let (mut acting, idle) = (names(true), names(false));
    if spec.stage == Stage::Mask && spec.score == Score::Own {
        acting.push("score = own (B28)".to_owned());
    }
    if acting.is_empty() {
        acting.push("none".to_owned());
    }
    let acting = acting.join(", ");
    if idle.is_empty() {
        return acting;
    }
    format!("{acting}; switched on without effect here: {}", idle.join(", "))
}

/// Every setting with its value, who set it, and what it means.
fn explain(suite: &SuiteArgs, json: bool) -> Result<()> {
    let (file, text) = suite_text(&suite.name)?;
    let explained = rlnet_suites::explain::explain(&text, &file, &suite.sets)?;
    if json {
        let sections = explained
            .iter()
            .map(|(heading, lines)| json!({"section": heading, "settings": lines}));
        print_json(&sections.collect::<Vec<_>>());
        return Ok(());
    }
    for (heading, lines) in explained {
        outln!("\n{heading}");
        for line in lines {
            outln!(
                "  {:<13} {:<24} {:<11} {}",
                line.key,
                line.value,
                line.from,
                line.help
            );
        }
    }
    Ok(())
}
