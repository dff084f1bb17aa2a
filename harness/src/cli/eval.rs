//! `rlnet eval`: models under any conditions.

use crate::error::{Error, Result};
use crate::eval::preflight::Finding;
use crate::progress::announce;
use crate::request::conditions::{branches, corruptions, images, severities, suite_on};
use crate::request::execution_options::{summary, with_resume_hint};
use crate::request::{
    CorruptedFolders, ExecutionOptions, Global, ModelOptions, OpenedModel, PictureOptions, cells, heading,
};
use crate::run::RunDirectory;
use crate::run::compatibility::{ModelFile, ModelFiles};
use crate::run::evaluation::{Evaluation, Execution, Subject};
use crate::store::folder_only;
use crate::terminal::render::finish;
use clap::Args;
use rlnet_suites::attack::headline;
use rlnet_suites::corrupted::{Draws, Origin, Stack};
use rlnet_suites::plan::TEACHER;
use rlnet_suites::suite::EVALUATION_BATCH;
use rlnet_suites::{Branch, Corrupted, EvalRequest, ImageRanges};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Evaluate models: clean, corrupted and attacked images, through every norm branch
///
/// Example: rlnet eval model.pt --dataset cifar10 --attack pgd:steps=20 --corruptions all --limit 500
///
/// Example: rlnet eval model.pt --suite official --corrupted-dir CIFAR-10-C
///
/// Example: rlnet eval python:net.py:make --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26 --dataset cifar10
///
/// Example: rlnet eval mine.pt theirs.onnx --baseline theirs --dataset cifar10 --attack autoattack
///
/// MODEL is a model.safetensors of this program (or the cell that trained it: OUT/cells/ID or
/// RUN:NAME), or any model that maps images in [0,1] to logits: a TorchScript file, a function of a Python
/// file, an ONNX file. A later eval of the same model on the same images adds to the report that is there.
#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    model: ModelOptions,
    /// Norm branches to evaluate, with commas (clean, adversarial, ...), or all
    #[arg(long, value_name = "BRANCH", default_value = "all", help_heading = heading::MODEL)]
    branch: String,
    /// Continue despite this preflight finding; the report records it
    #[arg(long = "allow", value_name = "CODE", help_heading = heading::MODEL)]
    allowed: Vec<Finding>,
    /// shapes, textures, cifar10, cifar100, tiny-imagenet or imagefolder:PATH
    #[arg(long, required_unless_present = "suite", help_heading = heading::DATA)]
    dataset: Option<String>,
    #[command(flatten)]
    pictures: PictureOptions,
    /// Use only the first N test images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = heading::DATA)]
    limit: Option<u32>,
    /// Use only these test images: positions and ranges (5000-5511 or 3,7,9-20), or a file of them
    #[arg(long, value_name = "LIST", value_parser = images, conflicts_with = "limit", help_heading = heading::DATA)]
    images: Option<ImageRanges>,
    /// Run the evaluation of this suite (of the catalogue, or a TOML file) on MODEL. Its training
    /// section is ignored
    #[arg(
        long,
        conflicts_with_all = ["dataset", "resize", "crop", "filter", "attacks", "certificates", "corruptions", "severity", "rng", "stack"],
        help_heading = heading::DATA
    )]
    suite: Option<String>,
    /// Override a setting of the suite: data.dataset=cifar100
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = heading::DATA)]
    sets: Vec<String>,
    /// An attack with its parameters (pgd:steps=20,eps=8/255), or a group (adaptive). Repeat the
    /// option for more attacks (rlnet attack list)
    #[arg(long = "attack", value_name = "ATTACK", help_heading = heading::ATTACKS, long_help = attack_help())]
    attacks: Vec<String>,
    /// Certify images: prove that no point of a ball around them is classified wrongly
    /// (eps=1/255,method=alpha-crown; methods: ibp, crown-ibp, crown, alpha-crown, beta-crown, exact). Repeat the option for
    /// more balls and methods
    #[arg(long = "certify", value_name = "PARAMETERS", help_heading = heading::ATTACKS)]
    certificates: Vec<String>,
    /// Also run the checklist of gradient masking: radii, steps, starts, black-box attacks,
    /// transfers, noise and gradients
    #[arg(long, help_heading = heading::ATTACKS)]
    diagnose: bool,
    /// Name and file of a surrogate model that transfer attacks use: teacher=FILE
    #[arg(long = "surrogate", value_name = "NAME=FILE", help_heading = heading::ATTACKS)]
    surrogates: Vec<String>,
    /// Do not store adversarial images (12 kB for each 32x32 image and branch; rlnet attack replay
    /// reads them)
    #[arg(long, help_heading = heading::ATTACKS)]
    discard_images: bool,
    /// benchmark (15), extra (4), all (these 19), c-bar (10), imagenet-c-bar (10, for 224 pixels), p (the 14
    /// sequences of CIFAR-10-P), p-cifar (10 of them), none, or names with commas (a sequence is p/NAME)
    #[arg(long, default_value = "none", help_heading = heading::CORRUPTIONS)]
    corruptions: String,
    /// Severities, with commas or as a range (default: 1-5)
    #[arg(long, help_heading = heading::CORRUPTIONS)]
    severity: Option<String>,
    /// Library versions that generated corruptions reproduce: release (those of the published files)
    /// or modern (those of 2023) (default: release)
    #[arg(long, help_heading = heading::CORRUPTIONS)]
    stack: Option<Stack>,
    /// Random numbers for generated corruptions: keyed (one generator for each image) or numpy (the
    /// reference script's single stream; its images are first written to the output folder)
    /// (default: keyed)
    #[arg(long, help_heading = heading::CORRUPTIONS)]
    rng: Option<Draws>,
    #[command(flatten)]
    corrupted: CorruptedFolders,
    /// Images in a batch; results do not depend on it
    #[arg(
        long,
        default_value_t = EVALUATION_BATCH as u32,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = heading::RUN
    )]
    batch: u32,
    #[command(flatten)]
    execution: ExecutionOptions,
    /// Folder for results (default: out/eval-NAME; if that holds results of another model, other
    /// images or another limit, out/eval-NAME-ID)
    #[arg(long, value_name = "DIR", value_parser = folder_only, help_heading = heading::OUTPUT)]
    out: Option<PathBuf>,
}

