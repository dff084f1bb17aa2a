//! A resolved suite: its cells, in an order in which parents come first.

use crate::attack::AttackSpec;
use crate::cell::{Cell, CellId, CellSpec, DataSpec, ReluCount};
use crate::corrupted::{CorruptedFiles, Origin};
use crate::dataset::{self, PICTURES};
use crate::dialect::Quirk;
use crate::error::SuiteError;
use crate::eval_request::EvalSubject;
use crate::objective::Granularity;
use crate::scale_changes::AtScale;
use crate::suite::{Suite, Train};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;

/// Version of the training algorithm; bumped when the same configuration trains otherwise.
pub const TRAIN_VERSION: u32 = 1;
/// Version of what [`Quirk::NormedStages`] replays: since 2 in every pass of a stage.
pub const NORMED_STAGES_VERSION: u32 = 2;
/// Version of a budget in whole channels: since 2 what layers lose goes to layers where a channel fits.
pub const CHANNEL_COUNTS_VERSION: u32 = 2;
/// Version of the evaluation loop.
pub const EVALUATE_VERSION: u32 = 1;

/// Version of the verdict under an attack: since 2 robust is what is right before and after, by the
/// mean of as many passes as the attack averages; since 3 what is wrong before is not attacked; since 4
/// gradients are followed whatever their scale, counted where they cannot be, and done without there.
pub const VERDICT_VERSION: u32 = 4;
/// Version of the probe of gradients.
pub const PROBE_VERSION: u32 = 1;
/// Version of the comparison of activations.
pub const SIMILARITY_VERSION: u32 = 1;
/// Version of AugMix views as test images.
pub const AUGMIX_VERSION: u32 = 1;
/// Version of the reader of corrupted archives.
pub const ARCHIVE_VERSION: u32 = 1;

/// What attacks and comparisons call the teacher of the evaluated model.
pub const TEACHER: &str = "teacher";

/// What attacks call the first other student in the suite that has the evaluated one's teacher and
/// another budget.
pub const OTHER_BUDGET: &str = "other-budget";

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
    /// The scale that the suite was brought to, and what that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<AtScale>,
    /// The attack whose accuracy is called AdvA.
    #[serde(deserialize_with = "crate::attack::old_words::optional")]
    pub headline: Option<AttackSpec>,
    /// The model that others are compared with.
    pub baseline: Option<String>,
    /// ReLUs of foreign models, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relus: BTreeMap<String, ReluCount>,
    /// Images a batch at evaluation; results do not depend on it.
    pub evaluation_batch: usize,
    /// Whether adversarial images are kept beside the outcomes; no outcome depends on it.
    #[serde(default)]
    pub save_images: bool,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// What a plan needs to know to give cells their identity.
#[derive(Debug, Clone, Default)]
pub struct PlanContext {
    /// Checksum of the data set's bytes.
    pub data_checksum: String,
    /// The same of the data sets that stages name beside the suite's, by name.
    pub other_data: BTreeMap<String, String>,
    /// Version of the corruption generators.
    pub corruptions_version: u32,
    /// What the corruptions are made with (stack, textures): part of a corrupted cell's identity.
    pub corruptions_setup: String,
    /// The files of each corruption, where corrupted images are read and not made.
    pub corrupted_files: BTreeMap<String, CorruptedFiles>,
    /// Classes of the data set, where they are known: part of no identity.
    pub classes: Option<usize>,
    /// All training and test images of the data set, where they are known: a limit that leaves none out is
    /// none.
    pub whole: Option<[u32; 2]>,
}

impl PlanContext {
    /// As it is before anything is read: cells get their settings, and ids that mean nothing.
    pub fn unread(suite: &Suite) -> Self {
        const UNREAD: &str = "not read";
        let files = |name: &String| {
            let files = CorruptedFiles {
                official: false,
                checksums: [(name.clone(), UNREAD.to_owned())].into(),
            };
            (name.clone(), files)
        };
        let others = suite.other_datasets().into_iter();
        let known = dataset::find(&suite.data.dataset).ok().flatten();
        Self {
            classes: known.map(|known| known.classes as usize),
            whole: known.map(|known| [known.train, known.test]),
            data_checksum: UNREAD.to_owned(),
            other_data: others.map(|name| (name.to_owned(), UNREAD.to_owned())).collect(),
            corruptions_setup: UNREAD.to_owned(),
            corrupted_files: match suite.evaluation.corrupted().origin {
                Origin::Generated => BTreeMap::new(),
                Origin::Official => suite.eval_request().corruptions.iter().map(files).collect(),
            },
            ..Self::default()
        }
    }
}

