//! A suite from its text, with overrides.

use super::source::{SCALE, Source};
use super::{ConfigError, Span, Suite, keys, span};
use crate::dataset::{PICTURES, prepared};
use crate::error::SuiteError;
use crate::scale;
use rlnet_corruptions::picture::Preparation;
use std::collections::BTreeSet;
use std::num::{IntErrorKind, ParseIntError};
use toml::{Table, Value};

impl Suite {
    /// Reads a suite. `file` is its name in messages; `sets` are `key=value` overrides by
    /// dotted path, a training cell by its name: `train.rlnet.with.epochs=2`. `scale=NAME` is
    /// one of them, and comes before all others.
    ///
    /// # Errors
    /// When the text is not TOML, has an unknown key or an impossible value (with line and
    /// column), or refers to a name it does not define.
    pub fn parse(text: &str, file: &str, sets: &[String]) -> Result<Self, SuiteError> {
        let source = |sets: &[String]| Source {
            file: file.to_owned(),
            text: text.to_owned(),
            sets: sets.to_vec(),
        };
        let suite = Self::read(text).map_err(|error| source(&[]).error(error))?;
        // Every scale that the file changes, used now or not.
        for name in suite.scale.keys() {
            Self::changed(&source(&[format!("{SCALE}{name}")]))?;
        }
        let source = source(sets);
        let suite = if sets.is_empty() {
            suite
        } else {
            Self::changed(&source)?
        };
        Ok(Self { source, ..suite })
    }

    /// A suite with overrides. A mistake is reported at the line of the file that it comes from,
    /// if it comes from one.
    fn changed(source: &Source) -> Result<Self, SuiteError> {
        let table = Self::table(&source.text, &source.file, &source.sets)?;
        let changed = toml::to_string(&table).map_err(|error| SuiteError::File {
            file: source.file.clone(),
            message: error.to_string(),
        })?;
        Self::read(&changed).map_err(|error| {
            let path = match error.span {
                Span::Byte(byte) => span::path(&changed, byte),
                Span::Key(path) => path,
            };
            source.error(ConfigError {
                span: Span::Key(path),
                ..error
            })
        })
    }

    /// A suite as its text says.
    fn read(text: &str) -> Result<Self, ConfigError> {
        // First, as a type would say less of a number that is too large for it.
        if let Ok(table) = text.parse() {
            keys::check(&table)?;
        }
        let mut suite: Self = toml::from_str(text).map_err(|error| ConfigError {
            span: Span::Byte(error.span().map_or(0, |span| span.start)),
            message: match error.message() {
                // So the reader says what no setting can hold.
                long if long.contains(" as i128") || long.contains(" as u128") => {
                    format!("{long}; too large a number")
                }
                message => message.to_owned(),
            },
        })?;
        suite.check()?;
        suite.prepare_pictures()?;
        suite.without_repeats();
        Ok(suite)
    }

    /// From here on the name of the data set says how its pictures are prepared, and so do those of
    /// stages.
    fn prepare_pictures(&mut self) -> Result<(), ConfigError> {
        let data = &mut self.data;
        let preparation = Preparation {
            resize: data.resize,
            crop: data.crop,
            filter: data.filter,
        };
        let wrong = |error: SuiteError, path: &[&str]| ConfigError {
            message: error.to_string(),
            span: Span::Key(path.iter().map(|&key| key.to_owned()).collect()),
        };
        data.dataset =
            prepared(&data.dataset, preparation).map_err(|why| wrong(why, &["data", "dataset"]))?;
        for train in &mut self.train {
            if let Some(name) = train.dataset.as_mut().filter(|name| name.starts_with(PICTURES)) {
                let path = ["train", train.name.get_ref(), "dataset"];
                *name = prepared(name, preparation).map_err(|why| wrong(why, &path))?;
            }
        }
        Ok(())
    }