/// The help of `--attack`, with the order of the kinds that the registry has.
fn attack_help() -> String {
    let kinds: Vec<String> = headline::kinds().iter().map(|kind| kind.join(" or ")).collect();
    format!(
        "An attack with its parameters (pgd:steps=20,eps=8/255), or a group (adaptive). Repeat the option for more attacks \
         (rlnet attack list)\n\nWith several attacks, AdvA is the accuracy under the strongest kind, chosen before the run: \
         {}. Of equals the one with more effort (steps, restarts, targets), then Linf before L2, then the largest radius, \
         then the last one. Transfer attacks and attacks on another branch come after all of these. Noise, attacks on \
         corrupted images and attacks without a radius are never AdvA.",
        kinds.join(", else ")
    )
}

impl Eval {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        self.execution.listen()?;
        self.refuse_unused()?;
        // Servers, where there are some, are there until the end.
        let opened = self.model.open(global.threads.map(usize::from))?;
        let evaluation = self.evaluation(&opened, global)?;
        evaluation.check_names()?;
        let mut planned = evaluation.plan(&global.data_dir(), &self.corrupted.folders(), self.diagnose)?;
        let default = || RunDirectory::default_root(&planned.plan);
        let out = self.out.clone().unwrap_or_else(default);
        planned.add_finished(&out);
        let execution = Execution {
            device: global.open_device()?,
            allowed: self.allowed.clone(),
            part: self.execution.part(),
        };
        let executed = planned.run(&out, execution).map_err(with_resume_hint)?;
        announce(&summary(&planned.plan.suite, &executed, started.elapsed()));
        finish(&RunDirectory::at(&out), &planned.plan, global.json, &executed)
    }

    /// Refuses options that change nothing here. (clap lets `requires` go where a conflict is near.)
    fn refuse_unused(&self) -> Result<()> {
        if self.suite.is_some() {
            return Ok(());
        }
        if let Some(set) = self.sets.first() {
            return Err(Error::Usage(format!(
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
            Some((option, _)) => Err(Error::Usage(format!(
                "{option}: no corruptions are requested; add --corruptions all (or names), or leave the option out"
            ))),
            None => Ok(()),
        }
    }

    /// The model, and the files of its surrogates.
    fn files(&self, model: ModelFile) -> Result<ModelFiles> {
        let mut surrogates = BTreeMap::new();
        for text in &self.surrogates {
            let (name, file) = text.split_once('=').ok_or_else(|| {
                Error::Usage(format!(
                    "--surrogate {text}: write it as NAME=FILE, e.g. teacher=model.pt"
                ))
            })?;
            let file = ModelFile::read(cells::model_file(Path::new(file))?, Some(name))?;
            let id = file.id.clone();
            if surrogates
                .insert(name.to_owned(), file)
                .is_some_and(|first| first.id != id)
            {
                return Err(Error::Usage(format!("--surrogate {text}: {name} is named twice")));
            }
        }
        Ok(ModelFiles {
            model,
            surrogates,
            side: None,
        })
    }

    /// What to evaluate: as a suite says, or as the options say.
    fn evaluation(&self, opened: &[OpenedModel], global: &Global) -> Result<Evaluation> {
        let files = opened.iter().map(|opened| self.files(opened.file.clone()));
        let files: Vec<ModelFiles> = files.collect::<Result<_>>()?;
        let name = |opened: &OpenedModel| opened.file.facts.name.clone();
        let relus = opened
            .iter()
            .filter_map(|opened| Some((name(opened), opened.relus?)));
        let evaluation = match &self.suite {
            Some(name) => self.by_suite(name, files, global)?,
            None => self.by_options(files, global)?,
        };
        Ok(Evaluation {
            baseline: self.model.baseline.clone(),
            relus: relus.collect(),
            ..evaluation
        })
    }

    fn by_suite(&self, name: &str, files: Vec<ModelFiles>, global: &Global) -> Result<Evaluation> {
        let mut sets = self.sets.clone();
        sets.extend(global.seed.map(|seed| format!("evaluation.seed={seed}")));
        let suite = suite_on(name, sets, (self.limit, self.images.as_ref()))?;
        let branches = branches(&self.branch)?;
        let headline = suite.evaluation.headline.clone();
        let subject = |files: ModelFiles| {
            let files = files.on(&suite.data.dataset, &global.data_dir());
            let mut request = suite.eval_request();
            request.branches = branches.clone().or(request.branches);
            // Activations are compared with a teacher's only where one is named.
            request.similarity &= files.surrogates.contains_key(TEACHER);
            // A suite requests its attacks for several networks; they need not fit each.
            request.attacks = files.fitting(request.attacks, request.branches.as_deref());
            match headline
                .as_ref()
                .filter(|headline| !request.attacks.contains(headline))
            {
                Some(headline) => Err(Error::Usage(format!(
                    "--suite {name}: its main attack {headline} cannot run on {} (the reason is above); name another \
                     with --set evaluation.headline=ATTACK",
                    files.model.facts.name
                ))),
                None => Ok(Subject { files, request }),
            }
        };
        Ok(Evaluation {
            subjects: files.into_iter().map(subject).collect::<Result<_>>()?,
            dataset: suite.data.dataset.clone(),
            limit: suite.data.test.filter(|_| suite.data.images.is_none()),
            images: suite.data.images.clone(),
            corrupted: suite.evaluation.corrupted(),
            headline: suite.evaluation.headline.clone(),
            save_images: suite.evaluation.save_images && !self.discard_images,
            batch: self.batch as usize,
            description: format!("Evaluation by suite {}.", suite.name),
            scale: suite.at_scale()?,
            baseline: None,
            relus: BTreeMap::new(),
        })
    }

    fn by_options(&self, files: Vec<ModelFiles>, global: &Global) -> Result<Evaluation> {
        let branches = branches(&self.branch)?;
        let dataset = self.pictures.on(self.dataset.as_deref().unwrap_or_default())?;
        let request = EvalRequest {
            corruptions: corruptions(&self.corruptions)?,
            severities: severities(self.severity.as_deref().unwrap_or("1-5"))?,
            augmix: false,
            attacks: Vec::new(),
            limits: BTreeMap::new(),
            seed: global.seed.unwrap_or(0),
            branches,
            probe: false,
            similarity: false,
        };
        let subject = |files: ModelFiles| {
            let files = files.on(&dataset, &global.data_dir());
            // All of a model's branches by name are all of them.
            let own: BTreeSet<_> = files.model.facts.branches.iter().copied().collect();
            let some = |named: &Vec<Branch>| !own.iter().eq(named.iter());
            let asked = request.branches.clone().filter(some);
            let branches = asked.as_deref();
            let request = EvalRequest {
                branches: asked.clone(),
                attacks: [
                    files.attacks(&self.attacks, branches)?,
                    files.certificates(&self.certificates, branches)?,
                ]
                .concat(),
                ..request.clone()
            };
            Ok(Subject { files, request })
        };
        Ok(Evaluation {
            subjects: files.into_iter().map(subject).collect::<Result<_>>()?,
            dataset: dataset.clone(),
            limit: self.limit,
            images: self.images.clone(),
            corrupted: self.corrupted()?,
            headline: None,
            save_images: !self.discard_images,
            batch: self.batch as usize,
            description: "Evaluation of given models.".to_owned(),
            scale: None,
            baseline: None,
            relus: BTreeMap::new(),
        })
    }

    /// Where corrupted images come from.
    fn corrupted(&self) -> Result<Corrupted> {
        let (stack, draws) = (self.stack.unwrap_or_default(), self.rng.unwrap_or_default());
        let origin = match self.corrupted.corrupted_dir {
            Some(_) => Origin::Official,
            None => Origin::Generated,
        };
        if origin == Origin::Official && (stack, draws) != Default::default() {
            return Err(Error::Usage(
                "--corrupted-dir: corrupted images are read, not generated; leave --stack and --rng out"
                    .into(),
            ));
        }
        Ok(Corrupted {
            origin,
            stack,
            draws,
            ..Corrupted::default()
        })
    }
}
