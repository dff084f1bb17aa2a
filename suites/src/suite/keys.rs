//! Unknown keys and numbers out of range, by the table of settings ([`crate::settings`]).

use super::{ConfigError, Span};
use crate::error::SuiteError;
use crate::settings::{self, Kind, Section};
use std::fmt::Display;
use toml::{Table, Value};

/// Refuses the first key that no section has, with the nearest one, and the first number out of its
/// setting's range. Values of another type are left to their readers.
pub fn check(suite: &Table) -> Result<(), ConfigError> {
    section(Section::Suite, suite, &[])
}

fn section(section: Section, table: &Table, above: &[String]) -> Result<(), ConfigError> {
    for (key, value) in table {
        let path = [above, std::slice::from_ref(key)].concat();
        let setting = settings::find(section, key).map_err(|error| ConfigError {
            message: match &error {
                SuiteError::Value { message, .. } => format!("unknown key {}: {message}", path.join(".")),
                SuiteError::File { .. } => error.to_string(),
            },
            span: Span::Key(path.clone()),
        })?;
        fits(setting.kind, value, &path)?;
    }
    Ok(())
}

/// Refuses a value out of its range.
fn fits(kind: Kind, value: &Value, path: &[String]) -> Result<(), ConfigError> {
    match (kind, value) {
        (Kind::Inner(inner), Value::Table(table)) => section(inner, table, path),
        (Kind::List(inner), Value::Array(items)) => {
            for table in items.iter().filter_map(Value::as_table) {
                let name = table.get("name").and_then(Value::as_str).unwrap_or_default();
                section(inner, table, &[path, &[name.to_owned()]].concat())?;
            }
            Ok(())
        }
        (Kind::Numbers(bounds), Value::Array(items)) => items
            .iter()
            .try_for_each(|item| fits(Kind::Number(bounds), item, path)),
        (Kind::Wholes(least, most), Value::Array(items)) => {
            let whole = Kind::Whole(least, Some(most));
            items.iter().try_for_each(|item| fits(whole, item, path))
        }
        (Kind::Number(bounds), Value::Integer(_) | Value::Float(_)) => {
            let number = value.as_float().or(value.as_integer().map(|whole| whole as f64));
            if number.is_some_and(|number| bounds.hold(number)) {
                Ok(())
            } else {
                Err(outside(path, value, bounds))
            }
        }
        (Kind::Whole(least, most), Value::Integer(whole)) => {
            let whole = u64::try_from(*whole).ok();
            if whole.is_some_and(|whole| whole >= least && most.is_none_or(|most| whole <= most)) {
                Ok(())
            } else {
                Err(outside(path, value, wholes(least, most)))
            }
        }
        _ => Ok(()),
    }
}

fn wholes(least: u64, most: Option<u64>) -> String {
    match most {
        Some(most) if most == least => format!("{least} only"),
        Some(most) => format!("a whole number from {least} to {most}"),
        None => format!("a whole number, {least} or more"),
    }
}