    /// Lists are sets: a name that is written twice counts once.
    fn without_repeats(&mut self) {
        let stages = self.train.iter_mut();
        for stage in stages {
            distinct(stage.views.iter_mut());
            distinct(stage.with.attention.iter_mut());
        }
        distinct(self.training.attention.iter_mut());
        let evaluation = &mut self.evaluation;
        distinct([&mut evaluation.corruptions.0].into_iter());
        // Their order is none of a cell's identity.
        evaluation.severities.sort_unstable();
        evaluation.severities.dedup();
        if let Some(branches) = &mut evaluation.branches {
            branches.sort_unstable();
            branches.dedup();
        }
        if let Some(models) = &mut evaluation.models {
            let mut seen = BTreeSet::new();
            models.retain(|model| seen.insert(model.get_ref().clone()));
        }
    }

    /// A suite's text with overrides applied, before it is given a meaning.
    ///
    /// # Errors
    /// When the text is not TOML, or an override does not fit it.
    pub fn table(text: &str, file: &str, sets: &[String]) -> Result<Table, SuiteError> {
        let mut table: Table = toml::from_str(text).map_err(|error: toml::de::Error| SuiteError::File {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        // A scale is what other settings are changes of, wherever it is written.
        let (scales, rest): (Vec<&String>, Vec<&String>) =
            sets.iter().partition(|set| set.starts_with(SCALE));
        if let Some(name) = scales.last() {
            scale::apply(&mut table, &name[SCALE.len()..])?;
        }
        for set in rest {
            apply(&mut table, set)?;
        }
        Ok(table)
    }
}

/// Leaves each item of a list where it stands first.
fn distinct<'a, T: Ord + Clone + 'a>(lists: impl Iterator<Item = &'a mut Vec<T>>) {
    for list in lists {
        let mut seen = BTreeSet::new();
        list.retain(|item| seen.insert(item.clone()));
    }
}

/// One `--set key=value`.
pub(crate) fn apply(table: &mut Table, set: &str) -> Result<(), SuiteError> {
    let bad = |why: String| SuiteError::value("--set", set, why);
    let (path, text) = set
        .split_once('=')
        .ok_or_else(|| bad("write it as key=value, e.g. training.epochs=2".into()))?;
    let overflow = |error: ParseIntError| {
        matches!(
            error.kind(),
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow
        )
    };
    if text.parse::<i64>().is_err_and(overflow) {
        return Err(bad(format!(
            "{text} is too large a number; whole numbers go from {} to {}",
            i64::MIN,
            i64::MAX
        )));
    }
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
    use crate::plan::PlanContext;

    fn demo() -> &'static str {
        crate::catalog::STAGES
    }

    #[test]
    fn every_suite_of_the_catalogue_reads_and_is_named_as_it_is_called() {
        for (name, text) in CATALOGUE {
            let suite = Suite::parse(text, name, &[]).expect(name);
            assert_eq!(suite.name, *name);
        }
    }

    #[test]
    fn naming_a_thing_twice_changes_nothing() {
        let planned = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(demo(), "demo", &sets).expect("a suite");
            suite.plan(&PlanContext::unread(&suite)).expect("a plan").cells
        };
        for (once, twice) in [
            ("evaluation.severities=[3,1]", "evaluation.severities=[3,1,3]"),
            ("evaluation.severities=[1,3]", "evaluation.severities=[3,1]"),
            (
                "evaluation.branches=[\"clean\",\"adversarial\"]",
                "evaluation.branches=[\"adversarial\",\"clean\"]",
            ),
            (
                "evaluation.attacks=[\"pgd:steps=10,eps=4/255,alpha=1/255\"]",
                "evaluation.attacks=[\"pgd:eps=4.0/255,alpha=2/510,steps=010\",\"pgd:alpha=1/255,steps=10,eps=4/255,restarts=1\"]",
            ),
            (
                "evaluation.certify=[\"certify:eps=1/255,method=crown\"]",
                "evaluation.certify=[\"certify:method=crown,eps=1.0/255\",\"certify:eps=2/510,method=crown\"]",
            ),
            ("data.images=\"1,3-5\"", "data.images=\"3-5,1,4\""),
            (
                "evaluation.corruptions=[\"fog\"]",
                "evaluation.corruptions=[\"fog\",\"fog\"]",
            ),
            (
                "evaluation.models=[\"rlnet\",\"senet\"]",
                "evaluation.models=[\"rlnet\",\"senet\",\"rlnet\"]",
            ),
            (
                "evaluation.branches=[\"clean\"]",
                "evaluation.branches=[\"clean\",\"clean\"]",
            ),
            (
                "evaluation.attacks=[\"pgd:steps=10,eps=4/255,alpha=1/255\"]",
                "evaluation.attacks=[\"pgd:steps=10,eps=4/255,alpha=1/255\",\"pgd:steps=10,eps=4/255,alpha=1/255\"]",
            ),
            (
                "train.teacher.views=[\"clean\",\"adversarial\"]",
                "train.teacher.views=[\"clean\",\"adversarial\",\"clean\"]",
            ),
            (
                "training.attention=[\"clean\"]",
                "training.attention=[\"clean\",\"clean\"]",
            ),
            (
                "training.quirks=[\"B1\"]",
                "training.quirks=[\"B1\",\"shared-shortcut-norm\"]",
            ),
        ] {
            let plans = [once, twice].map(|set| planned(&[set]));
            assert_eq!(plans[0], plans[1], "{twice}");
        }
    }

