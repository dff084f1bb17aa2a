//! `rlnet eval`: anybody's model under any conditions.

use crate::device;
use crate::error::{Error, Result};
use crate::eval::networks::{branches_of, is_torchscript, within};
use crate::eval::preflight::Finding;
use crate::progress::announce;
use crate::request::conditions::{corruptions, severities};
use crate::request::execution_options::{summary, with_resume_hint};
use crate::request::{CorruptedFolders, ExecutionOptions, Global, cells};
use crate::run::files::open_folder;
use crate::run::live::Presence;
use crate::run::session::read_suite;
use crate::run::{CorruptedSource, Executor, Prepared, RunDirectory};
use crate::store::folder_only;
use crate::terminal::render::finish;
use clap::{Args, ValueEnum};
use rlnet_suites::attack::{Norm, diagnosis, group};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::corrupted::{Draws, Origin, Stack};
use rlnet_suites::plan::TEACHER;
use rlnet_suites::{AttackSpec, Branch, CellId, CellSpec, Corrupted, EvalRequest, Plan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Evaluate a model: clean, corrupted, attacked, through every branch
///
/// MODEL is a run's model.safetensors (or its cell: OUT/cells/ID, or RUN:NAME), or any TorchScript
/// file that takes images in [0,1] (normalisation inside) and gives logits.
///
/// Example: rlnet eval model.pt --dataset cifar10 --attack pgd:steps=20 --corruptions all --limit 500
///
/// Example: rlnet eval model.pt --suite official --corrupted-dir CIFAR-10-C
#[derive(Debug, Args)]
pub struct Eval {
    /// A model.safetensors, its cell's folder, RUN:NAME, or a TorchScript file
    model: PathBuf,
    /// shapes, textures, cifar10, cifar100, tiny-imagenet or imagefolder:PATH
    #[arg(long, required_unless_present = "suite")]
    dataset: Option<String>,
    /// Ask what this suite asks (of the catalogue, or a TOML file), whatever model it trains
    #[arg(long, conflicts_with_all = ["dataset", "attacks", "corruptions", "severity", "rng", "stack"])]
    suite: Option<String>,
    /// Override a setting of the suite: data.dataset=cifar100
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// An attack with its parameters, as often as wanted: pgd:steps=20,eps=8/255; or a group:
    /// adaptive (rlnet attack list)
    ///
    /// Of several attacks AdvA is the accuracy under the strongest kind, chosen before the run:
    /// autoattack, else apgd-t, apgd-ce or apgd-dlr, pgd (most steps times restarts), bim or
    /// mifgsm, fab, rfgsm or ffgsm, fgsm; of equals Linf before L2, then the largest radius, then
    /// the last named. Attacks made on another network or branch come after all of these; noise,
    /// attacks on corrupted images and attacks without a radius are never AdvA.
    #[arg(long = "attack", value_name = "ATTACK")]
    attacks: Vec<String>,
    /// Ask as well whether the robust number can be trusted: radii, steps, starts, black-box,
    /// transfers, noise and gradients, as the checklists of gradient masking want
    #[arg(long)]
    diagnose: bool,
    /// Another network that an attack follows, by the name it has there: teacher=FILE
    #[arg(long = "surrogate", value_name = "NAME=FILE")]
    surrogates: Vec<String>,
    /// Norm branches to go through, with commas: clean, adversarial, ..., or all
    #[arg(long, value_name = "BRANCH", default_value = "all")]
    branch: String,
    /// Keep no adversarial images (12 kB an image of 32x32 and branch; rlnet attack replay reads them)
    #[arg(long)]
    discard_images: bool,
    /// benchmark (15), all (19), extra (4), none, or names with commas
    #[arg(long, default_value = "none")]
    corruptions: String,
    /// Severities, with commas or as a range (default: 1-5)
    #[arg(long)]
    severity: Option<String>,
    /// Libraries that generated corruptions imitate: those of the published files, or of 2023
    /// (default: release)
    #[arg(long, value_enum)]
    stack: Option<StackName>,
    /// Draws of generated corruptions: an own generator for every image, or the reference
    /// script's one stream (its images are written to the output folder first; default: keyed)
    #[arg(long, value_enum)]
    rng: Option<RngName>,
    #[command(flatten)]
    execution: ExecutionOptions,
    #[command(flatten)]
    corrupted: CorruptedFolders,
    /// Use only the first N test images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Images a batch; results do not depend on it
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Let a model through in spite of a preflight finding (its code); the record says so
    #[arg(long = "allow", value_name = "CODE")]
    allowed: Vec<Finding>,
    /// Where results go (default: out/eval-MODEL)
    #[arg(long, value_name = "DIR", value_parser = folder_only)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StackName {
    Release,
    Modern,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RngName {
    Keyed,
    Numpy,
}

/// The model's file and those of other networks, and what cells call them.
struct Models {
    file: PathBuf,
    id: CellId,
    surrogates: BTreeMap<String, CellId>,
    files: BTreeMap<CellId, PathBuf>,
}

/// What is asked, of which images.
struct Question {
    dataset: String,
    limit: Option<u32>,
    asked: EvalRequest,
    corrupted: Corrupted,
    headline: Option<AttackSpec>,
    save_images: bool,
    what: String,
}

impl Eval {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        self.execution.listen()?;
        self.refuse_idle()?;
        let models = self.models()?;
        let mut question = self.question(global, &models)?;
        let data = Prepared::load_test(&question.dataset, &global.data_dir(), question.limit)?;
        if self.diagnose {
            self.add_diagnosis(&mut question, &models, data.classes.len())?;
        }
        let Question {
            dataset,
            limit,
            asked,
            ..
        } = &question;
        let folders = self.corrupted.folders();
        let corrupted = CorruptedSource::new(question.corrupted, &folders, asked, &data)?;
        let name = name_of(&models.file);
        let id = &models.id;
        let spec = DataSpec {
            dataset: dataset.clone(),
            train: None,
            test: *limit,
            validation: rlnet_suites::suite::VALIDATION,
            seed: 0,
            checksum: data.checksum.clone(),
        };
        let plan = Plan {
            schema: rlnet_suites::suite::SCHEMA,
            suite: format!("eval-{name}"),
            title: format!("{name} on {dataset}"),
            description: format!("{} Model file, blake3 {id}.", question.what),
            headline: question.headline.clone(),
            baseline: None,
            evaluation_batch: self.batch as usize,
            save_images: question.save_images && !self.discard_images,
            cells: asked.cells(
                &name,
                id,
                &|name| models.surrogates.get(name).cloned(),
                &spec,
                &corrupted.context(&data),
            )?,
        };
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| Path::new("out").join(&plan.suite));
        models.are_followed(&plan)?;
        let device = global.open_device()?;
        let directory = RunDirectory::at(&out);
        let executor = Executor {
            directory: &directory,
            data: &data,
            corrupted: &corrupted,
            device,
            external: models.files,
            allowed: self.allowed.clone(),
            part: self.execution.part(),
        };
        // A plan in the folder belongs to numbers; that of a model nobody can use must not replace it.
        if !plan.cells.iter().all(|cell| directory.is_done(&cell.id)) {
            executor.examine(&plan)?;
        }
        open_folder(&out)?;
        directory.make()?;
        drop(directory.own_plan(&plan)?);
        directory.repair(&plan)?;
        let executed = {
            let _presence = Presence::show(&out, &device::name(device))?;
            executor.run(&plan, None).map_err(with_resume_hint)?
        };
        announce(&summary(&name, &executed, started.elapsed()));
        finish(&directory, &plan, global.json, &executed)
    }

    /// Refuses options that change nothing here. (clap lets `requires` go where a conflict is near.)
    fn refuse_idle(&self) -> Result<()> {
        if self.suite.is_some() {
            return Ok(());
        }
        if let Some(set) = self.sets.first() {
            return Err(Error::Input(format!(
                "--set {set}: it overrides a setting of a suite, and none is named; add --suite NAME (instead of \
                 --dataset), or leave it out"
            )));
        }
        let given = [
            ("--severity", self.severity.is_some()),
            ("--stack", self.stack.is_some()),
            ("--rng", self.rng.is_some()),
            ("--frost-textures", self.corrupted.frost_textures.is_some()),
        ];
        match given
            .iter()
            .find(|(_, given)| *given && self.corruptions == "none")
        {
            Some((option, _)) => Err(Error::Input(format!(
                "{option}: no corruptions are asked for; add --corruptions all (or names), or leave it out"
            ))),
            None => Ok(()),
        }
    }

    /// The files that were named.
    fn models(&self) -> Result<Models> {
        let file = cells::model_file(&self.model)?;
        let id = cells::identity(&file)?;
        let mut models = Models {
            surrogates: BTreeMap::new(),
            files: BTreeMap::from([(id.clone(), file.clone())]),
            file,
            id,
        };
        for text in &self.surrogates {
            let (name, named) = text.split_once('=').ok_or_else(|| {
                Error::Input(format!(
                    "--surrogate {text}: write it as NAME=FILE, e.g. teacher=model.pt"
                ))
            })?;
            let file = cells::model_file(Path::new(named))?;
            let id = cells::identity(&file)?;
            if models.surrogates.insert(name.to_owned(), id.clone()).is_some() {
                return Err(Error::Input(format!("--surrogate {text}: {name} is named twice")));
            }
            models.files.entry(id).or_insert(file);
        }
        Ok(models)
    }

    /// The suite's question, or that of the options.
    fn question(&self, global: &Global, models: &Models) -> Result<Question> {
        if let Some(name) = &self.suite {
            let mut sets = self.sets.clone();
            sets.extend(self.limit.map(|n| format!("data.test={n}")));
            sets.extend(global.seed.map(|seed| format!("evaluation.seed={seed}")));
            let suite = read_suite(name, &sets)?;
            let mut asked = suite.eval_request();
            asked.branches = branches(&self.branch)?.or(asked.branches);
            // A model from elsewhere is compared with a teacher only where one is named.
            asked.similarity &= models.surrogates.contains_key(TEACHER);
            // What a suite asks of several networks need not fit each.
            let attacks = asked.attacks.into_iter().map(|attack| (attack, Asking::Group));
            asked.attacks = fitting(attacks, models, asked.branches.as_deref())?;
            if let Some(headline) = &suite.evaluation.headline
                && !asked.attacks.contains(headline)
            {
                return Err(Error::Input(format!(
                    "--suite {name}: its headline {headline} cannot be asked of this model (above: why); name another \
                     with --set evaluation.headline=ATTACK"
                )));
            }
            return Ok(Question {
                dataset: suite.data.dataset.clone(),
                limit: suite.data.test,
                corrupted: suite.evaluation.corrupted(),
                headline: suite
                    .evaluation
                    .headline
                    .clone()
                    .or_else(|| AttackSpec::headline(&asked.attacks).cloned()),
                asked,
                save_images: suite.evaluation.save_images,
                what: format!("Evaluation of one model by suite {}.", suite.name),
            });
        }
        let stack = match self.stack.unwrap_or(StackName::Release) {
            StackName::Release => Stack::Release,
            StackName::Modern => Stack::Modern,
        };
        let draws = match self.rng.unwrap_or(RngName::Keyed) {
            RngName::Keyed => Draws::Keyed,
            RngName::Numpy => Draws::Numpy,
        };
        let origin = match self.corrupted.corrupted_dir {
            Some(_) => Origin::Official,
            None => Origin::Generated,
        };
        if origin == Origin::Official && (stack, draws) != Default::default() {
            return Err(Error::Input(
                "--corrupted-dir: corrupted images are read, not made; leave --stack and --rng out".into(),
            ));
        }
        let attacks = self.attacks(&self.attacks, models)?;
        Ok(Question {
            dataset: self.dataset.clone().unwrap_or_default(),
            limit: self.limit,
            asked: EvalRequest {
                corruptions: corruptions(&self.corruptions)?,
                severities: severities(self.severity.as_deref().unwrap_or("1-5"))?,
                augmix: false,
                attacks: attacks.clone(),
                limits: BTreeMap::new(),
                seed: global.seed.unwrap_or(0),
                branches: branches(&self.branch)?,
                probe: false,
                similarity: false,
            },
            corrupted: Corrupted {
                origin,
                stack,
                draws,
                ..Corrupted::default()
            },
            headline: AttackSpec::headline(&attacks).cloned(),
            save_images: true,
            what: "Evaluation of one model.".to_owned(),
        })
    }
}