/// What was written, of which setting, and what may be.
fn outside(path: &[String], value: &Value, allowed: impl Display) -> ConfigError {
    ConfigError {
        span: Span::Key(path.to_vec()),
        message: format!("{} is {value}; allowed: {allowed}", path.join(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Fallback;
    use crate::suite::Suite;

    const SECTIONS: [Section; 8] = [
        Section::Suite,
        Section::Data,
        Section::Network,
        Section::Stage,
        Section::Train,
        Section::Imported,
        Section::Evaluation,
        Section::Slurm,
    ];

    /// A default is written in the form that a suite would have it in, and within its own range.
    #[test]
    fn every_default_can_be_written_and_is_allowed() {
        let mut seen = 0;
        for setting in SECTIONS.iter().flat_map(|section| settings::of(*section)) {
            assert!(!setting.help.is_empty(), "{}", setting.key);
            let values: Vec<fn() -> Result<Value, SuiteError>> = match setting.default {
                Fallback::Value(value) => vec![value],
                Fallback::ByStage(rows) => rows.iter().map(|(_, value)| *value).collect(),
                Fallback::Required | Fallback::Described(_) => Vec::new(),
            };
            for value in values {
                let value = value().expect(setting.key);
                let allowed = fits(setting.kind, &value, &[setting.key.to_owned()]).is_ok();
                assert!(allowed, "{} = {value}", setting.key);
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }

    /// Every number of the table, at its ends and beyond them, in a suite that is read whole.
    #[test]
    fn numbers_are_held_to_the_table_wherever_they_are_given() {
        let demo = crate::catalog::STAGES;
        let read = |set: &str| Suite::parse(demo, "demo", &[set.to_owned()]);
        let mut seen = 0;
        for (at, of) in [
            ("", Section::Suite),
            ("data.", Section::Data),
            ("training.", Section::Stage),
            ("train.rlnet.with.", Section::Stage),
            ("evaluation.", Section::Evaluation),
            ("slurm.", Section::Slurm),
        ] {
            for setting in settings::of(of) {
                let bad: Vec<String> = match setting.kind {
                    Kind::Whole(least, most) => [i128::from(least) - 1]
                        .into_iter()
                        .chain(most.map(|most| i128::from(most) + 1))
                        .map(|whole| whole.to_string())
                        .collect(),
                    Kind::Wholes(least, most) => vec![format!("[{}]", least - 1), format!("[{}]", most + 1)],
                    Kind::Number(bounds) => {
                        let (low, high) = (bounds.least - 1.0, bounds.most + 1.0);
                        [low, high, f64::NAN, f64::INFINITY]
                            .map(|number| toml::Value::from(number).to_string())
                            .to_vec()
                    }
                    Kind::Numbers(bounds) => vec![format!("[0.5, {:?}]", bounds.most + 1.0)],
                    _ => continue,
                };
                for bad in bad {
                    let path = format!("{at}{}", setting.key);
                    let error = read(&format!("{path}={bad}")).expect_err(&path).to_string();
                    let told = error.contains(&format!("{path} is ")) && error.contains("; allowed: ");
                    assert!(told, "{path}={bad}: {error}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 80, "{seen}");
        for fine in [
            "training.lr=1",
            "training.momentum=0.0",
            "training.seed=9223372036854775807",
        ] {
            read(fine).expect(fine);
        }
    }

    #[test]
    fn an_unknown_key_gets_a_suggestion_wherever_it_is_written() {
        let demo = crate::catalog::STAGES;
        for (set, hint) in [
            (
                "titel=x",
                "unknown key titel: no such setting here; did you mean `title`?",
            ),
            (
                "data.tset=7",
                "unknown key data.tset: no such setting here; did you mean `test`?",
            ),
            ("training.lrr=1", "did you mean `lr`?"),
            ("train.rlnet.with.epoch=1", "unknown key train.rlnet.with.epoch: "),
            ("train.rlnet.bugdet=5x", "did you mean `budget`?"),
            ("evaluation.severity=[1]", "did you mean `severities`?"),
            ("slurm.partitoin=gpu", "did you mean `partition`?"),
        ] {
            let error = Suite::parse(demo, "demo", &[set.to_owned()])
                .expect_err(set)
                .to_string();
            assert!(error.contains(hint), "{set}: {error}");
        }
        let text = demo.replacen("with.epochs = 12", "with.epoch = 12", 1);
        let line = 1 + text
            .lines()
            .position(|line| line.contains("with.epoch ="))
            .expect("a line");
        let error = Suite::parse(&text, "mine.toml", &[])
            .expect_err("a typo")
            .to_string();
        let expected = "unknown key train.teacher.with.epoch: no such setting here; did you mean `epochs`?";
        assert_eq!(error, format!("mine.toml:{line}: {expected}"));
    }

    #[test]
    fn a_number_out_of_range_has_its_line_its_key_its_value_and_what_is_allowed() {
        let demo = crate::catalog::STAGES;
        let text = demo.replacen("with.epochs = 12", "with.epochs = 4000000000", 1);
        let line = 1 + text
            .lines()
            .position(|line| line.contains("4000000000"))
            .expect("a line");
        let error = Suite::parse(&text, "mine.toml", &[])
            .expect_err("out of range")
            .to_string();
        assert_eq!(
            error,
            format!(
                "mine.toml:{line}: train.teacher.with.epochs is 4000000000; allowed: a whole number from 1 to 100000"
            )
        );
    }
}
