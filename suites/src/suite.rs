//! A suite as it is written: TOML, read strictly, every mistake with its line.
//!
//! [`Suite`] is the raw form, exactly what somebody wrote; [`Suite::plan`] resolves it.

use crate::attack::{self, AttackSpec};
use crate::branch::Branch;
use crate::branch::NormBanks;
use crate::condition::{BENCHMARK, EXTRA, check_corruption};
use crate::corrupted::{Corrupted, Draws, Frost, Origin, Stack};
use crate::error::{SuiteError, suggest};
use crate::objective::{Granularity, Inner, ModeName, Pram, Score};
use crate::slurm::Slurm;
use crate::train::{Allocation, Budget, Dialect, Select, Stage, View};
use serde::Deserialize;
use toml::{Spanned, Table, Value};

/// The schema this version reads.
pub const SCHEMA: u32 = 1;

/// A suite, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Version of the schema: 1.
    pub schema: u32,
    /// Short name: also the name on the command line.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it measures and why.
    pub description: String,
    /// The images.
    pub data: Data,
    /// The network all stages share, unless they say otherwise. A suite that trains nothing
    /// may leave it out.
    #[serde(default)]
    pub network: Network,
    /// Settings all stages share, unless they say otherwise.
    #[serde(default)]
    pub training: StageSettings,
    /// The training cells, in order. None: the suite only measures, whatever model it is given.
    #[serde(default)]
    pub train: Vec<Train>,
    /// What is measured.
    pub evaluation: Evaluation,
    /// What a Slurm cluster wants to know; changes no result.
    #[serde(default)]
    pub slurm: Slurm,
}

/// `[data]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A data set, as in `rlnet data list`.
    pub dataset: String,
    /// Training images used, from the front; all when absent.
    pub train: Option<u32>,
    /// Test images used, from the front; all when absent.
    pub test: Option<u32>,
    /// Share of the training images held out for selecting epochs.
    #[serde(default = "tenth")]
    pub validation: f64,
}

fn tenth() -> f64 {
    0.1
}

/// `[network]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Architecture, as in `rlnet model list`.
    pub arch: String,
    /// Banks of batch norm.
    #[serde(default = "dual")]
    pub norm: NormBanks,
}

fn dual() -> NormBanks {
    NormBanks::Dual
}

impl Default for Network {
    /// The paper's.
    fn default() -> Self {
        Self {
            arch: "resnet18".to_owned(),
            norm: dual(),
        }
    }
}

/// Settings of a stage; what is absent comes from `[training]`, then from the method.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSettings {
    /// Passes over the training images.
    pub epochs: Option<u32>,
    /// Images a step.
    pub batch: Option<usize>,
    /// Learning rate before any milestone.
    pub lr: Option<f64>,
    /// Fractions of the epochs after which the rate is divided by 10.
    pub milestones: Option<Vec<f64>>,
    /// SGD momentum.
    pub momentum: Option<f64>,
    /// L2 penalty.
    pub weight_decay: Option<f64>,
    /// Weight of the cross entropy.
    pub gamma: Option<f64>,
    /// Weight of the distillation KL.
    pub alpha: Option<f64>,
    /// Weight of the attention transfer.
    pub beta: Option<f64>,
    /// A named combination of loss terms; `gamma`, `alpha`, `beta`, `attention`, `inner` and
    /// `trades` beside it override its parts.
    pub mode: Option<ModeName>,
    /// Roles of the attention term.
    pub attention: Option<Vec<View>>,
    /// Form of the attention term.
    pub pram: Option<Pram>,
    /// What the inner attack maximises.
    pub inner: Option<Inner>,
    /// Weight of TRADES' term.
    pub trades: Option<f64>,
    /// Weight of the Jensen-Shannon consistency.
    pub jsd: Option<f64>,
    /// How the mask stage scores units.
    pub score: Option<Score>,
    /// What a mask keeps or drops as one.
    pub granularity: Option<Granularity>,
    /// Distillation temperature.
    pub temperature: Option<f64>,
    /// The inner attack.
    pub attack: Option<AttackSpec>,
    /// Which epoch is handed on.
    pub select: Option<Select>,
    /// `fixed` or `parity`.
    pub dialect: Option<Dialect>,
    /// Seed.
    pub seed: Option<u64>,
}

