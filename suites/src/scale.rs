//! Scales: one suite at several sizes, by one word: `--set scale=smoke`.
//!
//! A scale is a set of ceilings (`scales/*.toml`: images, epochs, attack steps, ...) that leaves
//! a suite's shape alone: its models, comparisons and questions. A suite may say more about a
//! scale in its own `[scale.NAME]`. A scale reaches cells only through the settings it changes,
//! never by its name: equal settings are equal cells, whatever they were called.

use crate::attack::AttackSpec;
use crate::error::{SuiteError, suggest};
use crate::suite::{Attacks, Corruptions, DEFAULT_ARCH, SEVERITIES};
use crate::train::INNER_ATTACK;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The scales that every suite has.
pub const SCALES: &[(&str, &str)] = &[
    ("smoke", include_str!("../scales/smoke.toml")),
    ("small", include_str!("../scales/small.toml")),
    ("h200", include_str!("../scales/h200.toml")),
];

/// A scale: what a suite has at most. What is absent stays as the suite says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// What it is for, in one line.
    pub title: String,
    /// The data set, whatever the suite's is.
    pub dataset: Option<String>,
    /// The data set of stages that have another than the suite's.
    pub other_dataset: Option<String>,
    /// Training images at most.
    pub train: Option<u32>,
    /// Test images at most.
    pub test: Option<u32>,
    /// Images a training step at most.
    pub batch: Option<u32>,
    /// Architectures and what stands in for each; `*` for those not named.
    #[serde(default)]
    pub architectures: BTreeMap<String, String>,
    /// Epochs at most, by stage; a student without a mask stage has that stage's as well.
    #[serde(default)]
    pub epochs: BTreeMap<String, u32>,
    /// Learning rates by stage, of stages that name none.
    #[serde(default)]
    pub lr: BTreeMap<String, f64>,
    /// The lasso of SNL stages that name none.
    pub lasso: Option<f64>,
    /// The corruptions that are left, of those a suite asks for; its first when none is.
    pub corruptions: Option<Vec<String>>,
    /// The severities that are left, in the same way.
    pub severities: Option<Vec<u8>>,
    /// Parameters of attacks at most, by name: `steps`, `queries`, ...
    #[serde(default)]
    pub attack: BTreeMap<String, u64>,
    /// Images an attack is made on at most, by the attack's name.
    #[serde(default)]
    pub images: BTreeMap<String, u32>,
}

impl Scale {
    /// A scale that every suite has.
    ///
    /// # Errors
    /// When the text of a scale that comes with the program is damaged.
    pub fn find(name: &str) -> Result<Option<Self>, SuiteError> {
        let Some((_, text)) = SCALES.iter().find(|(known, _)| *known == name) else {
            return Ok(None);
        };
        toml::from_str(text).map(Some).map_err(|error| SuiteError::File {
            file: format!("scale {name}"),
            message: error.to_string(),
        })
    }

    /// Holds a suite's table to the ceilings. The suite is known to be valid as it stands.
    fn shrink(&self, suite: &mut Table) -> Result<(), SuiteError> {
        let data = section(suite, "data")?;
        if let Some(dataset) = &self.dataset {
            data.insert("dataset".into(), dataset.as_str().into());
            // Its images are squares already.
            for key in ["resize", "crop", "filter"] {
                data.remove(key);
            }
        }
        at_most(data, "train", self.train);
        at_most(data, "test", self.test);
        self.shrink_training(suite)?;
        self.shrink_evaluation(section(suite, "evaluation")?)
    }

    fn shrink_training(&self, suite: &mut Table) -> Result<(), SuiteError> {
        if !suite.contains_key("train") {
            return Ok(());
        }
        let network = section(suite, "network")?;
        network.entry("arch").or_insert_with(|| Value::from(DEFAULT_ARCH));
        self.stand_in(network);
        let training = section(suite, "training")?;
        at_most(training, "batch", self.batch);
        training
            .entry("attack")
            .or_insert_with(|| Value::from(INNER_ATTACK));
        self.shrink_attack(training, "attack")?;
        let wide = training.clone();
        for train in named_stages(suite) {
            self.stand_in(train);
            if let (Some(other), true) = (&self.other_dataset, train.contains_key("dataset")) {
                train.insert("dataset".into(), other.as_str().into());
            }
            let stage = train.get("stage").and_then(Value::as_str).unwrap_or_default();
            let (mut epochs, lr) = (self.epochs.get(stage).copied(), self.lr.get(stage).copied());
            if stage == "student" && !train.contains_key("mask") {
                let search = self.epochs.get("mask");
                epochs = epochs.zip(search).map(|(epochs, search)| epochs + search);
            }
            let lasso = self.lasso.filter(|_| stage == "snl");
            let own = section(train, "with")?;
            if let (Some(all), None) = (wide.get("epochs"), own.get("epochs")) {
                own.insert("epochs".into(), all.clone());
            }
            at_most(own, "epochs", epochs);
            at_most(own, "batch", self.batch.filter(|_| own.contains_key("batch")));
            if let (Some(lr), None, None) = (lr, own.get("lr"), wide.get("lr")) {
                own.insert("lr".into(), lr.into());
            }
            if let (Some(lasso), None, None) = (lasso, own.get("lasso"), wide.get("lasso")) {
                own.insert("lasso".into(), lasso.into());
            }
            self.shrink_attack(own, "attack")?;
        }
        Ok(())
    }

