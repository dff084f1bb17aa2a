//! `rlnet attack`: the catalogue of attacks.

use crate::error::{Error, Result, reporting};
use crate::eval::saved::{self, Images};
use crate::eval::{Networks, Saved, verdict};
use crate::request::{Global, cells};
use crate::run::compatibility::ModelFile;
use crate::terminal::{outln, print_json};
use clap::{Args, Subcommand};
use rlnet_reports::read_records;
use rlnet_suites::attack::adaptive::NamedAttack;
use rlnet_suites::attack::{AttackEntry, CATALOGUE, Norm, adaptive, diagnosis, group, members};
use rlnet_suites::{AttackSpec, CellRecord, CellSpec};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every attack with its parameters, defaults and source
#[derive(Debug, Args)]
pub struct AttackCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All attacks, a line each
    ///
    /// Example: rlnet attack list
    List,
    /// One attack with its parameters
    ///
    /// Example: rlnet attack show pgd
    Show {
        /// Its name, a full specification, or a group: adaptive, diagnosis, diagnosis-l2
        attack: String,
    },
    /// Show a model the adversarial images an evaluation stored, and compare what it says
    ///
    /// CELL is a cell of an attack; they keep their images unless told not to (--discard-images, or
    /// save_images = false in a suite). What the attacked model says is compared with what is
    /// stored, image by image, and any difference is an error. It is looked for in the same run; a
    /// cell of `rlnet eval` needs its file.
    ///
    /// Example: rlnet attack replay out/eval-model/cells/0123456789abcdef --model model.pt
    Replay {
        /// The evaluation cell's folder
        cell: PathBuf,
        /// The attacked model's file, or another one's to see how the images transfer to it
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
    },
}

fn value(entry: &AttackEntry) -> serde_json::Value {
    let params = entry.params.iter();
    let norm = entry
        .name
        .parse::<AttackSpec>()
        .map_or(Norm::Linf, |spec| spec.norm());
    json!({
        "name": entry.name,
        "title": entry.title,
        "source": entry.source,
        "params": params
            .map(|p| json!({"name": p.name, "default": p.preset.under(norm), "help": p.help}))
            .collect::<Vec<_>>(),
    })
}

impl AttackCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        match &self.action {
            Action::Replay { cell, model } => return replay(cell, model.as_deref(), global),
            Action::List if global.json => {
                print_json(&json!(CATALOGUE.iter().copied().map(value).collect::<Vec<_>>()))
            }
            Action::List => {
                for entry in CATALOGUE {
                    outln!("{:<10} {}", entry.name, entry.title);
                }
                outln!(
                    "\nAdapted to norm branches and masks (all of them: {}):",
                    adaptive::GROUP
                );
                for named in adaptive::ATTACKS {
                    outln!("{:<18} {}\n{:<18} {}", named.name, named.spec, "", named.asks);
                }
                outln!(
                    "\nCan a robust number be trusted (all of them: {}, in L2 {}; or rlnet eval --diagnose):",
                    diagnosis::GROUP,
                    diagnosis::GROUP_L2
                );
                for asked in diagnosis::ATTACKS {
                    outln!("{:<41} {}", asked.spec, asked.asks);
                }
            }
            Action::Show { attack } => return show(attack, global.json),
        }
        Ok(())
    }
}

/// One attack with its parameters; of a group every attack with what it asks.
fn show(text: &str, json: bool) -> Result<()> {
    let Some(asked) = members(text.split(':').next().unwrap_or_default().trim()) else {
        return show_one(&text.parse()?, json);
    };
    // Parameters behind a group's name are set in each of them.
    let members: Vec<(AttackSpec, &NamedAttack)> = group(text)?.into_iter().zip(asked).collect();
    if json {
        let member = |(attack, named): &(AttackSpec, &NamedAttack)| json!({"name": named.name, "attack": attack, "asks": named.asks});
        print_json(&json!(members.iter().map(member).collect::<Vec<_>>()));
        return Ok(());
    }
    for (attack, named) in members {
        outln!("{:<18} {attack}\n{:<18} {}", named.name, "", named.asks);
    }
    Ok(())
}