/// `[[train]]`. (The settings are spelled out, not flattened: serde's `flatten` would lose
/// the line of an unknown key.)
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Name of the model it makes.
    pub name: Spanned<String>,
    /// Which stage.
    pub stage: Stage,
    /// Image roles; all three when absent.
    pub views: Option<Vec<View>>,
    /// Banks of batch norm; the suite's when absent.
    pub norm: Option<NormBanks>,
    /// Architecture; the suite's when absent.
    pub arch: Option<String>,
    /// The teacher of a mask stage.
    pub teacher: Option<Spanned<String>>,
    /// The mask stage of a student.
    pub mask: Option<Spanned<String>>,
    /// ReLUs to keep, of a mask stage: `50k` or `11.14x`.
    pub budget: Option<Budget>,
    /// How the budget is shared among layers.
    pub allocation: Option<Allocation>,
    /// Its own settings.
    #[serde(default)]
    pub with: StageSettings,
}

/// `[evaluation]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Models to evaluate; every teacher and student when absent.
    pub models: Option<Vec<Spanned<String>>>,
    /// `benchmark` (15), `all` (19), `none`, or a list of names.
    pub corruptions: Corruptions,
    /// Severities of each corruption.
    #[serde(default = "every_severity")]
    pub severities: Vec<u8>,
    /// Where corrupted images come from.
    #[serde(default)]
    pub corrupted: Origin,
    /// Which libraries generated images imitate.
    #[serde(default)]
    pub stack: Stack,
    /// Where the draws of generated images come from.
    #[serde(default)]
    pub rng: Draws,
    /// Which frost textures generated images may have.
    #[serde(default)]
    pub frost: Frost,
    /// Attacks, each through every branch.
    pub attacks: Attacks,
    /// The attack whose accuracy is called AdvA; the last of `attacks` when absent.
    pub headline: Option<AttackSpec>,
    /// The model that others are compared with.
    pub baseline: Option<Spanned<String>>,
    /// Images a batch; results do not depend on it.
    #[serde(default = "evaluation_batch")]
    pub batch: usize,
    /// Seed of corruptions and attack starts.
    #[serde(default)]
    pub seed: u64,
    /// Branches to go through; all of a model's when absent.
    pub branches: Option<Vec<Branch>>,
    /// Whether adversarial images are stored beside the outcomes.
    #[serde(default)]
    pub save_images: bool,
    /// Whether gradients are probed at the clean images: a part of the diagnosis that is no
    /// attack.
    #[serde(default)]
    pub probe: bool,
}

/// A list of attacks, written singly or by the name of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Attacks(pub Vec<AttackSpec>);

impl TryFrom<Vec<String>> for Attacks {
    type Error = SuiteError;
    fn try_from(texts: Vec<String>) -> Result<Self, SuiteError> {
        let mut attacks: Vec<AttackSpec> = Vec::new();
        for text in texts {
            for attack in attack::group(&text)? {
                if !attacks.contains(&attack) {
                    attacks.push(attack);
                }
            }
        }
        Ok(Self(attacks))
    }
}

impl Evaluation {
    /// What is said of corrupted images.
    pub fn corrupted(&self) -> Corrupted {
        Corrupted {
            origin: self.corrupted,
            stack: self.stack,
            draws: self.rng,
            frost: self.frost,
        }
    }
}

fn every_severity() -> Vec<u8> {
    (1..=5).collect()
}

fn evaluation_batch() -> usize {
    100
}

/// Which corruptions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Corruptions(pub Vec<String>);

impl TryFrom<Value> for Corruptions {
    type Error = SuiteError;
    fn try_from(value: Value) -> Result<Self, SuiteError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match value {
            Value::String(word) => match word.as_str() {
                "benchmark" => Ok(Self(owned(&BENCHMARK))),
                "all" => Ok(Self(owned(&[&BENCHMARK[..], &EXTRA[..]].concat()))),
                "none" => Ok(Self(Vec::new())),
                other => Err(SuiteError::value(
                    "corruptions",
                    other,
                    "write benchmark, all, none, or a list of names",
                )),
            },
            Value::Array(items) => items
                .into_iter()
                .map(|item| {
                    let name = item
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| SuiteError::value("corruption", &item, "a name in quotes"))?;
                    check_corruption(&name)?;
                    Ok(name)
                })
                .collect::<Result<_, _>>()
                .map(Self),
            other => Err(SuiteError::value(
                "corruptions",
                other,
                "write benchmark, all, none, or a list of names",
            )),
        }
    }
}