impl Suite {
    /// Resolves the suite: fills every default, orders the cells, gives each its identity.
    ///
    /// # Errors
    /// When a name refers to nothing (already refused by [`Suite::parse`]).
    pub fn plan(&self, context: &PlanContext) -> Result<Plan, SuiteError> {
        let data = self.measured_images(context)?;
        let mut cells: Vec<Cell> = Vec::new();
        let trainings = self.trainings()?;
        for training in &trainings {
            let train: &Train = &training.train;
            let parents = match (&train.teacher, &train.mask) {
                (Some(teacher), _) => {
                    let mut parents = vec![find(&cells, teacher.get_ref())?.id.clone()];
                    if let Some(units) = &train.units {
                        parents.push(find(&cells, units.get_ref())?.id.clone());
                    }
                    parents
                }
                (None, Some(mask)) => {
                    let mask = find(&cells, mask.get_ref())?;
                    let mut parents = mask.parents.clone();
                    parents.push(mask.id.clone());
                    parents
                }
                (None, None) => Vec::new(),
            };
            let spec = self
                .resolve(train, &cells)
                .map_err(|error| self.of_stage(training.written, error))?;
            let mut versions = BTreeMap::from([("train".to_owned(), TRAIN_VERSION)]);
            versions.extend(spec.attack.versions());
            if spec.has(Quirk::NormedStages) && spec.concerns(Quirk::NormedStages) {
                versions.insert(Quirk::NormedStages.to_string(), NORMED_STAGES_VERSION);
            }
            if spec.draws_mask() && spec.granularity == Granularity::Channel {
                versions.insert("channel-counts".to_owned(), CHANNEL_COUNTS_VERSION);
            }
            let name = training.name();
            let spec = CellSpec::Train(spec);
            let data = self.images(self.dataset_of(training.written), context)?;
            cells.push(Cell {
                repeats: training.repeats(),
                ..identify(name, name, parents, &data, spec, versions)
            });
        }
        let evaluated = self.evaluation.models.as_ref();
        let is_evaluated = |train: &Train| match evaluated {
            Some(models) => models.iter().any(|model| model.get_ref() == train.name.get_ref()),
            None => !train.stage.is_search() && self.dataset_of(train) == self.data.dataset,
        };
        let request = self.eval_request();
        let trained = cells.clone();
        let mut trainings: Vec<_> = trainings
            .iter()
            .filter(|training| is_evaluated(training.written))
            .collect();
        // In the order in which the suite names them.
        trainings.sort_by_key(|training| {
            let named = |model: &Spanned<String>| model.get_ref() == training.written.name.get_ref();
            (
                training.index,
                evaluated.and_then(|models| models.iter().position(named)),
            )
        });
        let models = trainings.iter().map(|training| find(&trained, training.name()));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        self.check_attacks(&models, &trained, context.classes)?;
        self.check_branches(&models)?;
        for (cell, training) in models.into_iter().zip(trainings) {
            let other_budget = other_budget(cell, &trained);
            let request = request.for_model(cell, &trained, context.classes);
            let surrogate = |name: &str| match name {
                TEACHER => cell.parents.first().cloned(),
                OTHER_BUDGET => other_budget.map(|other| other.id.clone()),
                name => find(&trained, &self.replicate_name(name, training.index))
                    .ok()
                    .map(|cell| cell.id.clone()),
            };
            let evaluated = request.cells(&EvalSubject {
                model: &cell.name,
                parent: &cell.id,
                surrogate: &surrogate,
                data: &data,
                context,
            });
            cells.extend(
                evaluated.map_err(|error| self.wrong_at(&[&["evaluation", "attacks"]], error.to_string()))?,
            );
        }
        let headline = self
            .evaluation
            .headline
            .clone()
            .or_else(|| AttackSpec::headline(&request.attacks).cloned());
        let scale = self.at_scale()?;
        Ok(Plan {
            schema: self.schema,
            suite: self.name.clone(),
            title: AtScale::title(scale.as_ref(), &self.title),
            description: self.description.clone(),
            scale,
            headline,
            baseline: self
                .evaluation
                .baseline
                .as_ref()
                .map(|name| name.get_ref().clone()),
            relus: BTreeMap::new(),
            evaluation_batch: self.evaluation.batch,
            save_images: self.evaluation.save_images,
            cells,
        })
    }
}

