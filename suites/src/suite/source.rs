//! What a suite was read from, so that a mistake that shows only when it is resolved, or when its
//! network is built, is still reported at the line somebody wrote.

use super::{ConfigError, Span, Suite, span};
use crate::error::SuiteError;
use crate::scale_changes::AtScale;
use toml::{Table, Value};

/// The setting that picks a scale.
pub(super) const SCALE: &str = "scale=";

/// A text, its name, and what was changed in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    pub file: String,
    pub text: String,
    pub sets: Vec<String>,
}

impl Source {
    /// The error about a mistake at a place of this text.
    pub fn error(&self, error: ConfigError) -> SuiteError {
        let line = match error.span {
            Span::Byte(byte) => Some(span::line(&self.text, byte)),
            Span::Key(path) => self.line_of(&path),
        };
        let at = line.map_or(String::new(), |line| format!(":{line}"));
        let with = match self.sets.as_slice() {
            [] => String::new(),
            sets => format!(" with --set {}", sets.join(" --set ")),
        };
        SuiteError::File {
            file: format!("{}{at}{with}", self.file),
            message: error.message,
        }
    }

    /// The scale that was picked.
    fn scale(&self) -> Option<&str> {
        self.sets.iter().rev().find_map(|set| set.strip_prefix(SCALE))
    }

    /// The line of a setting: in the section of the scale that was picked, else in the suite.
    fn line_of(&self, path: &[String]) -> Option<usize> {
        self.scale()
            .and_then(|name| span::line_of(&self.text, &["scale", name], path))
            .or_else(|| span::line_of(&self.text, &[], path))
    }
}

impl Suite {
    /// The scale that this suite was brought to, where one was picked.
    ///
    /// # Errors
    /// As [`AtScale::of`].
    pub fn at_scale(&self) -> Result<Option<AtScale>, SuiteError> {
        let scale = self.source.scale();
        scale.map(|name| AtScale::of(&self.source.text, name)).transpose()
    }

    /// An error at the first of these settings that the suite has, else at the first that it could
    /// have. A stage goes by its name: `train`, `rlnet`, `arch`.
    pub fn wrong_at(&self, settings: &[&[&str]], message: impl Into<String>) -> SuiteError {
        let Source { file, text, sets } = &self.source;
        let table = Self::table(text, file, sets).unwrap_or_default();
        let found = settings.iter().find(|path| has(&table, path));
        let path = found.or(settings.first()).copied().unwrap_or_default();
        self.source.error(ConfigError {
            span: Span::Key(path.iter().map(|key| (*key).to_owned()).collect()),
            message: message.into(),
        })
    }
}

/// Whether a table has a setting.
fn has(table: &Table, path: &[&str]) -> bool {
    let [key, rest @ ..] = path else { return true };
    match (table.get(*key), rest) {
        (None, _) => false,
        (Some(_), []) => true,
        (Some(Value::Table(inner)), rest) => has(inner, rest),
        (Some(Value::Array(items)), [name, rest @ ..]) => items
            .iter()
            .filter_map(Value::as_table)
            .any(|item| item.get("name").and_then(Value::as_str) == Some(*name) && has(item, rest)),
        (Some(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_mistake_is_at_the_narrowest_setting_that_is_there() {
        let demo = crate::catalog::STAGES;
        let line = |part: &str| 1 + demo.lines().position(|line| line.contains(part)).expect(part);
        let at = |sets: &[&str], settings: &[&[&str]]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(demo, "mine.toml", &sets).expect("a suite");
            suite.wrong_at(settings, "why").to_string()
        };
        let arch: &[&[&str]] = &[&["train", "teacher", "arch"], &["network", "arch"]];
        assert_eq!(at(&[], arch), format!("mine.toml:{}: why", line("arch = ")));
        // A setting that is not in the file is at what it would stand in.
        let own = at(&["train.teacher.arch=resnet8-w4"], arch);
        let stage = line("name = \"teacher\"") - 1;
        assert_eq!(
            own,
            format!("mine.toml:{stage} with --set train.teacher.arch=resnet8-w4: why")
        );
    }
}