    /// The first images are a limit, all of them none, of the data set and of an attack.
    #[test]
    fn limits_are_the_images_that_they_select() {
        let measured = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(demo(), "demo", &sets).expect("a suite");
            let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
            let cells = plan.cells.into_iter().filter_map(|cell| match cell.spec {
                crate::CellSpec::Evaluate(spec) => Some((cell.data.test, cell.data.images, spec.images)),
                crate::CellSpec::Train(_) => None,
            });
            cells.collect::<Vec<_>>()
        };
        let attack =
            |images: &str| format!("evaluation.attacks=[{{ attack = \"pgd:steps=10\", images = {images} }}]");
        for (one, other) in [
            (&["data.images=\"0-99\""][..], &["data.test=100"][..]),
            (&["data.images=\"0-1999\""], &["data.test=2000"]),
            (&["data.images=\"1000-1999,0-1200\""], &["data.test=2000"]),
            (
                &["data.test=100", &attack("100")],
                &["data.test=100", &attack("5000")],
            ),
            (
                &["data.test=2000", &attack("2000")],
                &["data.test=2000", &attack("9999")],
            ),
        ] {
            let sets = [
                "evaluation.attacks=[\"pgd:steps=10\"]",
                "evaluation.headline=pgd:steps=10",
            ];
            let [one, other] = [one, other].map(|own| measured(&[&sets[..], own].concat()));
            assert_eq!(one, other);
        }
        let whole = measured(&["data.test=2000", "data.images=\"0-1999\""]);
        assert!(
            whole
                .iter()
                .all(|(test, images, _)| test.is_none() && images.is_none())
        );
        let some = measured(&["data.images=\"1-99\""]);
        assert!(
            some.iter()
                .all(|(test, images, _)| test.is_none() && images.is_some())
        );
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
            // Words of earlier versions.
            ("training.attack=\"pgd:keep=first\"", "write early_stop=true"),
            ("evaluation.attacks=[\"pgd:on=fog/3\"]", "write base=fog/3"),
            ("evaluation.headline=\"pgd:through=all\"", "write branch=all"),
            (
                "evaluation.headline=\"pgd:alpha=0.01/255\"",
                "cannot reach its radius",
            ),
            ("training.dialect=fixed", "it is now called `paper`"),
            ("data.train=99999999999999999999", "too large a number"),
        ] {
            let error = set(&[bad]).expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }
}