impl Suite {
    /// The error of a stage, at the setting that it is about where the stage or the suite has it.
    fn of_stage(&self, train: &Train, error: SuiteError) -> SuiteError {
        let SuiteError::Value { what, .. } = &error else {
            return error;
        };
        let (name, key) = (
            train.name.get_ref().as_str(),
            if *what == "quirk" { "quirks" } else { what },
        );
        let with: &[&str] = &["train", name, "with", key];
        let stage: &[&str] = &["train", name];
        let settings = [with, &["train", name, key], &["training", key], stage];
        self.wrong_at(&settings, error.to_string())
    }

    /// The images that models are measured on. What they are changes no training.
    fn measured_images(&self, context: &PlanContext) -> Result<DataSpec, SuiteError> {
        let Some(images) = &self.data.images else {
            return self.images(&self.data.dataset, context);
        };
        let first = images.first();
        let whole = self.whole(&self.data.dataset, context);
        Ok(DataSpec {
            test: first.filter(|first| whole.is_none_or(|[_, test]| *first < test)),
            images: Some(images.clone()).filter(|_| first.is_none()),
            ..self.images(&self.data.dataset, context)?
        })
    }

    /// All training and test images of a data set, where they are known.
    fn whole(&self, dataset: &str, context: &PlanContext) -> Option<[u32; 2]> {
        match dataset == self.data.dataset {
            true => context.whole,
            false => dataset::find(dataset)
                .ok()
                .flatten()
                .map(|known| [known.train, known.test]),
        }
    }

    /// The images of trainings on a data set: as many of each as the suite says.
    fn images(&self, dataset: &str, context: &PlanContext) -> Result<DataSpec, SuiteError> {
        let checksum = match dataset == self.data.dataset {
            true => Some(&context.data_checksum),
            false => context.other_data.get(dataset),
        };
        let unread = || SuiteError::value("dataset", dataset, "it was not read beside the suite's own");
        let whole = self.whole(dataset, context);
        let limit = |images: Option<u32>, of: usize| {
            images.filter(|images| whole.is_none_or(|whole| *images < whole[of]))
        };
        Ok(DataSpec {
            dataset: dataset.to_owned(),
            train: limit(self.data.train, 0),
            test: limit(self.data.test, 1),
            images: None,
            validation: self.data.validation,
            seed: 0,
            checksum: checksum.ok_or_else(unread)?.clone(),
        })
    }
}

impl Plan {
    /// The images that models are measured on; of a plan that measures nothing, its first stage's.
    pub fn images(&self) -> Option<&DataSpec> {
        let measures = |cell: &&Cell| matches!(cell.spec, CellSpec::Evaluate(_));
        let cell = self.cells.iter().find(measures).or(self.cells.first());
        cell.map(|cell| &cell.data)
    }
}

/// The first other student with the teacher of this one and another budget.
pub(crate) fn other_budget<'a>(cell: &Cell, trained: &'a [Cell]) -> Option<&'a Cell> {
    let budget = |cell: &Cell| {
        let spec = cell.student()?;
        // A mask is the last of what a student is made from.
        let mut made_from = trained
            .iter()
            .rev()
            .filter(|other| cell.parents.contains(&other.id));
        let searched = made_from.find_map(|mask| match &mask.spec {
            CellSpec::Train(search) => search.budget,
            CellSpec::Evaluate(_) => None,
        });
        spec.budget.or(searched).map(|budget| budget.to_string())
    };
    let own = budget(cell)?;
    let others = trained
        .iter()
        .filter(|other| other.parents.first() == cell.parents.first());
    let mut others = others.filter(|other| other.data == cell.data);
    others.find(|other| budget(other).is_some_and(|budget| budget != own))
}

/// A cell by its name.
pub(crate) fn find<'a>(cells: &'a [Cell], name: &str) -> Result<&'a Cell, SuiteError> {
    cells
        .iter()
        .find(|cell| cell.name == name)
        .ok_or_else(|| SuiteError::value("model", name, "not trained by this suite"))
}