impl Models {
    /// Refuses a network that nothing in the plan follows.
    fn are_followed(&self, plan: &Plan) -> Result<()> {
        let used = |name: &String| {
            plan.cells.iter().any(|cell| match &cell.spec {
                CellSpec::Evaluate(spec) => spec.surrogates.contains_key(name),
                CellSpec::Train(_) => false,
            })
        };
        match self.surrogates.keys().find(|name| !used(name)) {
            Some(name) => Err(Error::Input(format!(
                "--surrogate {name}: nothing that is asked follows it; add an attack that does (--attack \
                 pgd:surrogate={name}), or leave it out"
            ))),
            None => Ok(()),
        }
    }
}

impl Eval {
    /// Adds the checklist's conditions in AdvA's norm, behind what was asked for by name.
    fn add_diagnosis(&self, question: &mut Question, models: &Models, classes: usize) -> Result<()> {
        question.asked.probe = true;
        let headline = question.headline.as_ref();
        let headline = headline.or_else(|| AttackSpec::headline(&question.asked.attacks));
        let norm = headline.map_or(Norm::Linf, AttackSpec::norm);
        let group = diagnosis::group_in(norm).ok_or_else(|| {
            Error::Input(format!(
                "--diagnose: there is no checklist in {norm}, in which neither noise nor square is defined; AdvA \
                 is {}: ask for an attack in linf or l2",
                headline.map(ToString::to_string).unwrap_or_default()
            ))
        })?;
        for attack in self.attacks(&[group.to_owned()], models)? {
            if attack.name() == "apgd-dlr" && classes < 3 {
                announce(&format!("{attack} is left out: DLR needs three classes"));
            } else if !question.asked.attacks.contains(&attack) {
                question.asked.attacks.push(attack);
            }
        }
        if question.headline.is_none() {
            question.headline = AttackSpec::headline(&question.asked.attacks).cloned();
        }
        Ok(())
    }

