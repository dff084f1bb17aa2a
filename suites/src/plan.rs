//! A resolved suite: its cells, in an order in which parents come first.

use crate::attack::AttackSpec;
use crate::branch::{Branch, NormBanks};
use crate::cell::{Cell, CellId, CellSpec, DataSpec, EvaluateSpec};
use crate::condition::Condition;
use crate::corrupted::CorruptedFiles;
use crate::error::SuiteError;
use crate::objective::{DEFAULT_ATTENTION, Granularity, Inner, Mode, ModeName, Pram, Precision, Score};
use crate::suite::{StageSettings, Suite, Train};
use crate::train::{Allocation, Dialect, Select, Stage, TrainSpec, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the training algorithm; bumped when the same configuration trains otherwise.
pub const TRAIN_VERSION: u32 = 1;
/// Version of the evaluation loop.
pub const EVALUATE_VERSION: u32 = 1;

/// Version of the probe of gradients.
pub const PROBE_VERSION: u32 = 1;
/// Version of the reader of corrupted archives.
pub const ARCHIVE_VERSION: u32 = 1;

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Schema of the suite.
    pub schema: u32,
    /// The suite's name.
    pub suite: String,
    /// One line for people.
    pub title: String,
    /// What it measures and why.
    pub description: String,
    /// The attack whose accuracy is called AdvA.
    pub headline: Option<AttackSpec>,
    /// The model that others are compared with.
    pub baseline: Option<String>,
    /// Images a batch at evaluation; results do not depend on it.
    pub evaluation_batch: usize,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// What a plan needs to know of the world to give cells their identity.
#[derive(Debug, Clone)]
pub struct World {
    /// Checksum of the data set's bytes.
    pub data_checksum: String,
    /// Version of the corruption generators.
    pub corruptions_version: u32,
    /// What the corruptions are made with (stack, textures): part of a corrupted cell's identity.
    pub corruptions_setup: String,
    /// The files of each corruption, where corrupted images are read and not made.
    pub corrupted_files: BTreeMap<String, CorruptedFiles>,
}

impl Suite {
    /// Resolves the suite: fills every default, orders the cells, gives each its identity.
    ///
    /// # Errors
    /// When a name refers to nothing (already refused by [`Suite::parse`]).
    pub fn plan(&self, world: &World) -> Result<Plan, SuiteError> {
        let data = DataSpec {
            dataset: self.data.dataset.clone(),
            train: self.data.train,
            test: self.data.test,
            validation: self.data.validation,
            seed: 0,
            checksum: world.data_checksum.clone(),
        };
        let mut cells: Vec<Cell> = Vec::new();
        let mut stages: BTreeMap<&str, Stage> = BTreeMap::new();
        for train in &self.train {
            let parents = match (&train.teacher, &train.mask) {
                (Some(teacher), _) => vec![find(&cells, teacher.get_ref())?.id.clone()],
                (None, Some(mask)) => {
                    let mask = find(&cells, mask.get_ref())?;
                    let mut parents = mask.parents.clone();
                    parents.push(mask.id.clone());
                    parents
                }
                (None, None) => Vec::new(),
            };
            let spec = self.resolve(train, &cells)?;
            let mut versions = BTreeMap::from([("train".to_owned(), TRAIN_VERSION)]);
            versions.extend(spec.attack.versions());
            let name = train.name.get_ref();
            stages.insert(name, train.stage);
            let spec = CellSpec::Train(spec);
            cells.push(identify(name, name, parents, &data, spec, versions));
        }
        let models: Vec<&str> = match &self.evaluation.models {
            Some(models) => models.iter().map(|model| model.get_ref().as_str()).collect(),
            None => self
                .train
                .iter()
                .filter(|train| train.stage != Stage::Mask)
                .map(|train| train.name.get_ref().as_str())
                .collect(),
        };
        let asked = self.asked();
        let trained = cells.clone();
        for model in models {
            let cell = find(&trained, model)?;
            let asked = asked.of(cell);
            let surrogate = |name: &str| match name {
                "teacher" => cell.parents.first().cloned(),
                name => find(&trained, name).ok().map(|cell| cell.id.clone()),
            };
            cells.extend(asked.cells(model, &cell.id, &surrogate, &data, world)?);
        }
        let headline = self
            .evaluation
            .headline
            .clone()
            .or_else(|| AttackSpec::headline(&self.evaluation.attacks.0).cloned());
        Ok(Plan {
            schema: self.schema,
            suite: self.name.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            headline,
            baseline: self
                .evaluation
                .baseline
                .as_ref()
                .map(|name| name.get_ref().clone()),
            evaluation_batch: self.evaluation.batch,
            cells,
        })
    }

    /// What the suite asks about a model, whoever trained it.
    pub fn asked(&self) -> Asked {
        Asked {
            corruptions: self.evaluation.corruptions.0.clone(),
            severities: self.evaluation.severities.clone(),
            attacks: self.evaluation.attacks.0.clone(),
            seed: self.evaluation.seed,
            branches: self.evaluation.branches.clone(),
            save_images: self.evaluation.save_images,
            probe: self.evaluation.probe,
        }
    }

    /// One training cell with every default filled: its own setting, else the suite's, else
    /// the method's.
    fn resolve(&self, train: &Train, cells: &[Cell]) -> Result<TrainSpec, SuiteError> {
        let stage = train.stage;
        // A stage inherits roles and banks from the stage it builds on.
        let parent = match train.teacher.as_ref().or(train.mask.as_ref()) {
            Some(name) => match &find(cells, name.get_ref())?.spec {
                CellSpec::Train(spec) => Some(spec.clone()),
                CellSpec::Evaluate(_) => None,
            },
            None => None,
        };
        let views = train
            .views
            .clone()
            .or_else(|| parent.as_ref().map(|p| p.views.clone()))
            .unwrap_or_else(|| vec![View::Clean, View::Augmix, View::Adversarial]);
        let robust = views.contains(&View::Adversarial);
        let own = &train.with;
        let all = &self.training;
        // A mode stands for its parts: below what its own section spells out, above what a
        // wider section says.
        let part = |own_part: Option<f64>, all_part: Option<f64>, of: fn(&Mode) -> f64, method: f64| {
            let mode = |settings: &StageSettings| settings.mode.map(|ModeName(mode)| of(mode));
            own_part
                .or_else(|| mode(own))
                .or(all_part)
                .or_else(|| mode(all))
                .unwrap_or(method)
        };
        let named = own.mode.or(all.mode).map(|ModeName(mode)| mode);
        fn pick<T: Clone>(own: &Option<T>, all: &Option<T>, method: T) -> T {
            own.clone().or_else(|| all.clone()).unwrap_or(method)
        }
        let reference = StageDefaults::of(stage, robust);
        let spec = TrainSpec {
            stage,
            arch: train
                .arch
                .clone()
                .or_else(|| parent.as_ref().map(|p| p.arch.clone()))
                .unwrap_or_else(|| self.network.arch.clone()),
            norm: train
                .norm
                .or(parent.as_ref().map(|p| p.norm))
                .unwrap_or(self.network.norm),
            views,
            epochs: pick(&own.epochs, &all.epochs, reference.epochs),
            batch: pick(&own.batch, &all.batch, 128),
            lr: pick(&own.lr, &all.lr, reference.lr),
            milestones: pick(&own.milestones, &all.milestones, reference.milestones),
            momentum: pick(&own.momentum, &all.momentum, 0.9),
            weight_decay: pick(&own.weight_decay, &all.weight_decay, 5e-4),
            gamma: part(own.gamma, all.gamma, |mode| mode.gamma, reference.gamma),
            alpha: part(own.alpha, all.alpha, |mode| mode.alpha, reference.alpha),
            beta: part(own.beta, all.beta, |mode| mode.beta, reference.beta),
            attention: pick(
                &own.attention,
                &all.attention,
                named.map_or(DEFAULT_ATTENTION, |mode| mode.attention).to_vec(),
            ),
            pram: pick(&own.pram, &all.pram, Pram::default()),
            trades: part(own.trades, all.trades, |mode| mode.trades, 0.0),
            jsd: pick(&own.jsd, &all.jsd, 0.0),
            temperature: pick(&own.temperature, &all.temperature, 4.0),
            inner: pick(
                &own.inner,
                &all.inner,
                named.map_or(Inner::default(), |mode| mode.inner),
            ),
            attack: pick(&own.attack, &all.attack, "pgd:steps=7".parse()?),
            budget: train.budget,
            allocation: train.allocation.unwrap_or(Allocation::Sensitivity),
            score: pick(&own.score, &all.score, Score::default()),
            granularity: pick(&own.granularity, &all.granularity, Granularity::default()),
            precision: pick(&own.precision, &all.precision, Precision::default()),
            select: pick(&own.select, &all.select, reference.select),
            dialect: pick(&own.dialect, &all.dialect, Dialect::Fixed),
            seed: pick(&own.seed, &all.seed, 0),
        };
        check_objective(train.name.get_ref(), &spec)?;
        Ok(spec)
    }
}

/// Losses that a stage cannot have.
fn check_objective(name: &str, spec: &TrainSpec) -> Result<(), SuiteError> {
    let refuse = |what: &'static str, value: &dyn std::fmt::Display, why: String| {
        Err(SuiteError::value(what, value, why))
    };
    let weights = [spec.gamma, spec.alpha, spec.beta, spec.trades, spec.jsd];
    if let Some(bad) = weights
        .iter()
        .find(|weight| !(**weight >= 0.0 && weight.is_finite()))
    {
        return refuse("loss weight", bad, format!("of `{name}`; weights are 0 or more"));
    }
    let distilled = spec.stage != Stage::Teacher;
    if spec.gamma + spec.trades + if distilled { spec.alpha + spec.beta } else { 0.0 } == 0.0 {
        return refuse(
            "loss of",
            &name,
            "every weight is 0; nothing would be learnt".into(),
        );
    }
    if spec.inner == Inner::Kl && !distilled {
        let why = format!("`{name}` has no teacher; an attack on the KL needs one");
        return refuse("inner", &"kl", why);
    }
    let plain = spec.norm == NormBanks::Single && spec.views == [View::Clean, View::Adversarial];
    if spec.trades > 0.0 && (distilled || !plain) {
        let why = format!(
            "`{name}` must be a teacher with norm = \"single\" and views = [\"clean\", \"adversarial\"]: \
             TRADES compares both on the same images through the same norms"
        );
        return refuse("trades", &spec.trades, why);
    }
    if spec.jsd > 0.0 && !spec.views.contains(&View::Augmix) {
        return refuse(
            "jsd",
            &spec.jsd,
            format!("`{name}` has no AugMix view to be consistent with"),
        );
    }
    Ok(())
}

