//! `rlnet train`: a single stage, which is the same cell as in a suite with equal settings.

use crate::error::{Error, Result};
use crate::files::open_folder;
use crate::progress::announce;
use crate::request::Global;
use crate::request::execution_options::with_resume_hint;
use crate::request::stage::StageRequest;
use crate::request::stage_options::StageOptions;
use crate::run::corrupted::Folders;
use crate::run::execute::wanted;
use crate::run::import_cell::import_cell;
use crate::run::memory::Need;
use crate::run::session::Session;
use crate::run::shell::quoted;
use crate::run::work::Images as Counted;
use crate::run::{Participation, RunDirectory};
use crate::stop;
use crate::terminal::inspect::dry_run;
use crate::terminal::{outln, print_json, print_line};
use clap::{Args, Subcommand};
use rlnet_suites::single_stage::{Images, NAME};
use rlnet_suites::train::Stage;
use rlnet_suites::{Cell, CellSpec, Plan, Suite, TrainSpec};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Train a single stage of the method: teacher, mask, student, or SNL's search
///
/// Settings that are left out have the method's values. The result is the same cell as in a suite with
/// equal settings: `rlnet run` of that suite with the same --out finds it finished.
#[derive(Debug, Args)]
pub struct TrainCommand {
    #[command(subcommand)]
    stage: StageCommand,
}

#[derive(Debug, Subcommand)]
enum StageCommand {
    /// Train an all-ReLU network; it is robust unless its views are clean only
    ///
    /// Example: rlnet train teacher --dataset shapes --arch resnet8-w8 --epochs 12 --batch 32
    /// --attack pgd:steps=3,eps=4/255,alpha=2/255
    Teacher {
        #[command(flatten)]
        common: Common,
    },
    /// Find which ReLUs to keep of a teacher's network, while a fresh network is distilled from it
    ///
    /// Example: rlnet train mask --teacher out/train/cells/ID --budget 5x --epochs 5
    Mask {
        /// A finished teacher: its cell's folder, its model.safetensors, or RUN:NAME
        #[arg(long, value_name = "CELL")]
        teacher: String,
        /// ReLUs to keep: 50k, 11.14x, or a published list (rlnet model budgets)
        #[arg(long, value_name = "BUDGET")]
        budget: String,
        #[command(flatten)]
        common: Common,
    },
    /// Train the network with its mask frozen
    ///
    /// Training continues with the weights of a mask stage. With --teacher and --mask, only the mask is
    /// used and the weights are fresh. With --teacher and --budget, the units are drawn at random.
    ///
    /// Example: rlnet train student --mask out/train/cells/ID --epochs 9 --lr 0.03
    Student {
        /// A finished mask or snl stage (its cell's folder, its model.safetensors, or RUN:NAME); with
        /// --teacher also a mask file (rlnet export --format mask)
        #[arg(long, value_name = "CELL|FILE", required_unless_present = "teacher")]
        mask: Option<String>,
        /// A finished teacher, where the mask stage's own is not the one, or there is none
        #[arg(long, value_name = "CELL")]
        teacher: Option<String>,
        /// ReLUs to keep, drawn at random: 50k, 11.14x, or a published list
        #[arg(long, value_name = "BUDGET", conflicts_with = "mask")]
        budget: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Find which ReLUs to keep as SNL does: from the teacher's weights, with a lasso on their slopes
    ///
    /// Example: rlnet train snl --teacher out/train/cells/ID --budget 5x --epochs 20
    Snl {
        /// A finished teacher: its cell's folder, its model.safetensors, or RUN:NAME
        #[arg(long, value_name = "CELL")]
        teacher: String,
        /// ReLUs to keep: 50k or 11.14x
        #[arg(long, value_name = "BUDGET")]
        budget: String,
        #[command(flatten)]
        common: Common,
    },
}

/// Options of every stage.
#[derive(Debug, Args)]
struct Common {
    /// shapes, textures, cifar10, cifar100, tiny-imagenet or imagefolder:PATH (default: the teacher's)
    #[arg(long)]
    dataset: Option<String>,
    /// Use only the first N training images (default: all, or as many as the teacher)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    train: Option<u32>,
    /// Use only the first N test images (default: all, or as many as the teacher)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    test: Option<u32>,
    #[command(flatten)]
    settings: StageOptions,
    /// A setting of the stage as suites write it: views=["clean"], gamma=0.1, data.validation=0.2
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Output folder (default: that of the stage it builds on, else out/train)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the cell, its parents and its cost; train nothing
    #[arg(long)]
    dry_run: bool,
    /// Print this stage as a suite, in TOML (with --json as JSON); train nothing
    #[arg(long)]
    print_suite: bool,
    /// Save and stop after N minutes (exit code 3); run the same command to resume
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
}

impl TrainCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let common = self.stage.common();
        let request = self.stage.request()?;
        let text = common.suite(&request, global.seed)?;
        if common.print_suite {
            return print_suite(&text, global.json);
        }
        stop::on_signals()?;
        common.minutes.map_or(Ok(()), stop::after_minutes)?;
        let suite = Suite::parse(&text, "the suite of this stage (--print-suite shows it)", &[])?;
        let session = Session::new(&suite, &global.data_dir(), &Folders::default())?;
        let plan = &session.plan;
        if global.is_cpu() {
            Need::refuse(session.need().as_ref())?;
        }
        let stage = request.hand.name();
        let only = wanted(plan, Some(stage))?.into_iter().cloned().collect();
        let cell = last(plan, stage)?;
        request.are_known(plan)?;
        let out = common.out.clone().unwrap_or_else(|| request.out());
        if common.dry_run {
            let images = Counted::of(&session.data);
            let plan = Plan {
                cells: only,
                ..plan.clone()
            };
            return dry_run(&plan, &out, None, images, global.json);
        }
        open_folder(&out)?;
        let directory = RunDirectory::open(&out)?;
        for found in &request.above {
            import_cell(&found.folder, &found.record, &directory)?;
        }
        if !belongs_to_a_suite(&out) {
            drop(directory.own_plan(plan)?);
        }
        directory.repair(plan)?;
        let found = directory.is_done(&cell.id);
        if !found {
            session
                .take_part(
                    &directory,
                    global.open_device()?,
                    Participation::default(),
                    Some(stage),
                )
                .map_err(with_resume_hint)?;
        }
        if found {
            announce(&format!("{stage} is already trained; nothing was computed"));
        }
        report(cell, &directory, found, global.json);
        Ok(())
    }
}

