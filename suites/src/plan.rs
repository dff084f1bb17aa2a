//! A resolved suite: its cells, in an order in which parents come first.

use crate::asked::TEACHER;
use crate::attack::AttackSpec;
use crate::cell::{Cell, CellId, CellSpec, DataSpec};
use crate::corrupted::CorruptedFiles;
use crate::error::SuiteError;
use crate::suite::Suite;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the training algorithm; bumped when the same configuration trains otherwise.
pub const TRAIN_VERSION: u32 = 1;
/// Version of the evaluation loop.
pub const EVALUATE_VERSION: u32 = 1;

/// Version of the probe of gradients.
pub const PROBE_VERSION: u32 = 1;
/// Version of the comparison of activations.
pub const SIMILARITY_VERSION: u32 = 1;
/// Version of AugMix views as test images.
pub const AUGMIX_VERSION: u32 = 1;
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
            let spec = CellSpec::Train(spec);
            cells.push(identify(name, name, parents, &data, spec, versions));
        }
        let models: Vec<&str> = match &self.evaluation.models {
            Some(models) => models.iter().map(|model| model.get_ref().as_str()).collect(),
            None => self
                .train
                .iter()
                .filter(|train| !train.stage.is_search())
                .map(|train| train.name.get_ref().as_str())
                .collect(),
        };
        let asked = self.asked();
        let trained = cells.clone();
        for model in models {
            let cell = find(&trained, model)?;
            let asked = asked.of(cell);
            let surrogate = |name: &str| match name {
                TEACHER => cell.parents.first().cloned(),
                name => find(&trained, name).ok().map(|cell| cell.id.clone()),
            };
            cells.extend(asked.cells(model, &cell.id, &surrogate, &data, world)?);
        }
        let headline = self
            .evaluation
            .headline
            .clone()
            .or_else(|| AttackSpec::headline(&asked.attacks).cloned());
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
            "precision",
            "quirks",
            "augmentation",
            "schedule",
            "lasso",
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
}