impl Suite {
    /// Reads a suite. `file` is its name in messages; `sets` are `key=value` overrides by
    /// dotted path, a training cell by its name: `train.rlnet.epochs=2`.
    ///
    /// # Errors
    /// When the text is not TOML, has an unknown key or an impossible value (with line and
    /// column), or refers to a name it does not define.
    pub fn parse(text: &str, file: &str, sets: &[String]) -> Result<Self, SuiteError> {
        let failed = |message: String| SuiteError::File {
            file: file.to_owned(),
            message,
        };
        let toml_error = |error: toml::de::Error| failed(error.to_string().trim_end().to_owned());
        let mut suite: Self = toml::from_str(text).map_err(toml_error)?;
        suite.check(text, file)?;
        if !sets.is_empty() {
            let mut table: Table = toml::from_str(text).map_err(toml_error)?;
            for set in sets {
                apply(&mut table, set)?;
            }
            let changed = toml::to_string(&table).map_err(|error| failed(error.to_string()))?;
            let from = format!("{file} with --set {}", sets.join(" --set "));
            suite = toml::from_str(&changed).map_err(|error| SuiteError::File {
                file: from.clone(),
                message: error.message().to_owned(),
            })?;
            suite.check(&changed, &from)?;
        }
        Ok(suite)
    }

    /// What the types cannot say: ranges, and names that refer to one another.
    fn check(&self, text: &str, file: &str) -> Result<(), SuiteError> {
        let at = |span: std::ops::Range<usize>, message: String| {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            SuiteError::File {
                file: format!("{file}:{line}"),
                message,
            }
        };
        let whole = |message: String| SuiteError::File {
            file: file.to_owned(),
            message,
        };
        if self.schema != SCHEMA {
            return Err(whole(format!(
                "schema {} is not known to this version, which reads schema {SCHEMA}",
                self.schema
            )));
        }
        if !(self.data.validation > 0.0 && self.data.validation < 1.0) {
            return Err(whole(format!(
                "data.validation is {}; it must lie between 0 and 1 (0.1 holds out a tenth)",
                self.data.validation
            )));
        }
        for (key, value) in [("data.train", self.data.train), ("data.test", self.data.test)] {
            if value == Some(0) {
                return Err(whole(format!("{key} is 0; leave it out to use every image")));
            }
        }
        let mut earlier: Vec<(&str, Stage)> = Vec::new();
        for train in &self.train {
            let name = train.name.get_ref().as_str();
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(fits) {
                return Err(at(
                    train.name.span(),
                    format!("the name `{name}` may only hold letters, digits, `-`, `_` and `.`"),
                ));
            }
            if earlier.iter().any(|(other, _)| *other == name) {
                return Err(at(train.name.span(), format!("`{name}` is named twice")));
            }
            let (need, given, wanted) = match train.stage {
                Stage::Teacher => ("", &None, Stage::Teacher),
                Stage::Mask => ("teacher", &train.teacher, Stage::Teacher),
                Stage::Student => ("mask", &train.mask, Stage::Mask),
            };
            match given {
                None if need.is_empty() => {}
                None => {
                    return Err(at(
                        train.name.span(),
                        format!(
                            "`{name}` is a {} stage and needs {need} = \"...\"",
                            train.stage.name()
                        ),
                    ));
                }
                Some(parent) => {
                    let wanted_names = earlier
                        .iter()
                        .filter(|(_, stage)| *stage == wanted)
                        .map(|(name, _)| *name);
                    if !wanted_names.clone().any(|name| name == parent.get_ref()) {
                        let hint = suggest(parent.get_ref(), wanted_names);
                        return Err(at(
                            parent.span(),
                            format!(
                                "{need} `{}` is not a {} above; {hint}",
                                parent.get_ref(),
                                wanted.name()
                            ),
                        ));
                    }
                }
            }
            let counted = train.allocation.is_some_and(Allocation::has_counts);
            if train.stage == Stage::Mask && train.budget.is_none() && !counted {
                return Err(at(
                    train.name.span(),
                    format!(
                        "`{name}` is a mask stage and needs budget = \"50k\" or \"11.14x\", or \
                             allocation = \"published:NAME\""
                    ),
                ));
            }
            if let Some(views) = &train.views
                && !views.contains(&View::Clean)
            {
                return Err(at(
                    train.name.span(),
                    format!("`{name}` has views without \"clean\": every stage needs clean images"),
                ));
            }
            let (epochs, batch) = (
                train.with.epochs.or(self.training.epochs),
                train.with.batch.or(self.training.batch),
            );
            if epochs == Some(0) || batch.is_some_and(|batch| batch < 6) {
                return Err(at(
                    train.name.span(),
                    format!("`{name}` needs at least 1 epoch and 6 images a batch"),
                ));
            }
            if let Some(attack) = train.with.attack.as_ref().or(self.training.attack.as_ref())
                && !attack.can_train()
            {
                return Err(at(
                    train.name.span(),
                    format!(
                        "`{name}` cannot train with {attack}; the inner attack is pgd (steps, eps and alpha \
                         may be set; Linf, one uniform start) or ffgsm"
                    ),
                ));
            }
            earlier.push((name, train.stage));
        }
        let evaluated = self
            .evaluation
            .models
            .iter()
            .flatten()
            .chain(&self.evaluation.baseline);
        for model in evaluated {
            if !earlier.iter().any(|(name, _)| *name == model.get_ref()) {
                let hint = suggest(model.get_ref(), earlier.iter().map(|(name, _)| *name));
                return Err(at(
                    model.span(),
                    format!("model `{}` is not trained by this suite; {hint}", model.get_ref()),
                ));
            }
        }
        let asked = &self.evaluation;
        if asked.corrupted == Origin::Official && (asked.stack, asked.rng, asked.frost) != Default::default()
        {
            return Err(whole(
                "evaluation.corrupted is \"official\", so images are read and not made; leave out \
                 stack, rng and frost, which say how images are made"
                    .into(),
            ));
        }
        if self.evaluation.batch == 0 {
            return Err(whole("evaluation.batch is 0; 100 is usual".into()));
        }
        if let Some(bad) = self.evaluation.severities.iter().find(|s| !(1..=5).contains(*s)) {
            return Err(whole(format!(
                "evaluation.severities holds {bad}; they go from 1 to 5"
            )));
        }
        Ok(())
    }
}