impl StageCommand {
    /// The stage and the cells it builds on.
    fn request(&self) -> Result<StageRequest> {
        let mut request = StageRequest::new(self.stage());
        match self {
            Self::Teacher { .. } => {}
            Self::Mask { teacher, budget, .. } | Self::Snl { teacher, budget, .. } => {
                request.teacher(teacher)?;
                request.keep(budget)?;
            }
            Self::Student {
                mask,
                teacher,
                budget,
                ..
            } => {
                if let Some(teacher) = teacher {
                    request.teacher(teacher)?;
                }
                if let Some(mask) = mask {
                    request.mask(mask)?;
                }
                if let Some(budget) = budget {
                    request.keep(budget)?;
                }
                if mask.is_none() && budget.is_none() {
                    return Err(Error::Usage(
                        "a student with --teacher also needs a mask: --mask CELL|FILE, or --budget 5x for \
                         units drawn at random"
                            .into(),
                    ));
                }
            }
        }
        Ok(request)
    }

    fn stage(&self) -> Stage {
        match self {
            Self::Teacher { .. } => Stage::Teacher,
            Self::Mask { .. } => Stage::Mask,
            Self::Student { .. } => Stage::Student,
            Self::Snl { .. } => Stage::Snl,
        }
    }

    fn common(&self) -> &Common {
        match self {
            Self::Teacher { common }
            | Self::Mask { common, .. }
            | Self::Student { common, .. }
            | Self::Snl { common, .. } => common,
        }
    }
}

impl Common {
    /// The stage as a suite. Its images and architecture are the teacher's, where it has one.
    fn suite(&self, request: &StageRequest, seed: Option<u64>) -> Result<String> {
        let mut hand = request.hand.clone();
        let teacher = request.above.iter().find(|found| match &hand.teacher {
            Some(id) => found.record.cell.id == *id,
            None => true,
        });
        hand.images = match teacher {
            Some(teacher) => {
                let cell = &teacher.record.cell;
                self.agrees(cell, teacher.spec()?, hand.stage)?;
                Images {
                    dataset: cell.data.dataset.clone(),
                    train: cell.data.train,
                    test: cell.data.test,
                    validation: Some(cell.data.validation),
                }
            }
            None => Images {
                dataset: self.dataset.clone().ok_or_else(|| {
                    Error::Usage("a teacher needs --dataset: shapes, cifar10, ... (rlnet data list)".into())
                })?,
                train: self.train,
                test: self.test,
                validation: None,
            },
        };
        hand.sets.clone_from(&self.settings.sets);
        hand.sets.extend(seed.map(|seed| format!("seed={seed}")));
        hand.sets.extend_from_slice(&self.sets);
        let above: Vec<Cell> = request
            .above
            .iter()
            .map(|found| found.record.cell.clone())
            .collect();
        Ok(hand.suite(&above)?)
    }