    fn shrink_evaluation(&self, evaluation: &mut Table) -> Result<(), SuiteError> {
        for list in ["attacks", "certify"] {
            let attacks = evaluation.get(list).cloned();
            let attacks = Attacks::try_from(attacks.unwrap_or(Value::Array(Vec::new())))?;
            let shrunk = attacks.written(|attack, images| {
                let attack = self.capped(attack)?;
                let most = self.images.get(attack.name()).copied();
                Ok((attack, images.into_iter().chain(most).min()))
            })?;
            evaluation.insert(list.into(), Value::Array(shrunk));
        }
        self.shrink_attack(evaluation, "headline")?;
        if let (Some(left), Some(all)) = (&self.corruptions, evaluation.get("corruptions")) {
            let Corruptions(all) = Corruptions::try_from(all.clone())?;
            evaluation.insert("corruptions".into(), strings(common(&all, left)));
        }
        if let Some(left) = &self.severities {
            let all: Vec<u8> = match evaluation.get("severities").and_then(Value::as_array) {
                Some(all) => all
                    .iter()
                    .filter_map(Value::as_integer)
                    .filter_map(|severity| severity.try_into().ok())
                    .collect(),
                None => SEVERITIES.to_vec(),
            };
            let kept = common(&all, left).into_iter();
            evaluation.insert(
                "severities".into(),
                kept.map(|s| Value::from(i64::from(s))).collect::<Vec<_>>().into(),
            );
        }
        Ok(())
    }

    fn shrink_attack(&self, settings: &mut Table, key: &str) -> Result<(), SuiteError> {
        if let Some(text) = settings.get(key).and_then(Value::as_str) {
            let attack = self.capped(&text.parse()?)?;
            settings.insert(key.to_owned(), attack.to_string().into());
        }
        Ok(())
    }

    /// An attack with no parameter above its ceiling.
    fn capped(&self, attack: &AttackSpec) -> Result<AttackSpec, SuiteError> {
        let mut capped = attack.clone();
        for (name, most) in &self.attack {
            let value = attack.params().get(name.as_str());
            let value = value.and_then(|text| text.parse::<u64>().ok());
            if value.is_some_and(|value| value > *most) {
                capped = capped.with(name, &most.to_string())?;
            }
        }
        Ok(capped)
    }

    fn stand_in(&self, named: &mut Table) {
        let Some(arch) = named.get("arch").and_then(Value::as_str) else {
            return;
        };
        if let Some(other) = self
            .architectures
            .get(arch)
            .or_else(|| self.architectures.get("*"))
        {
            named.insert("arch".into(), other.as_str().into());
        }
    }
}

/// Brings a suite's table to a scale: the ceilings that all suites share, then the suite's own
/// section of the scale.
///
/// # Errors
/// When no scale has this name, or the suite's own section does not fit the suite.
pub fn apply(suite: &mut Table, name: &str) -> Result<(), SuiteError> {
    let own = own_names(suite);
    let general = Scale::find(name)?;
    let mut written = match suite.remove("scale") {
        Some(Value::Table(mut scales)) => scales.remove(name),
        _ => None,
    };
    if general.is_none() && written.is_none() {
        let known = SCALES.iter().map(|(name, _)| *name);
        let hint = suggest(name, known.chain(own.iter().map(String::as_str)));
        return Err(SuiteError::value("scale", name, hint));
    }
    // Hours are those of the suite as it stands; a scale has its own or none.
    suite.remove("gpu_hours");
    if let Some(scale) = general {
        scale.shrink(suite)?;
    }
    if let Some(Value::Table(own)) = &mut written {
        let models = own.remove("models");
        merge(suite, std::mem::take(own), name)?;
        if let Some(models) = models {
            keep(suite, &models)?;
        }
    }
    Ok(())
}

/// The scales a suite has a section of its own for.
pub fn own_names(suite: &Table) -> Vec<String> {
    let scales = suite.get("scale").and_then(Value::as_table);
    scales.into_iter().flat_map(Table::keys).cloned().collect()
}