/// What is asked about a model.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Names of corruptions.
    pub corruptions: Vec<String>,
    /// Severities of each.
    pub severities: Vec<u8>,
    /// Attacks.
    pub attacks: Vec<AttackSpec>,
    /// Seed of corruptions and attack starts.
    pub seed: u64,
    /// Branches to go through; all of the model's when absent.
    pub branches: Option<Vec<Branch>>,
    /// Whether adversarial images are stored.
    pub save_images: bool,
    /// Whether gradients are probed at the clean images.
    pub probe: bool,
}

impl Asked {
    /// What can be asked of one model: attacks that need a teacher are passed over for a
    /// model that has none, and so are branches that it does not have.
    fn of(&self, cell: &Cell) -> Self {
        let CellSpec::Train(spec) = &cell.spec else {
            return self.clone();
        };
        let has = |branch: &Branch| branch.banks().all(|bank| spec.norm.branches().contains(&bank));
        let fits = |attack: &&AttackSpec| {
            let through = attack.word("through").parse::<Branch>();
            through.map_or(true, |branch| has(&branch))
        };
        let taught = |attack: &&AttackSpec| spec.stage != Stage::Teacher || !attack.needs_teacher();
        let branches = self.branches.as_ref().map(|all| {
            let own: Vec<Branch> = all.iter().copied().filter(has).collect();
            if own.is_empty() {
                spec.norm.branches().to_vec()
            } else {
                own
            }
        });
        Self {
            attacks: self.attacks.iter().filter(fits).filter(taught).cloned().collect(),
            branches,
            ..self.clone()
        }
    }