    /// The attacks asked for.
    fn attacks(&self, texts: &[String], models: &Models) -> Result<Vec<AttackSpec>> {
        let mut all = Vec::new();
        for text in texts {
            let members = group(text)?;
            let asking = match members.len() {
                1 => Asking::Name,
                _ => Asking::Group,
            };
            all.extend(members.into_iter().map(|attack| (attack, asking)));
        }
        fitting(all.into_iter(), models, branches(&self.branch)?.as_deref())
    }
}

/// How an attack was asked for.
#[derive(Debug, Clone, Copy)]
enum Asking {
    Name,
    Group,
}

/// The attacks that this model can take. Others are left out, and the command says so, where they
/// came with a group; one that was asked for by its own name is refused.
fn fitting(
    all: impl Iterator<Item = (AttackSpec, Asking)>,
    models: &Models,
    asked: Option<&[Branch]>,
) -> Result<Vec<AttackSpec>> {
    let (mut attacks, mut left_out) = (Vec::new(), Vec::new());
    for (attack, asking) in all {
        // Some attacks have two names.
        if attacks.contains(&attack) || left_out.contains(&attack) {
            continue;
        }
        match (lacks(&attack, models, asked)?, asking) {
            (None, _) => attacks.push(attack),
            (Some(why), Asking::Group) => {
                announce(&format!("{attack} is left out: {why}"));
                left_out.push(attack);
            }
            (Some(why), Asking::Name) => {
                return Err(Error::Input(format!("--attack {attack}: {why}")));
            }
        }
    }
    Ok(attacks)
}