/// Lays a section over another, tables within tables; stages by their names.
fn merge(under: &mut Table, over: Table, scale: &str) -> Result<(), SuiteError> {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value, scale)?,
            (Some(Value::Array(stages)), Value::Table(values)) if key == "train" => {
                for (name, value) in values {
                    let named =
                        |stage: &&mut Table| stage.get("name").and_then(Value::as_str) == Some(name.as_str());
                    let stage = stages.iter_mut().filter_map(Value::as_table_mut).find(named);
                    match (stage, value) {
                        (Some(stage), Value::Table(value)) => merge(stage, value, scale)?,
                        _ => {
                            let why = format!("scale {scale} changes it, but no stage has this name");
                            return Err(SuiteError::value("train", name, why));
                        }
                    }
                }
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
    Ok(())
}

/// Leaves only some models to evaluate, and only the stages that make them.
fn keep(suite: &mut Table, models: &Value) -> Result<(), SuiteError> {
    let mut needed: Vec<String> = models
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect();
    let mut next = 0;
    while let Some(name) = needed.get(next).cloned() {
        next += 1;
        for stage in named_stages(suite) {
            if stage.get("name").and_then(Value::as_str) != Some(name.as_str()) {
                continue;
            }
            let above = ["teacher", "mask", "units"]
                .iter()
                .filter_map(|key| stage.get(*key));
            needed.extend(above.filter_map(|name| Some(name.as_str()?.to_owned())));
        }
    }
    if let Some(Value::Array(stages)) = suite.get_mut("train") {
        stages.retain(|stage| {
            let name = stage.get("name").and_then(Value::as_str);
            name.is_some_and(|name| needed.iter().any(|known| known == name))
        });
    }
    section(suite, "evaluation")?.insert("models".into(), models.clone());
    Ok(())
}

fn named_stages(suite: &mut Table) -> impl Iterator<Item = &mut Table> {
    let stages = suite.get_mut("train").and_then(Value::as_array_mut);
    stages.into_iter().flatten().filter_map(Value::as_table_mut)
}

/// A section; an empty one where the suite has none.
fn section<'a>(table: &'a mut Table, key: &str) -> Result<&'a mut Table, SuiteError> {
    let inner = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
    inner
        .as_table_mut()
        .ok_or_else(|| SuiteError::value("section", key, format!("it is a value; write [{key}]")))
}

fn at_most(table: &mut Table, key: &str, most: Option<u32>) {
    let Some(most) = most.map(i64::from) else { return };
    let value = table.get(key).and_then(Value::as_integer);
    let value = value.map_or(most, |value| value.min(most));
    table.insert(key.to_owned(), value.into());
}

/// What two lists share, in the order of the first; the first of it when they share nothing.
fn common<T: Clone + PartialEq>(all: &[T], left: &[T]) -> Vec<T> {
    let both: Vec<T> = all.iter().filter(|item| left.contains(item)).cloned().collect();
    if both.is_empty() {
        all.iter().take(1).cloned().collect()
    } else {
        both
    }
}