    /// One evaluation cell a family of conditions: clean, each corruption, each attack.
    /// `surrogate` finds the cell (or file) of another network by its name in an attack.
    ///
    /// # Errors
    /// When an attack names a network that is not there.
    pub fn cells(
        &self,
        model: &str,
        parent: &CellId,
        surrogate: &dyn Fn(&str) -> Option<CellId>,
        data: &DataSpec,
        world: &World,
    ) -> Result<Vec<Cell>, SuiteError> {
        let cell = |(name, conditions): (String, Vec<Condition>)| {
            let mut versions = BTreeMap::from([("evaluate".to_owned(), EVALUATE_VERSION)]);
            let mut files = None;
            if let Some((name, _)) = conditions[0].corruption() {
                match world.corrupted_files.get(name) {
                    Some(read) => {
                        files = Some(read.clone());
                        versions.insert("corrupted-files".to_owned(), ARCHIVE_VERSION);
                    }
                    None => {
                        let setup = format!("corruptions/{}", world.corruptions_setup);
                        versions.insert(setup, world.corruptions_version);
                    }
                }
            }
            let mut surrogates = BTreeMap::new();
            if let Condition::Attack(spec) = &conditions[0] {
                versions.extend(spec.versions());
                for name in spec.networks() {
                    let id = surrogate(name).ok_or_else(|| {
                        let why =
                            format!("{spec} needs it beside {model}, and there is no network of that name");
                        SuiteError::value("surrogate", name, why)
                    })?;
                    surrogates.insert(name.to_owned(), id);
                }
            }
            let mut parents = vec![parent.clone()];
            parents.extend(surrogates.values().filter(|id| *id != parent).cloned());
            let attacked = matches!(conditions[0], Condition::Attack(_));
            let conditions_are_clean = conditions[0] == Condition::Clean;
            if self.probe && conditions_are_clean {
                versions.insert("probe".to_owned(), PROBE_VERSION);
            }
            let spec = CellSpec::Evaluate(EvaluateSpec {
                conditions,
                seed: self.seed,
                branches: self.branches.clone(),
                surrogates,
                save_images: self.save_images && attacked,
                probe: self.probe && conditions_are_clean,
                files,
            });
            let name = format!("{model}/{name}");
            Ok(identify(&name, model, parents, data, spec, versions))
        };
        self.families().into_iter().map(cell).collect()
    }

