//! `rlnet eval`: anybody's model under any conditions.

use super::drawn::finish;
use super::global::Global;
use super::joining::{Joining, go_on, summary};
use super::run::{CorruptedFolders, read_suite};
use crate::device;
use crate::error::{Error, Result};
use crate::eval::networks::is_torchscript;
use crate::eval::preflight::Finding;
use crate::progress::announce;
use crate::run::live::Presence;
use crate::run::{CorruptedSource, Executor, Prepared, RunDirectory};
use crate::store::folder_only;
use clap::{Args, ValueEnum};
use rlnet_suites::attack::{diagnosis, group};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::corrupted::{Draws, Origin, Stack};
use rlnet_suites::corruption::{BENCHMARK, EXTRA, check_corruption};
use rlnet_suites::plan::TEACHER;

use rlnet_suites::{Asked, AttackSpec, Branch, CellId, Corrupted, Plan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Evaluate a model: clean, corrupted, attacked, through every branch
///
/// MODEL is a run's model.safetensors, or any TorchScript file that takes images in [0,1]
/// (normalisation inside) and gives logits.
///
/// Example: rlnet eval model.pt --dataset cifar10 --attack pgd:steps=20 --corruptions all --limit 500
///
/// Example: rlnet eval model.pt --suite official --corrupted-dir CIFAR-10-C
#[derive(Debug, Args)]
pub struct Eval {
    /// model.safetensors of a run, or a TorchScript file
    model: PathBuf,
    /// shapes, textures, cifar10, cifar100, tiny-imagenet or imagefolder:PATH
    #[arg(long, required_unless_present = "suite")]
    dataset: Option<String>,
    /// Ask what this suite asks (of the catalogue, or a TOML file), whatever model it trains
    #[arg(long, conflicts_with_all = ["dataset", "attacks", "corruptions", "severity", "rng", "stack"])]
    suite: Option<String>,
    /// Override a setting of the suite: data.dataset=cifar100
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "suite")]
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
    /// Store the adversarial images beside the outcomes (rlnet attack replay reads them)
    #[arg(long)]
    save_images: bool,
    /// benchmark (15), all (19), extra (4), none, or names with commas
    #[arg(long, default_value = "none")]
    corruptions: String,
    /// Severities, with commas or as a range
    #[arg(long, default_value = "1-5")]
    severity: String,
    /// Libraries that generated corruptions imitate: those of the published files, or of 2023
    #[arg(long, value_enum, default_value = "release")]
    stack: StackName,
    /// Draws of generated corruptions: an own generator for every image, or the reference
    /// script's one stream (its images are written to the output folder first)
    #[arg(long, value_enum, default_value = "keyed")]
    rng: RngName,
    #[command(flatten)]
    joining: Joining,
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

/// What is asked, of which images.
struct Question {
    dataset: String,
    limit: Option<u32>,
    asked: Asked,
    corrupted: Corrupted,
    headline: Option<AttackSpec>,
    what: String,
}

impl Eval {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        self.joining.listen()?;
        let id = identity(&self.model)?;
        let mut external = BTreeMap::from([(id.clone(), self.model.clone())]);
        let mut surrogates = BTreeMap::new();
        for text in &self.surrogates {
            let (name, file) = text.split_once('=').ok_or_else(|| {
                Error::Input(format!(
                    "--surrogate {text}: write it as NAME=FILE, e.g. teacher=model.pt"
                ))
            })?;
            let other = identity(Path::new(file))?;
            external.insert(other.clone(), PathBuf::from(file));
            surrogates.insert(name.to_owned(), other);
        }
        let mut question = self.question(global, &surrogates)?;
        let data = Prepared::load_test(&question.dataset, &global.data_dir(), question.limit)?;
        if self.diagnose {
            self.add_diagnosis(&mut question, &surrogates, data.classes.len())?;
        }
        let Question {
            dataset,
            limit,
            asked,
            ..
        } = &question;
        let folders = self.corrupted.folders();
        let corrupted = CorruptedSource::new(question.corrupted, &folders, asked, &data)?;
        let name = name_of(&self.model);
        let spec = DataSpec {
            dataset: dataset.clone(),
            train: None,
            test: *limit,
            validation: 0.1,
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
            cells: asked.cells(
                &name,
                &id,
                &|name| surrogates.get(name).cloned(),
                &spec,
                &corrupted.world(&data),
            )?,
        };
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| Path::new("out").join(&plan.suite));
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
                external,
                allowed: self.allowed.clone(),
                part: self.joining.part(),
            }
            .run(&plan, None)
            .map_err(go_on)?
        };
        announce(&summary(&name, &executed, started.elapsed()));
        finish(&directory, &plan, global.json, &executed)
    }

    /// The suite's question, or that of the options.
    fn question(&self, global: &Global, surrogates: &BTreeMap<String, CellId>) -> Result<Question> {
        if let Some(name) = &self.suite {
            let mut sets = self.sets.clone();
            sets.extend(self.limit.map(|n| format!("data.test={n}")));
            sets.extend(global.seed.map(|seed| format!("evaluation.seed={seed}")));
            let suite = read_suite(name, &sets)?;
            let mut asked = suite.asked();
            asked.branches = branches(&self.branch)?.or(asked.branches);
            asked.save_images |= self.save_images;
            // A model from elsewhere is compared with a teacher only where one is named.
            asked.similarity &= surrogates.contains_key(TEACHER);
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
                what: format!("Evaluation of one model by suite {}.", suite.name),
            });
        }
        let stack = match self.stack {
            StackName::Release => Stack::Release,
            StackName::Modern => Stack::Modern,
        };
        let draws = match self.rng {
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
        let attacks = self.attacks(&self.attacks, surrogates)?;
        Ok(Question {
            dataset: self.dataset.clone().unwrap_or_default(),
            limit: self.limit,
            asked: Asked {
                corruptions: corruptions(&self.corruptions)?,
                severities: severities(&self.severity)?,
                augmix: false,
                attacks: attacks.clone(),
                limits: BTreeMap::new(),
                seed: global.seed.unwrap_or(0),
                branches: branches(&self.branch)?,
                save_images: self.save_images,
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
            what: "Evaluation of one model.".to_owned(),
        })
    }
}