fn strings(items: Vec<String>) -> Value {
    Value::Array(items.into_iter().map(Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{self, CATALOGUE};
    use crate::cell::{CellId, CellSpec};
    use crate::plan::{Plan, PlanContext};
    use crate::suite::Suite;

    fn plan(name: &str, sets: &[&str]) -> Plan {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text = catalog::find(name).expect("a suite");
        let suite = Suite::parse(text, name, &sets).unwrap_or_else(|error| panic!("{sets:?}: {error}"));
        suite.plan(&PlanContext::unread(&suite)).expect("a plan")
    }

    fn ids(plan: &Plan) -> Vec<CellId> {
        plan.cells.iter().map(|cell| cell.id.clone()).collect()
    }

    #[test]
    fn every_suite_of_the_catalogue_is_valid_at_every_scale() {
        for (name, text) in CATALOGUE {
            let table: Table = toml::from_str(text).expect("TOML");
            let own = own_names(&table);
            for scale in SCALES
                .iter()
                .map(|(scale, _)| *scale)
                .chain(own.iter().map(String::as_str))
            {
                let scaled = plan(name, &[&format!("scale={scale}")]);
                let whole = plan(name, &[]);
                // A suite that trains nothing has no cells of its own.
                let (cells, all) = (scaled.cells.len(), whole.cells.len());
                assert!(cells <= all && (cells == 0) == (all == 0), "{name} {scale}");
                assert_eq!(
                    scaled.baseline.is_some(),
                    whole.baseline.is_some(),
                    "{name} {scale}"
                );
            }
        }
    }

    #[test]
    fn a_scale_is_a_ceiling_and_what_is_set_beside_it_wins() {
        let plan = plan(
            "paper-cifar10",
            &["train.ar.with.epochs=3", "scale=smoke", "data.test=20"],
        );
        let spec = |name: &str| {
            let cell = plan.cells.iter().find(|cell| cell.name == name).expect(name);
            match &cell.spec {
                CellSpec::Train(spec) => spec.clone(),
                CellSpec::Evaluate(_) => panic!("{name} is trained"),
            }
        };
        let (ar, student) = (spec("ar"), spec("rlnet-50k"));
        assert_eq!((ar.epochs, student.epochs), (3, 1));
        assert_eq!(
            (ar.arch.as_str(), spec("ar-wrn").arch.as_str()),
            ("resnet8-w4", "wrn-10-1")
        );
        assert_eq!((ar.attack.steps(), ar.batch), (Some(3), 32));
        assert!(
            plan.cells
                .iter()
                .all(|cell| cell.data.dataset == "shapes" && cell.data.test == Some(20))
        );
    }

    #[test]
    fn a_scale_reaches_cells_through_its_settings_only() {
        // What lies below every ceiling stays what it is.
        for scale in ["scale=small", "scale=h200"] {
            assert_eq!(
                ids(&plan("cifar10-small", &[scale])),
                ids(&plan("cifar10-small", &[]))
            );
        }
        assert_ne!(ids(&plan("demo", &["scale=smoke"])), ids(&plan("demo", &[])));
        let text = serde_json::to_string(&plan("demo", &["scale=smoke"]).cells).expect("JSON");
        assert!(!text.contains("scale") && !text.contains("smoke"));
    }

    #[test]
    fn some_attacks_are_made_on_fewer_images_and_that_is_their_identity() {
        let at = |sets: &[&str], name: &str| {
            let plan = plan("paper-cifar10", sets);
            let cell = plan.cells.iter().find(|cell| cell.name.starts_with(name));
            let cell = cell.expect(name).clone();
            match cell.spec {
                CellSpec::Evaluate(spec) => (cell.id, spec.images),
                CellSpec::Train(_) => panic!("{name} is evaluated"),
            }
        };
        assert_eq!(at(&["scale=h200"], "ar/autoattack").1, Some(1000));
        assert_eq!(at(&["scale=h200"], "ar/pgd").1, None);
        assert_eq!(at(&[], "ar/autoattack").1, None);
        // A limit that leaves nothing out is no limit.
        let attacks = r#"evaluation.attacks=["fgsm",{attack="fgsm:eps=4/255",images=1000},"pgd:steps=20"]"#;
        let all = at(&["data.test=1000", attacks], "ar/fgsm:eps=4");
        assert_eq!(all.1, None);
        assert_ne!(all.0, at(&["data.test=1001", attacks], "ar/fgsm:eps=4").0);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_suggestion() {
        let refused = |text: &str, set: &str| {
            let error = Suite::parse(text, "mine.toml", &[set.to_owned()]);
            error.expect_err(set).to_string()
        };
        let demo = crate::catalog::STAGES;
        assert!(refused(demo, "scale=smole").contains("did you mean `smoke`?"));
        let with = |section: &str| format!("{demo}\n{section}");
        let tiny = with("[scale.tiny]\ntrain.teachr.with.epochs = 1\n");
        assert!(refused(&tiny, "scale=tiny").contains("teachr"));
        // A mistake in a scale has its own line, and is found whether the scale is used or not.
        for (bad, hint) in [
            ("training.epoch = 1", "epochs"),
            ("train.rlnet.with.epochs = 0", "from 1 to"),
            ("evaluation.severities = [6]", "1 to 5"),
        ] {
            let tiny = with(&format!("[scale.tiny]\ndata.test = 9\n{bad}\n"));
            let line = format!("mine.toml:{} ", demo.lines().count() + 4);
            for set in ["scale=tiny", "data.test=8"] {
                let error = refused(&tiny, set);
                assert!(error.contains(hint), "{bad}: {error}");
                assert!(error.starts_with(&line), "{line}: {error}");
            }
        }
        for (bad, hint) in [
            ("evaluation.attacks=[3]", "list of attacks"),
            ("evaluation.attacks=\"fgsm\"", "list of attacks"),
            ("evaluation.attacks=[{attack=\"fgsm\"}]", "images"),
            (
                "evaluation.attacks=[{attack=\"fgsm\",images=0}]",
                "1 image or more",
            ),
            ("evaluation.attacks=[{attack=\"fgsm\",image=1}]", "image"),
            ("gpu_hours=-1", "more than 0"),
        ] {
            let error = refused(demo, bad);
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }
}
