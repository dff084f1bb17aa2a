//! A single stage, written as a suite: the stages it builds on, then the stage itself.
//!
//! Only what a suite can say is part of a cell's identity, so a single stage is the same cell as in
//! a suite with equal settings. The written suite can be kept, extended and run like any other.

use crate::cell::{Cell, CellId, CellSpec};
use crate::error::{SuiteError, suggest};
use crate::settings::{self, Section, Setting};
use crate::suite::{self, SCHEMA};
use crate::train::{Allocation, Budget, ImportedMask, Stage};
use serde::Serialize;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The name of the suite of a single stage; by default its results go to `out/train`.
pub const NAME: &str = "train";

/// Keys of `[[train]]` that `--set` may reach; the others have options, or are names.
const OWN_KEYS: [&str; 5] = ["views", "norm", "arch", "budget", "allocation"];

/// The settings of a single stage: keys of `[[train]]`, then those of `with`.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    let own = settings::of(Section::Train).iter();
    own.filter(|setting| OWN_KEYS.contains(&setting.key))
        .chain(settings::of(Section::Stage))
}

/// The images of a single stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Images {
    /// A data set, as in `rlnet data list`.
    pub dataset: String,
    /// Training images used, from the front; all when absent.
    pub train: Option<u32>,
    /// Test images used, from the front; all when absent.
    pub test: Option<u32>,
    /// Share of the training images held out; the method's when absent.
    pub validation: Option<f64>,
}

/// A single stage.
#[derive(Debug, Clone)]
pub struct SingleStage {
    /// Which stage.
    pub stage: Stage,
    /// Its images.
    pub images: Images,
    /// Its teacher, where no mask stage brings one along.
    pub teacher: Option<CellId>,
    /// The search whose weights and mask a student goes on with.
    pub mask: Option<CellId>,
    /// The search whose units alone a student takes.
    pub units: Option<CellId>,
    /// A mask from a file.
    pub imported: Option<ImportedMask>,
    /// ReLUs to keep.
    pub budget: Option<Budget>,
    /// How they are shared among layers.
    pub allocation: Option<Allocation>,
    /// `key=value`, for all other settings of a stage.
    pub sets: Vec<String>,
}

impl SingleStage {
    /// A stage that builds on nothing and leaves every setting to the method.
    pub fn new(stage: Stage, images: Images) -> Self {
        Self {
            stage,
            images,
            teacher: None,
            mask: None,
            units: None,
            imported: None,
            budget: None,
            allocation: None,
            sets: Vec::new(),
        }
    }

    /// The name of the stage in its suite.
    pub fn name(&self) -> &'static str {
        self.stage.name()
    }

    /// The suite's text, with the cells that the stage builds on, parents first.
    ///
    /// # Errors
    /// When a setting is not one of a stage, or a cell it builds on is not among those above.
    pub fn suite(&self, above: &[Cell]) -> Result<String, SuiteError> {
        let mut names = BTreeMap::new();
        let mut stages = Vec::new();
        for cell in above {
            let taken = |name: &str| name == self.name() || names.values().any(|other| other == name);
            let name = if taken(&cell.name) {
                format!("{}-{}", cell.name, cell.id)
            } else {
                cell.name.clone()
            };
            names.insert(cell.id.clone(), name.clone());
            stages.push(stage(cell, &name, &names, &self.images.dataset)?);
        }
        let mut own = Table::new();
        put(&mut own, "name", self.name())?;
        put(&mut own, "stage", self.stage)?;
        let parents = [
            ("teacher", &self.teacher),
            ("mask", &self.mask),
            ("units", &self.units),
        ];
        for (key, id) in parents {
            if let Some(id) = id {
                put(&mut own, key, named(&names, id)?)?;
            }
        }
        put_some(&mut own, "imported", self.imported.as_ref())?;
        put_some(&mut own, "budget", self.budget)?;
        put_some(&mut own, "allocation", self.allocation)?;
        stages.push(own);
        let title = format!("a single {} stage", self.name());
        let mut table = suite_of(&self.images, title, stages)?;
        for set in &self.sets {
            suite::set(&mut table, &self.reached(set)?)?;
        }
        toml::to_string(&table).map_err(|error| SuiteError::value("suite", NAME, error.to_string()))
    }

    /// A setting of the stage by its path in the suite.
    fn reached(&self, set: &str) -> Result<String, SuiteError> {
        let key = set.split('=').next().unwrap_or_default();
        if settings::of(Section::Stage)
            .iter()
            .any(|setting| setting.key == key)
        {
            return Ok(format!("train.{}.with.{set}", self.name()));
        }
        if OWN_KEYS.contains(&key) {
            return Ok(format!("train.{}.{set}", self.name()));
        }
        if self.stage == Stage::Teacher && key == "data.validation" {
            return Ok(set.to_owned());
        }
        let hint = suggest(key, settings().map(|setting| setting.key));
        Err(SuiteError::value(
            "--set",
            set,
            format!("not a setting of a stage; {hint}"),
        ))
    }
}