    fn families(&self) -> Vec<(String, Vec<Condition>)> {
        let mut families = vec![("clean".to_owned(), vec![Condition::Clean])];
        for name in &self.corruptions {
            let severities = self.severities.iter();
            let conditions: Vec<Condition> = severities
                .map(|&severity| Condition::Corruption {
                    name: name.clone(),
                    severity,
                })
                .collect();
            if !conditions.is_empty() {
                families.push((name.clone(), conditions));
            }
        }
        for attack in &self.attacks {
            families.push((attack.to_string(), vec![Condition::Attack(attack.clone())]));
        }
        families
    }
}

/// The reference's recipe of each stage (its README and code, HEAD of April 2024).
struct StageDefaults {
    epochs: u32,
    lr: f64,
    milestones: Vec<f64>,
    gamma: f64,
    alpha: f64,
    beta: f64,
    select: Select,
}

impl StageDefaults {
    fn of(stage: Stage, robust: bool) -> Self {
        // Milestones 150, 180, 210 of 240 epochs; the mask stage's 150 epochs never pass one.
        let steps = vec![0.625, 0.75, 0.875];
        let select = if robust { Select::Mean } else { Select::Clean };
        match stage {
            Stage::Teacher => Self {
                epochs: 240,
                lr: 0.05,
                milestones: steps,
                gamma: 1.0,
                alpha: 0.0,
                beta: 0.0,
                select,
            },
            Stage::Mask => Self {
                epochs: 150,
                lr: 0.05,
                milestones: Vec::new(),
                gamma: 0.5,
                alpha: 0.5,
                beta: 0.0,
                select: Select::Last,
            },
            Stage::Student => Self {
                epochs: 240,
                lr: 0.01,
                milestones: steps,
                // SENet's natural fine-tuning weighs the labels less (README: 0.1 on CIFAR-10).
                gamma: if robust { 0.5 } else { 0.1 },
                alpha: 0.5,
                beta: 1000.0,
                select,
            },
        }
    }
}