fn show_one(attack: &AttackSpec, json: bool) -> Result<()> {
    let entry = attack.entry();
    if json {
        print_json(&value(entry));
        return Ok(());
    }
    outln!(
        "{}: {}\nsource: {}\nin full: {attack}",
        entry.name,
        entry.title,
        entry.source
    );
    for param in entry.params {
        outln!(
            "  {:<9} default {:<8} {}",
            param.name,
            param.preset.under(attack.norm()),
            param.help
        );
    }
    Ok(())
}

/// What a model says of stored images, beside what was said of them when they were made.
fn replay(cell: &Path, other: Option<&Path>, global: &Global) -> Result<()> {
    let path = cell.join("cell.json");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::reading(&path, error))?;
    let record: CellRecord =
        serde_json::from_str(&text).map_err(|error| Error::reading(&path, format!("not a cell: {error}")))?;
    let images = cell.join(saved::FILE);
    if !images.exists() {
        return Err(Error::Missing(format!(
            "{}: it is not there: the cell is of no attack, kept no images (--discard-images, or save_images = \
             false in the suite), or left them in an object store; to make them, remove the cell's folder and run the \
             same without",
            images.display()
        )));
    }
    let saved = Saved::read(&images)?;
    let rows: Vec<rlnet_suites::Outcome> = read_records(&cell.join("outcomes.parquet")).map_err(reporting)?;
    let attacked = record
        .cell
        .parents
        .first()
        .ok_or_else(|| Error::reading(&path, "it names no model that was attacked"))?;
    let own = cell.with_file_name(&attacked.0).join("model.safetensors");
    if other.is_none() && !own.exists() {
        return Err(Error::Missing(format!(
            "{}: the attacked model is not in this run; name its file with --model",
            cell.display()
        )));
    }
    let other = other.map(cells::model_file).transpose()?;
    let model = other.clone().unwrap_or(own);
    // The parent of a cell of `rlnet eval` is the model file's checksum.
    let compared = match &other {
        None => true,
        Some(file) => ModelFile::read(file.clone(), None)?.id == *attacked,
    };
    let networks = Networks::load(&model.into(), &[], &BTreeMap::new(), global.open_device()?)?;
    let passes = match &record.cell.spec {
        CellSpec::Evaluate(spec) => spec.conditions.iter().map(verdict::passes).max().unwrap_or(1),
        CellSpec::Train(_) => 1,
    };
    let mut branches = Vec::new();
    let mut differ = 0;
    for Images {
        branch: attacked,
        images,
        ..
    } in saved.images()
    {
        // A single-norm network answers for every branch.
        let branch = if networks.branches().contains(&attacked) {
            attacked
        } else {
            networks.branches()[0]
        };
        let (mut right, mut right_rounded) = (0, 0);
        let said = verdict::predictions(&networks, branch, &images, saved.labels(), passes)?;
        let classes = said
            .into_iter()
            .map(|(whole, rounded)| (whole.prediction, rounded.prediction));
        for (row, verdict) in classes.enumerate() {
            let label = saved.labels()[row];
            right += u32::from(verdict.0 == label);
            right_rounded += u32::from(verdict.1 == label);
            let image = saved.indices()[row];
            let stored = rows
                .iter()
                .find(|row| row.image == image && row.branch == attacked);
            differ += usize::from(stored.is_none_or(|row| (row.prediction, row.rounded) != verdict));
        }
        branches.push((attacked, right, right_rounded));
    }
    let n = saved.labels().len();
    let share = |right: u32| 100.0 * f64::from(right) / n.max(1) as f64;
    if global.json {
        print_json(&json!({
            "condition": record.cell.name,
            "images": n,
            "branches": branches.iter().map(|(branch, right, rounded)| json!({
                "branch": branch.name(),
                "accuracy": share(*right),
                "accuracy_8bit": share(*rounded),
            })).collect::<Vec<_>>(),
            "differ": compared.then_some(differ),
        }));
    } else {
        outln!("{}: {n} images", record.cell.name);
        for (branch, right, rounded) in &branches {
            outln!(
                "  made against {branch}: {:.2} % right, {:.2} % after rounding to 8 bits",
                share(*right),
                share(*rounded)
            );
        }
    }
    if compared && differ > 0 {
        return Err(Error::Differs(format!(
            "{differ} of {} predictions differ from those stored in {}: another machine, libtorch or model file",
            n * branches.len(),
            cell.display()
        )));
    }
    Ok(())
}