/// A suite as it is written: its stages, and their models on the clean test images.
#[derive(Serialize)]
struct WrittenSuite<'a> {
    schema: u32,
    name: &'static str,
    title: String,
    description: &'static str,
    data: &'a Images,
    train: Vec<Table>,
    evaluation: WrittenEvaluation,
}

#[derive(Serialize)]
struct WrittenEvaluation {
    corruptions: &'static str,
    attacks: [&'static str; 0],
}

/// A suite of these stages that measures their models on the clean test images.
fn suite_of(images: &Images, title: String, train: Vec<Table>) -> Result<Table, SuiteError> {
    let suite = WrittenSuite {
        schema: SCHEMA,
        name: NAME,
        title,
        description: "Written by `rlnet train`. Add what to measure under [evaluation].",
        data: images,
        train,
        evaluation: WrittenEvaluation {
            corruptions: "none",
            attacks: [],
        },
    };
    Table::try_from(suite).map_err(|error| SuiteError::value("suite", NAME, error.to_string()))
}

/// A training cell as a stage of a suite that has the data set `dataset`, every setting spelled out.
fn stage(
    cell: &Cell,
    name: &str,
    names: &BTreeMap<CellId, String>,
    dataset: &str,
) -> Result<Table, SuiteError> {
    let CellSpec::Train(spec) = &cell.spec else {
        return Err(SuiteError::value("cell", &cell.name, "it trains nothing"));
    };
    let mut own = Table::new();
    put(&mut own, "name", name)?;
    put(&mut own, "stage", spec.stage)?;
    if spec.stage == Stage::Teacher && cell.data.dataset != dataset {
        put(&mut own, "dataset", &cell.data.dataset)?;
    }
    let parents = match (spec.stage, cell.parents.as_slice()) {
        (Stage::Student, [teacher, search]) if spec.units_only => {
            vec![("teacher", teacher), ("units", search)]
        }
        (Stage::Student, [_, search]) => vec![("mask", search)],
        (_, parents) => parents
            .first()
            .map(|teacher| ("teacher", teacher))
            .into_iter()
            .collect(),
    };
    for (key, id) in parents {
        put(&mut own, key, named(names, id)?)?;
    }
    own.extend(spec.own_keys()?);
    own.insert("with".into(), Value::Table(spec.settings()?));
    Ok(own)
}

fn named<'a>(names: &'a BTreeMap<CellId, String>, id: &CellId) -> Result<&'a String, SuiteError> {
    names
        .get(id)
        .ok_or_else(|| SuiteError::value("cell", id, "it is not among the cells that the stage builds on"))
}

fn put(table: &mut Table, key: &str, value: impl Serialize) -> Result<(), SuiteError> {
    table.insert(key.to_owned(), settings::written(value)?);
    Ok(())
}

