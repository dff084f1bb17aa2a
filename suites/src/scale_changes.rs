//! What a scale changed in a suite, in words: a report of a smoke run must not be taken for the suite's own.

use crate::attack::AttackSpec;
use crate::error::SuiteError;
use crate::scale::{self, Scale};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Changes of one setting that are written out.
const MOST: usize = 4;

/// The scale that a suite was brought to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtScale {
    /// Its name.
    pub name: String,
    /// What it is for; empty where the suite alone has it.
    pub title: String,
    /// Each setting that is another one, `epochs 240 -> 1`.
    pub changes: Vec<String>,
}

impl AtScale {
    /// What the scale `name` changes in the text of a suite.
    ///
    /// # Errors
    /// As [`scale::apply`].
    pub fn of(text: &str, name: &str) -> Result<Self, SuiteError> {
        let parsed: Result<Table, _> = toml::from_str(text);
        let before = parsed.unwrap_or_default();
        let mut after = before.clone();
        scale::apply(&mut after, name)?;
        let mut found = Found::default();
        for (key, value) in &after {
            if !["scale", "title", "description", "gpu_hours"].contains(&key.as_str()) {
                found.compare(key, before.get(key), value);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            title: Scale::find(name)?.map_or(String::new(), |scale| scale.title),
            changes: found.0.into_iter().map(Change::said).collect(),
        })
    }

    /// A report's title, with the scale where there is one.
    pub fn title(scale: Option<&Self>, title: &str) -> String {
        match scale {
            Some(scale) => format!("{title} (scale {})", scale.name),
            None => title.to_owned(),
        }
    }

    /// Two sentences: what the scale is for, and what it changed.
    pub fn said(&self) -> String {
        let title = match self.title.as_str() {
            "" => String::new(),
            title => format!(" ({title})"),
        };
        match self.changes.is_empty() {
            true => format!("Scale {}{title}: it changed nothing.", self.name),
            false => format!(
                "Scale {}{title}. It changed: {}.",
                self.name,
                self.changes.join("; ")
            ),
        }
    }
}

/// A setting, whatever stage it is of, and each pair of its old value and its new one.
struct Change {
    setting: String,
    values: Vec<String>,
}

impl Change {
    fn said(self) -> String {
        let shown = self.values[..self.values.len().min(MOST)].join(", ");
        let more = match self.values.len() - self.values.len().min(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{} {shown}{more}", self.setting)
    }
}

#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn compare(&mut self, key: &str, before: Option<&Value>, after: &Value) {
        match (before, after) {
            (Some(before), after) if before == after => {}
            (before, Value::Table(after)) => {
                for (key, value) in after {
                    let before = before.and_then(|before| match before {
                        Value::Table(table) => table.get(key),
                        // An attack that is made on all images is written as its name alone.
                        name => Some(name).filter(|_| key == "attack"),
                    });
                    self.compare(key, before, value);
                }
            }
            // Stages, by their names.
            (Some(Value::Array(before)), Value::Array(after)) if key == "train" => {
                let name = |stage: &Value| stage.get("name").cloned();
                for stage in after {
                    let before = before.iter().find(|before| name(before) == name(stage));
                    self.compare(key, before, stage);
                }
            }
            (Some(Value::Array(before)), Value::Array(after)) if before.len() == after.len() => {
                for (before, after) in before.iter().zip(after) {
                    self.compare(key, Some(before), after);
                }
            }
            (before, after) => self.add(key, before, after),
        }
    }

    fn add(&mut self, key: &str, before: Option<&Value>, after: &Value) {
        if let Some((before, after)) = before.and_then(|before| Some((attack(before)?, attack(after)?)))
            && before.name() == after.name()
        {
            return self.add_attack(key, &before, &after);
        }
        let new = match before {
            // A list that was not there.
            None if after.as_array().is_some_and(Vec::is_empty) => return,
            Some(before) => format!("{} -> {}", text(before), text(after)),
            None => text(after),
        };
        self.add_text(key, new);
    }

    /// Parameters of an attack: one that is written out is no other.
    fn add_attack(&mut self, key: &str, before: &AttackSpec, after: &AttackSpec) {
        for (parameter, value) in after.params() {
            if let Some(old) = before.params().get(parameter).filter(|old| *old != value) {
                self.add_text(key, format!("{} {parameter} {old} -> {value}", after.name()));
            }
        }
    }

    fn add_text(&mut self, key: &str, new: String) {
        match self.0.iter_mut().find(|change| change.setting == key) {
            Some(known) if known.values.contains(&new) => {}
            Some(known) => known.values.push(new),
            None => self.0.push(Change {
                setting: key.to_owned(),
                values: vec![new],
            }),
        }
    }
}

/// The attack that a value is.
fn attack(value: &Value) -> Option<AttackSpec> {
    let written = match value {
        Value::Table(table) => table.get("attack")?,
        other => other,
    };
    written.as_str()?.parse().ok()
}

/// A value as people write it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() > MOST => format!("{} of them", items.len()),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" and "),
        Value::Table(table) => table.get("attack").map_or_else(|| table.to_string(), text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{self, CATALOGUE};
    use crate::scale::SCALES;

    #[test]
    fn what_a_scale_changed_is_said_once_each() {
        let text = catalog::find("paper-cifar10").expect("a suite");
        let said = AtScale::of(text, "smoke").expect("a scale").said();
        assert!(
            said.contains("pgd steps 20 -> 3") && !said.contains("alpha"),
            "{said}"
        );
        for part in [
            "Scale smoke (does it run?",
            "dataset cifar10 -> shapes",
            "test 16",
            "resnet18 -> resnet8-w4",
            "epochs",
            "corruptions",
        ] {
            assert_eq!(said.matches(part).count(), 1, "{part}: {said}");
        }
        assert!(!said.contains("description"), "{said}");
        // What lies below every ceiling is not changed, and every suite can say it of every scale.
        let text = catalog::find("cifar10-small").expect("a suite");
        let small = AtScale::of(text, "small").expect("a scale");
        assert!(small.said().len() < 400, "{}", small.said());
        for (name, text) in CATALOGUE {
            for (scale, _) in SCALES {
                let said = AtScale::of(text, scale).expect(name).said();
                assert!(said.len() < 2500, "{name} {scale}: {said}");
            }
        }
    }
}