fn find<'a>(cells: &'a [Cell], name: &str) -> Result<&'a Cell, SuiteError> {
    cells
        .iter()
        .find(|cell| cell.name == name)
        .ok_or_else(|| SuiteError::value("model", name, "not trained by this suite"))
}

/// Gives a cell its identity: the hash of the canonical JSON (sorted keys) of all that can
/// change its result. Names are labels and stay out, so two suites share equal cells.
fn identify(
    name: &str,
    model: &str,
    parents: Vec<CellId>,
    data: &DataSpec,
    spec: CellSpec,
    versions: BTreeMap<String, u32>,
) -> Cell {
    let content = serde_json::json!({
        "parents": &parents,
        "data": data,
        "spec": &spec,
        "versions": &versions,
    });
    let hash = blake3::hash(content.to_string().as_bytes()).to_hex();
    Cell {
        id: CellId(hash[..16].to_owned()),
        name: name.to_owned(),
        model: model.to_owned(),
        parents,
        data: data.clone(),
        spec,
        versions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(sets: &[&str], checksum: &str) -> Plan {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text = crate::catalog::find("demo").expect("the demo suite");
        let world = World {
            data_checksum: checksum.to_owned(),
            corruptions_version: 1,
            corruptions_setup: "release/procedural".to_owned(),
            corrupted_files: BTreeMap::new(),
        };
        let suite = Suite::parse(text, "demo", &sets).expect("a suite");
        suite.plan(&world).expect("a plan")
    }

    fn id(plan: &Plan, name: &str) -> CellId {
        find(&plan.cells, name).expect(name).id.clone()
    }

    #[test]
    fn a_cell_changes_with_what_can_change_its_result_and_with_nothing_else() {
        let base = plan(&[], "a");
        let same =
            |sets: &[&str], checksum: &str, name: &str| id(&plan(sets, checksum), name) == id(&base, name);
        assert!(same(&[], "a", "rlnet"));
        // Labels and batch sizes at evaluation change nothing.
        assert!(same(&["title=other", "evaluation.batch=7"], "a", "rlnet/fog"));
        // A later stage leaves earlier ones alone; an earlier one reaches all that follow.
        assert!(same(&["train.rlnet.with.lr=0.5"], "a", "mask"));
        assert!(!same(&["train.rlnet.with.lr=0.5"], "a", "rlnet/clean"));
        assert!(!same(&["train.teacher.with.epochs=1"], "a", "rlnet/clean"));
        assert!(same(&["train.teacher.with.epochs=1"], "a", "senet"));
        // Seeds, data and attacks count.
        assert!(!same(&["training.seed=1"], "a", "teacher"));
        assert!(!same(&[], "b", "teacher"));
        assert!(same(&["evaluation.seed=1"], "a", "teacher"));
        assert!(!same(&["evaluation.seed=1"], "a", "teacher/fog"));
    }

    #[test]
    fn read_images_and_made_ones_are_different_cells_and_only_theirs_differ() {
        let suite = Suite::parse(crate::catalog::find("demo").expect("demo"), "demo", &[]).expect("a suite");
        let with = |checksum: Option<&str>| {
            let files = checksum.map(|checksum| CorruptedFiles {
                official: false,
                checksums: BTreeMap::from([("fog.npy".to_owned(), checksum.to_owned())]),
            });
            let world = World {
                data_checksum: "a".to_owned(),
                corruptions_version: 1,
                corruptions_setup: "release/procedural".to_owned(),
                corrupted_files: files.into_iter().map(|files| ("fog".to_owned(), files)).collect(),
            };
            suite.plan(&world).expect("a plan")
        };
        let (made, read, other) = (with(None), with(Some("1")), with(Some("2")));
        assert_ne!(id(&made, "rlnet/fog"), id(&read, "rlnet/fog"));
        assert_ne!(id(&other, "rlnet/fog"), id(&read, "rlnet/fog"));
        assert_eq!(id(&made, "rlnet/snow"), id(&read, "rlnet/snow"));
        assert_eq!(id(&made, "rlnet/clean"), id(&read, "rlnet/clean"));
        // Old records, which know of no files, still read.
        let text = serde_json::to_string(&made).expect("JSON");
        assert!(!text.contains("\"files\""));
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), made);
    }

    #[test]
    fn parents_come_first_and_a_student_has_its_teacher_and_its_mask() {
        let plan = plan(&[], "a");
        for (position, cell) in plan.cells.iter().enumerate() {
            for parent in &cell.parents {
                assert!(plan.cells[..position].iter().any(|earlier| earlier.id == *parent));
            }
        }
        let rlnet = find(&plan.cells, "rlnet").expect("a student");
        assert_eq!(rlnet.parents, [id(&plan, "teacher"), id(&plan, "mask")]);
    }

    /// Settings that came later stay out of the identity of cells that leave them alone.
    #[test]
    fn later_settings_at_their_defaults_change_no_identity() {
        let base = plan(&[], "a");
        let spec = serde_json::to_value(&find(&base.cells, "mask").expect("a cell").spec).expect("JSON");
        for later in [
            "attention",
            "pram",
            "trades",
            "jsd",
            "inner",
            "score",
            "granularity",
        ] {
            assert!(
                !spec.to_string().contains(&format!("\"{later}\"")),
                "{later}: {spec}"
            );
        }
        let mask = |set: &str| id(&plan(&[set], "a"), "mask");
        assert_eq!(mask("train.mask.with.score=own"), id(&base, "mask"));
        assert_ne!(mask("train.mask.with.score=averaged"), id(&base, "mask"));
    }

    #[test]
    fn a_mode_stands_for_its_parts_and_what_is_spelled_out_wins() {
        let text = crate::catalog::find("demo").expect("the demo suite");
        let student = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(text, "demo", &sets).expect("a suite");
            let world = World {
                data_checksum: "a".into(),
                corruptions_version: 1,
                corruptions_setup: String::new(),
                corrupted_files: BTreeMap::new(),
            };
            let plan = suite.plan(&world)?;
            match &find(&plan.cells, "rlnet")?.spec {
                CellSpec::Train(spec) => Ok(spec.clone()),
                CellSpec::Evaluate(_) => Err(SuiteError::value("model", "rlnet", "not trained")),
            }
        };
        let spec = student(&["train.rlnet.with.mode=rslad+attn"]).expect("a plan");
        assert_eq!((spec.gamma, spec.alpha, spec.beta), (0.0, 1.0, 1000.0));
        assert_eq!((spec.attention, spec.inner), (vec![View::Clean], Inner::Kl));
        let sets = [
            "train.rlnet.with.mode=ce",
            "training.gamma=0.25",
            "train.rlnet.with.beta=7",
        ];
        let spec = student(&sets).expect("a plan");
        assert_eq!(
            (spec.gamma, spec.alpha, spec.beta, spec.inner),
            (1.0, 0.0, 7.0, Inner::Ce)
        );
        for (bad, hint) in [
            ("train.rlnet.with.trades=6", "must be a teacher"),
            ("train.rlnet.with.gamma=-1", "0 or more"),
            ("train.teacher.with.inner=kl", "no teacher"),
            ("train.teacher.with.gamma=0", "nothing would be learnt"),
            ("train.senet.with.jsd=1", "no AugMix"),
        ] {
            let error = student(&[bad]).expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[test]
    fn learning_rates_fall_where_the_references_do() {
        let text = crate::catalog::find("demo").expect("the demo suite");
        let sets = ["train.teacher.with.epochs=240".to_owned()];
        let suite = Suite::parse(text, "demo", &sets).expect("a suite");
        let spec = suite.resolve(&suite.train[0], &[]).expect("a stage");
        // The reference: milestones 150, 180, 210, each active from the epoch after.
        for (epoch, lr) in [(1, 0.05), (150, 0.05), (151, 0.005), (181, 5e-4), (211, 5e-5)] {
            assert!((spec.lr_at(epoch) - lr).abs() < 1e-12, "epoch {epoch}");
        }
    }
}