    /// Refuses options that differ from the teacher.
    fn agrees(&self, teacher: &Cell, spec: &TrainSpec, stage: Stage) -> Result<()> {
        let data = &teacher.data;
        let shown = |n: Option<u32>| n.map_or("all".to_owned(), |n| n.to_string());
        let images = |n: Option<u32>, own: Option<u32>| n.filter(|_| n != own).map(|n| n.to_string());
        let differs = [
            (
                "--dataset",
                self.dataset.clone().filter(|name| *name != data.dataset),
                data.dataset.clone(),
            ),
            ("--train", images(self.train, data.train), shown(data.train)),
            ("--test", images(self.test, data.test), shown(data.test)),
            (
                "--arch",
                // Units are compared one by one; a student may be another network.
                self.settings
                    .arch
                    .clone()
                    .filter(|arch| *arch != spec.arch && stage != Stage::Student),
                spec.arch.clone(),
            ),
        ];
        for (option, given, own) in differs {
            if let Some(given) = given {
                return Err(Error::Usage(format!(
                    "{option} {given}: the teacher ({}) has {own}, and a {} stage must have the same; leave {option} out, \
                     or train a teacher with it",
                    teacher.id,
                    stage.name()
                )));
            }
        }
        Ok(())
    }
}

/// The suite on stdout: TOML, or its tables and values as JSON.
fn print_suite(text: &str, json: bool) -> Result<()> {
    if !json {
        print_line(text.trim_end());
        return Ok(());
    }
    let value: serde_json::Value =
        toml::from_str(text).map_err(|error| Error::Internal(format!("the suite of this stage: {error}")))?;
    print_json(&value);
    Ok(())
}

/// Whether a directory has the plan of a suite, whose report it keeps.
fn belongs_to_a_suite(out: &Path) -> bool {
    let plan = std::fs::read(out.join("plan.json")).ok();
    let plan = plan.and_then(|bytes| serde_json::from_slice::<Plan>(&bytes).ok());
    plan.is_some_and(|plan| plan.suite != NAME)
}

/// The stage itself among the cells of its suite.
fn last<'a>(plan: &'a Plan, name: &str) -> Result<&'a Cell> {
    let found = plan.cells.iter().find(|cell| cell.name == name);
    found.ok_or_else(|| Error::Internal(format!("the suite has no stage {name}")))
}

/// Where the cell is, and the commands that go on from it.
fn report(cell: &Cell, directory: &RunDirectory, found: bool, json: bool) {
    let folder = directory.cell(&cell.id);
    let (place, model) = (
        quoted(folder.display().to_string()),
        quoted(folder.join("model.safetensors").display().to_string()),
    );
    let CellSpec::Train(spec) = &cell.spec else { return };
    let next = match spec.stage {
        Stage::Teacher => Some(format!("rlnet train mask --teacher {place} --budget 5x")),
        Stage::Mask | Stage::Snl => Some(format!("rlnet train student --mask {place}")),
        Stage::Student => None,
    };
    let limit = cell.data.test.map_or(String::new(), |n| format!(" --limit {n}"));
    let dataset = quoted(cell.data.dataset.clone());
    let evaluate = format!(
        "rlnet eval {model} --dataset {dataset}{limit} --corruptions benchmark --attack fgsm --attack pgd:steps=20"
    );
    if json {
        print_json(&json!({
            "cell": cell.id, "stage": spec.stage.name(), "path": folder, "model": folder.join("model.safetensors"),
            "found": found, "next": next, "evaluate": evaluate,
        }));
        return;
    }
    print_line(folder.display().to_string());
    if let Some(next) = next {
        outln!("next stage: {next}");
    }
    outln!("evaluate:   {evaluate}");
}