fn put_some(table: &mut Table, key: &str, value: Option<impl Serialize>) -> Result<(), SuiteError> {
    value.map_or(Ok(()), |value| put(table, key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CATALOGUE;
    use crate::plan::{Plan, PlanContext};
    use crate::suite::Suite;

    fn plan(text: &str, sets: &[String]) -> Plan {
        let suite = Suite::parse(text, "s", sets).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let others = suite.other_datasets().into_iter();
        let world = PlanContext {
            data_checksum: "a".to_owned(),
            other_data: others.map(|name| (name.to_owned(), name.to_owned())).collect(),
            ..PlanContext::default()
        };
        suite.plan(&world).expect("a plan")
    }

    /// The training cells of every suite at every scale, written down: the same cells.
    #[test]
    fn what_is_written_down_is_what_was_read() {
        let mut seen = 0;
        for (name, text) in CATALOGUE {
            for scale in [None, Some("scale=smoke"), Some("scale=small")] {
                let sets: Vec<String> = scale.into_iter().map(str::to_owned).collect();
                let whole = plan(text, &sets);
                let trained = |cell: &&Cell| matches!(cell.spec, CellSpec::Train(_));
                let cells: Vec<&Cell> = whole.cells.iter().filter(trained).collect();
                let Some(data) = whole.images().filter(|_| !cells.is_empty()) else {
                    continue;
                };
                let images = Images {
                    dataset: data.dataset.clone(),
                    train: data.train,
                    test: data.test,
                    validation: Some(data.validation),
                };
                let mut names = BTreeMap::new();
                let mut stages = Vec::new();
                for cell in &cells {
                    names.insert(cell.id.clone(), cell.name.clone());
                    stages.push(stage(cell, &cell.name, &names, &images.dataset).expect("written"));
                }
                let text = toml::to_string(&suite_of(&images, "all".to_owned(), stages).expect("written"));
                let again = plan(&text.expect("TOML"), &[]);
                for cell in cells {
                    let same = again.cells.iter().find(|other| other.name == cell.name);
                    // Written alone, a replicate is a stage of its own.
                    let alone = Cell {
                        repeats: None,
                        ..cell.clone()
                    };
                    assert_eq!(same.expect("a cell"), &alone, "{name} {scale:?} {}", cell.name);
                    seen += 1;
                }
            }
        }
        assert!(seen > 300, "{seen}");
    }

    /// Three stages, one at a time, each with what it builds on: the cells of a suite.
    #[test]
    fn stages_by_hand_are_those_of_an_equal_suite() {
        let demo = crate::catalog::STAGES;
        let whole = plan(demo, &[]);
        let cell = |name: &str| {
            let found = whole.cells.iter().find(|cell| cell.name == name);
            found.expect(name).clone()
        };
        let (teacher, mask, rlnet) = (cell("teacher"), cell("mask"), cell("rlnet"));
        let hand = |stage: Stage, sets: &[&str]| {
            let images = Images {
                dataset: "shapes".to_owned(),
                train: Some(4000),
                test: Some(500),
                validation: None,
            };
            let sets = ["batch=32", "attack=pgd:steps=3,eps=4/255,alpha=2/255"]
                .iter()
                .chain(sets);
            SingleStage {
                sets: sets.map(|set| (*set).to_owned()).collect(),
                ..SingleStage::new(stage, images)
            }
        };
        let made = |stage: &SingleStage, above: &[Cell]| {
            let plan = plan(&stage.suite(above).expect("a suite"), &[]);
            let cells = plan.cells.iter();
            let ids = cells.map(|cell| (cell.name.clone(), cell.id.clone()));
            ids.collect::<BTreeMap<_, _>>()
        };
        let first = hand(Stage::Teacher, &["arch=resnet8-w8", "epochs=12"]);
        assert_eq!(made(&first, &[])["teacher"], teacher.id);
        let second = SingleStage {
            teacher: Some(teacher.id.clone()),
            budget: Some(Budget::Reduction(5.0)),
            ..hand(Stage::Mask, &["epochs=5"])
        };
        let ids = made(&second, std::slice::from_ref(&teacher));
        assert_eq!((&ids["teacher"], &ids["mask"]), (&teacher.id, &mask.id));
        let third = SingleStage {
            mask: Some(mask.id.clone()),
            ..hand(Stage::Student, &["epochs=9", "lr=0.03"])
        };
        let above = [teacher.clone(), mask.clone()];
        assert_eq!(made(&third, &above)["student"], rlnet.id);
        // A name that the stage itself needs is given up by what is above.
        let ids = made(
            &second,
            &[Cell {
                name: "mask".into(),
                ..teacher.clone()
            }],
        );
        assert_eq!(ids["mask"], mask.id);
        assert_eq!(ids[&format!("mask-{}", teacher.id)], teacher.id);
        for (set, hint) in [
            ("epoch=3", "did you mean `epochs`?"),
            ("teacher=x", "not a setting"),
            ("data.validation=0.5", "not a setting"),
        ] {
            let error = hand(Stage::Mask, &[set])
                .suite(&above)
                .expect_err(set)
                .to_string();
            assert!(error.contains(hint), "{error}");
        }
        let alone = third.suite(&[teacher]).expect_err("no mask").to_string();
        assert!(alone.contains("not among the cells"), "{alone}");
    }
}