/// Gives a cell its identity: the hash of the canonical JSON (sorted keys) of all that can
/// change its result. Names are labels and stay out, so two suites share equal cells.
pub(crate) fn identify(
    name: &str,
    model: &str,
    parents: Vec<CellId>,
    data: &DataSpec,
    spec: CellSpec,
    versions: BTreeMap<String, u32>,
) -> Cell {
    let mut content = serde_json::json!({
        "parents": &parents,
        "data": data,
        "spec": &spec,
        "versions": &versions,
    });
    if let Some(name) = content.pointer_mut("/data/dataset")
        && data.dataset.starts_with(PICTURES)
    {
        // Pictures are what their checksum says, wherever they are.
        *name = PICTURES.into();
    }
    if let Some(imported) = content
        .pointer_mut("/spec/imported")
        .and_then(serde_json::Value::as_object_mut)
    {
        // The checksum says what the file is, wherever it is.
        imported.remove("path");
    }
    let hash = blake3::hash(content.to_string().as_bytes()).to_hex();
    Cell {
        id: CellId(hash[..16].to_owned()),
        name: name.to_owned(),
        model: model.to_owned(),
        parents,
        data: data.clone(),
        spec,
        versions,
        repeats: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(sets: &[&str], checksum: &str) -> Plan {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text = crate::catalog::STAGES;
        let context = PlanContext {
            data_checksum: checksum.to_owned(),
            corruptions_version: 1,
            corruptions_setup: "release/procedural".to_owned(),
            ..PlanContext::default()
        };
        let suite = Suite::parse(text, "demo", &sets).expect("a suite");
        suite.plan(&context).expect("a plan")
    }

    fn id(plan: &Plan, name: &str) -> CellId {
        find(&plan.cells, name).expect(name).id.clone()
    }

    #[test]
    fn plans_of_earlier_versions_are_read() {
        let sets = [
            "evaluation.attacks=[\"pgd:early_stop=true\"]",
            "evaluation.headline=pgd:early_stop=true",
        ];
        let plan = plan(&sets, "a");
        let today = serde_json::to_string(&plan).expect("JSON");
        let earlier = today
            .replace("early_stop=true", "keep=first")
            .replace("\"dialect\":\"paper\"", "\"dialect\":\"fixed\"");
        assert_ne!(earlier, today);
        let mut read: Plan = serde_json::from_str(&earlier).expect("a plan");
        for (cell, was) in read.cells.iter_mut().zip(&plan.cells) {
            // Names are labels and stay as they were written.
            cell.name.clone_from(&was.name);
        }
        assert_eq!(read, plan);
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

    /// Pictures are the same wherever their folder is and however it is typed; other pictures, and
    /// a data set that has a name, are not.
    #[test]
    fn pictures_are_their_checksum_and_not_their_path() {
        let of = |dataset: &str, checksum: &str| {
            let images = DataSpec {
                dataset: dataset.to_owned(),
                train: None,
                test: None,
                images: None,
                validation: 0.1,
                seed: 0,
                checksum: checksum.to_owned(),
            };
            let spec = find(&plan(&[], "a").cells, "rlnet/clean")
                .expect("a cell")
                .spec
                .clone();
            identify("net/clean", "net", Vec::new(), &images, spec, BTreeMap::new())
        };
        let flat = of("imagefolder:flat", "a");
        for same in [
            "imagefolder:./flat",
            "imagefolder:/data/flat",
            "imagefolder:flat/",
            "imagefolder:copy",
        ] {
            assert_eq!(of(same, "a").id, flat.id, "{same}");
            // What was typed stays readable.
            assert_eq!(of(same, "a").data.dataset, same);
        }
        assert_ne!(of("imagefolder:flat", "b").id, flat.id);
        assert_ne!(of("shapes", "a").id, of("textures", "a").id);
    }

    #[test]
    fn read_images_and_made_ones_are_different_cells_and_only_theirs_differ() {
        let suite = Suite::parse(crate::catalog::STAGES, "demo", &[]).expect("a suite");
        let with = |checksum: Option<&str>| {
            let files = checksum.map(|checksum| CorruptedFiles {
                official: false,
                checksums: BTreeMap::from([("fog.npy".to_owned(), checksum.to_owned())]),
            });
            let context = PlanContext {
                data_checksum: "a".to_owned(),
                corruptions_version: 1,
                corruptions_setup: "release/procedural".to_owned(),
                corrupted_files: files.into_iter().map(|files| ("fog".to_owned(), files)).collect(),
                ..PlanContext::default()
            };
            suite.plan(&context).expect("a plan")
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

    /// A student on one data set with the units that a search on another kept.
    #[test]
    fn a_stage_on_other_images_is_another_cell_and_is_not_measured() {
        let text = crate::catalog::find("ablation-mask-source").expect("the suite");
        let with = |sets: &[&str], other: &str| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(text, "ablation-mask-source", &sets).expect("a suite");
            let others = suite.other_datasets().into_iter();
            let context = PlanContext {
                data_checksum: "a".to_owned(),
                other_data: others.map(|name| (name.to_owned(), other.to_owned())).collect(),
                ..PlanContext::default()
            };
            suite.plan(&context).expect("a plan")
        };
        let base = with(&[], "b");
        let cell = |name: &str| find(&base.cells, name).expect(name);
        for (name, dataset) in [
            ("teacher", "cifar10"),
            ("mask", "cifar10"),
            ("teacher-near", "cifar100"),
            ("mask-near", "cifar100"),
            ("near", "cifar10"),
            ("teacher-far", "shapes"),
            ("far", "cifar10"),
        ] {
            assert_eq!(cell(name).data.dataset, dataset, "{name}");
        }
        let ids = ["teacher", "mask-near"].map(|name| cell(name).id.clone());
        assert_eq!(cell("near").parents, ids);
        // With its weights, or with its units alone, is not the same.
        assert_eq!(cell("rlnet").parents, cell("own").parents);
        assert_ne!(cell("rlnet").id, cell("own").id);
        // What reaches the mask reaches the student; what does not leaves the others alone.
        for (sets, other) in [(&[][..], "c"), (&["train.teacher-near.with.epochs=3"], "b")] {
            let plan = with(sets, other);
            for name in ["teacher-near", "mask-near", "near", "near/clean"] {
                assert_ne!(id(&plan, name), cell(name).id, "{name} {sets:?} {other}");
            }
            for name in ["teacher", "own", "random", "own/clean"] {
                assert_eq!(id(&plan, name), cell(name).id, "{name} {sets:?} {other}");
            }
        }
        assert_eq!(base.images().map(|data| data.dataset.as_str()), Some("cifar10"));
        let measured = with(&["evaluation.models=[\"teacher\"]"], "b");
        assert!(
            measured
                .cells
                .iter()
                .all(|cell| cell.model != "teacher-near" || cell.name == "teacher-near")
        );
    }

    #[test]
    fn units_and_data_sets_in_the_wrong_place_are_refused() {
        let text = crate::catalog::find("ablation-mask-source").expect("the suite");
        for (set, hint) in [
            (
                "train.mask.dataset=cifar100",
                "write dataset in the teacher's stage",
            ),
            ("train.near.units=mask-near-", "did you mean `mask-near`?"),
            ("train.near.budget=5x", "leave budget"),
            ("train.rlnet.units=mask", "in place of mask"),
            ("evaluation.models=[\"teacher-near\"]", "trained on cifar100"),
            ("train.teacher-near.arch=resnet34", "resnet34"),
        ] {
            let suite = Suite::parse(text, "s", &[set.to_owned()]);
            let refused = suite.and_then(|suite| suite.plan(&PlanContext::unread(&suite)));
            let error = refused.expect_err(set).to_string();
            assert!(error.contains(hint), "{set}: {error}");
        }
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
            "certified",
            "jsd",
            "inner",
            "score",
            "granularity",
            "dropped",
            "precision",
            "quirks",
            "augmentation",
            "schedule",
            "lasso",
            "units_only",
        ] {
            assert!(
                !spec.to_string().contains(&format!("\"{later}\"")),
                "{later}: {spec}"
            );
        }
        let mask = |set: &str| id(&plan(&[set], "a"), "mask");
        assert_eq!(mask("train.mask.with.score=own"), id(&base, "mask"));
        assert_ne!(mask("train.mask.with.score=averaged"), id(&base, "mask"));
        // For all stages it is of students only.
        let affine = plan(&["training.dropped=affine"], "a");
        for name in ["teacher", "mask"] {
            assert_eq!(id(&affine, name), id(&base, name), "{name}");
        }
        assert_ne!(id(&affine, "rlnet"), id(&base, "rlnet"));
        let identity = plan(&["training.dropped=identity"], "a");
        assert_eq!(id(&identity, "rlnet"), id(&base, "rlnet"));
    }
}