/// What an attack needs that is not there; nothing where all is.
fn lacks(attack: &AttackSpec, models: &Models, asked: Option<&[Branch]>) -> Result<Option<String>> {
    let missing = attack
        .networks()
        .find(|name| !models.surrogates.contains_key(*name));
    if let Some(name) = missing {
        return Ok(Some(format!("it needs --surrogate {name}=FILE")));
    }
    let surrogate = attack.word("surrogate");
    if is_torchscript(&models.file) && ["all-relu", "linear"].contains(&surrogate) {
        let why = "a TorchScript model's ReLUs cannot be changed; evaluate a model.safetensors";
        return Ok(Some(why.to_owned()));
    }
    let own = branches_of(&models.file)?;
    let other = models
        .surrogates
        .get(surrogate)
        .and_then(|id| models.files.get(id));
    let there = other.map_or(Ok(own.clone()), |file| branches_of(file))?;
    let followed = match attack.word("through") {
        "all" if own.len() == 1 => return Ok(Some("the model has one branch".to_owned())),
        "all" => own,
        "" | "same" if there == [Branch::Single] => return Ok(None),
        "" | "same" => asked.map_or(own, <[Branch]>::to_vec),
        name => vec![name.parse()?],
    };
    let found = within(&followed, &there, "the network that it follows");
    Ok(found.err().map(|why| why.to_string()))
}

/// The branches of `--branch`; nothing for all of the model's.
fn branches(text: &str) -> Result<Option<Vec<Branch>>> {
    if text == "all" {
        return Ok(None);
    }
    let names = text.split(',').map(|name| Ok(name.trim().parse::<Branch>()?));
    Ok(Some(names.collect::<Result<_>>()?))
}

/// A short name for a model file: its stem, or its cell for a run's model.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.parent().and_then(Path::file_name) {
        Some(cell) if stem == "model" => cell.to_string_lossy().into_owned(),
        _ => stem.into_owned(),
    }
}