/// One `--set key=value`.
fn apply(table: &mut Table, set: &str) -> Result<(), SuiteError> {
    let bad = |why: String| SuiteError::value("--set", set, why);
    let (path, text) = set
        .split_once('=')
        .ok_or_else(|| bad("write it as key=value, e.g. training.epochs=2".into()))?;
    // A bare word is a string: `--set data.dataset=cifar10` needs no quotes.
    let value = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut here = table;
    let mut keys = keys.into_iter();
    while let Some(key) = keys.next() {
        let next = here.entry(key).or_insert_with(|| Value::Table(Table::new()));
        here = match next {
            Value::Table(inner) => inner,
            Value::Array(items) => {
                let wanted = keys.next().unwrap_or_default();
                items
                    .iter_mut()
                    .filter_map(Value::as_table_mut)
                    .find(|item| item.get("name").and_then(Value::as_str) == Some(wanted))
                    .ok_or_else(|| bad(format!("no `{key}` is named `{wanted}`")))?
            }
            _ => return Err(bad(format!("`{key}` is a value, not a section"))),
        };
    }
    here.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CATALOGUE;

    fn demo() -> &'static str {
        crate::catalog::find("demo").expect("the demo suite")
    }

    #[test]
    fn every_suite_of_the_catalogue_reads_and_is_named_as_it_is_called() {
        for (name, text) in CATALOGUE {
            let suite = Suite::parse(text, name, &[]).expect(name);
            assert_eq!(suite.name, *name);
        }
    }

    #[test]
    fn sets_reach_sections_and_named_stages_and_refuse_what_is_not_there() {
        let set = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            Suite::parse(demo(), "demo", &sets)
        };
        let suite = set(&["data.test=7", "train.rlnet.with.epochs=2", "data.dataset=cifar10"]).expect("sets");
        assert_eq!(suite.data.test, Some(7));
        assert_eq!(suite.data.dataset, "cifar10");
        let rlnet = suite.train.iter().find(|train| train.name.get_ref() == "rlnet");
        assert_eq!(rlnet.expect("a stage").with.epochs, Some(2));
        for (bad, hint) in [
            ("data.tset=7", "tset"),
            ("train.nobody.with.epochs=2", "nobody"),
            ("data.test", "key=value"),
            ("evaluation.severities=[0]", "1 to 5"),
            ("train.rlnet.views=[\"augmix\"]", "clean"),
            ("training.attack=square", "cannot train with square"),
            ("training.attack=\"pgd:norm=l2\"", "cannot train with pgd"),
            ("evaluation.corrupted=offical", "official"),
        ] {
            let error = set(&[bad]).expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }
}