impl Eval {
    /// Adds the checklist's conditions, behind what was asked for by name.
    fn add_diagnosis(
        &self,
        question: &mut Question,
        surrogates: &BTreeMap<String, CellId>,
        classes: usize,
    ) -> Result<()> {
        question.asked.probe = true;
        for attack in self.attacks(&[diagnosis::GROUP.to_owned()], surrogates)? {
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

    /// The attacks asked for. Of a group, those that this model cannot take are left out, and
    /// the command says so; one asked for by its own name is refused when it is run.
    fn attacks(&self, texts: &[String], surrogates: &BTreeMap<String, CellId>) -> Result<Vec<AttackSpec>> {
        let mut attacks: Vec<AttackSpec> = Vec::new();
        let script = is_torchscript(&self.model);
        for text in texts {
            let members = group(text)?;
            let single = members.len() == 1;
            for attack in members {
                let lacks = if attack.needs_teacher() && !surrogates.contains_key("teacher") {
                    Some("it needs --surrogate teacher=FILE")
                } else if script && ["all-relu", "linear"].contains(&attack.word("surrogate")) {
                    Some("a TorchScript model's ReLUs cannot be changed; evaluate a model.safetensors")
                } else if script && !["", "same"].contains(&attack.word("through")) {
                    Some("a TorchScript model has one branch")
                } else {
                    None
                };
                match lacks {
                    Some(why) if !single => announce(&format!("{attack} is left out: {why}")),
                    Some(why) => return Err(Error::Input(format!("--attack {attack}: {why}"))),
                    _ if attacks.contains(&attack) => {}
                    _ => attacks.push(attack),
                }
            }
        }
        Ok(attacks)
    }
}

/// The identity of a model file: its checksum.
pub fn identity(path: &Path) -> Result<CellId> {
    let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
    Ok(CellId(blake3::hash(&bytes).to_hex()[..16].to_owned()))
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

/// The corruptions of `--corruptions` and `--names`: a group, or names with commas.
pub fn corruptions(text: &str) -> Result<Vec<String>> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Ok(match text {
        "none" => Vec::new(),
        "benchmark" => owned(&BENCHMARK),
        "extra" => owned(&EXTRA),
        "all" => owned(&[&BENCHMARK[..], &EXTRA[..]].concat()),
        names => {
            let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
            for name in &names {
                check_corruption(name)?;
            }
            names
        }
    })
}

/// Severities as `3`, `1,3,5` or `1-5`.
pub fn severities(text: &str) -> Result<Vec<u8>> {
    let bad = || Error::Input(format!("--severity {text}: write 3, 1,3,5 or 1-5"));
    let number = |part: &str| {
        part.trim()
            .parse::<u8>()
            .ok()
            .filter(|severity| (1..=5).contains(severity))
            .ok_or_else(bad)
    };
    if let Some((from, to)) = text.split_once('-') {
        let (from, to) = (number(from)?, number(to)?);
        return if from <= to {
            Ok((from..=to).collect())
        } else {
            Err(bad())
        };
    }
    text.split(',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_read_as_written() {
        assert_eq!(severities("1-5").expect("a range"), [1, 2, 3, 4, 5]);
        assert_eq!(severities("1,3").expect("a list"), [1, 3]);
        for bad in ["0", "6", "5-1", "", "x"] {
            assert!(severities(bad).is_err(), "{bad}");
        }
    }
}
