//! Where each setting of a suite comes from, and what it means.

use crate::cell::CellSpec;
use crate::error::SuiteError;
use crate::plan::PlanContext;
use crate::settings::{self, Section};
use crate::suite::Suite;
use serde_json::Value;
use toml::Table;

/// One setting, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Its key.
    pub key: &'static str,
    /// Its value, as in a cell's specification; of one that was left out, its default in words.
    pub value: String,
    /// Who says so: `with`, `[training]`, `[network]`, `mode`, `the stage`, `the suite`, `inherited`
    /// (from the stage it builds on), or `default`.
    pub from: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// Settings that a mode stands for.
const PARTS: [&str; 6] = ["gamma", "alpha", "beta", "attention", "inner", "trades"];

/// Every setting of a suite, stage by stage and then of its evaluation, by headings.
///
/// # Errors
/// When the suite cannot be read.
pub fn explain(text: &str, file: &str, sets: &[String]) -> Result<Vec<(String, Vec<Explained>)>, SuiteError> {
    let suite = Suite::parse(text, file, sets)?;
    let table = Suite::table(text, file, sets)?;
    // Ids differ from a run's; the settings do not.
    let plan = suite.plan(&PlanContext::unread(&suite))?;
    let inner = |key: &str| table.get(key).and_then(toml::Value::as_table);
    let (training, network) = (inner("training"), inner("network"));
    let mut all = Vec::new();
    for stage in table
        .get("train")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some(stage) = stage.as_table() else { continue };
        let name = stage
            .get("name")
            .and_then(toml::Value::as_str)
            .unwrap_or_default();
        let Some(CellSpec::Train(spec)) = plan
            .cells
            .iter()
            .find(|cell| cell.name == name)
            .map(|cell| &cell.spec)
        else {
            continue;
        };
        let resolved = serde_json::to_value(spec).unwrap_or_default();
        let own = stage.get("with").and_then(toml::Value::as_table);
        let builds = written(Some(stage), "teacher") || written(Some(stage), "mask");
        let mut lines = Vec::new();
        for setting in
            settings::of(Section::Train).filter(|setting| !["name", "stage", "with"].contains(&setting.key))
        {
            let written = written(Some(stage), setting.key);
            // A budget, a teacher and a mask are stages' own; the rest is inherited.
            if !written && !["views", "norm", "arch", "allocation"].contains(&setting.key) {
                continue;
            }
            lines.push(Explained {
                key: setting.key,
                value: value(&resolved, Some(stage), setting.key, setting.default),
                from: match setting.key {
                    _ if written => "the stage",
                    "arch" | "norm" | "views" if builds => "inherited",
                    key if self::written(network, key) => "[network]",
                    _ => "default",
                },
                help: setting.help,
            });
        }
        for setting in settings::of(Section::Stage) {
            let key = setting.key;
            let moded = |table| PARTS.contains(&key) && written(table, "mode");
            let (from, source) = match () {
                () if written(own, key) => ("with", own),
                () if moded(own) => ("mode", None),
                () if written(training, key) => ("[training]", training),
                () if moded(training) => ("mode", None),
                () => ("default", None),
            };
            lines.push(Explained {
                key,
                value: value(&resolved, source, key, setting.default),
                from,
                help: setting.help,
            });
        }
        all.push((format!("train {name} ({})", spec.stage.name()), lines));
    }
    for (section, heading) in [(Section::Data, "data"), (Section::Evaluation, "evaluation")] {
        let table = inner(heading);
        let lines = settings::of(section).map(|setting| {
            let written = written(table, setting.key);
            Explained {
                key: setting.key,
                value: value(&Value::Null, table, setting.key, setting.default),
                from: if written { "the suite" } else { "default" },
                help: setting.help,
            }
        });
        all.push((heading.to_owned(), lines.collect()));
    }
    Ok(all)
}

fn written(table: Option<&Table>, key: &str) -> bool {
    table.is_some_and(|table| table.contains_key(key))
}

/// A value as it was resolved; else as it was written; else its default.
fn value(resolved: &Value, written: Option<&Table>, key: &str, default: &str) -> String {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            items.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    if let Some(value) = resolved.get(key).filter(|value| !value.is_null()) {
        return shown(value);
    }
    let written = written.and_then(|table| table.get(key));
    let written = written.and_then(|value| serde_json::to_value(value).ok());
    written.map_or_else(|| default.to_owned(), |value| shown(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn explained(sets: &[&str]) -> BTreeMap<(String, &'static str), Explained> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text = crate::catalog::find("demo").expect("demo");
        let all = explain(text, "demo", &sets).expect("explained");
        let lines = all.into_iter().flat_map(|(heading, lines)| {
            lines
                .into_iter()
                .map(move |line| ((heading.clone(), line.key), line))
        });
        lines.collect()
    }

    #[test]
    fn each_value_is_the_cells_own_and_says_who_set_it() {
        let all = explained(&["train.rlnet.with.mode=rslad+attn", "training.gamma=0.25"]);
        let line = |stage: &str, key: &'static str| {
            let line = &all[&(stage.to_owned(), key)];
            (line.value.as_str(), line.from)
        };
        assert_eq!(line("train rlnet (student)", "epochs"), ("9", "with"));
        assert_eq!(line("train rlnet (student)", "batch"), ("32", "[training]"));
        // Its own mode comes before what all stages share.
        assert_eq!(line("train rlnet (student)", "gamma"), ("0.0", "mode"));
        assert_eq!(line("train teacher (teacher)", "gamma"), ("0.25", "[training]"));
        assert_eq!(line("train rlnet (student)", "momentum"), ("0.9", "default"));
        assert_eq!(
            line("train rlnet (student)", "views"),
            ("clean, augmix, adversarial", "inherited")
        );
        assert_eq!(line("train teacher (teacher)", "views").1, "default");
        assert_eq!(
            line("train teacher (teacher)", "arch"),
            ("resnet8-w8", "[network]")
        );
        assert_eq!(
            line("train senet-teacher (teacher)", "norm"),
            ("single", "the stage")
        );
        assert_eq!(line("train mask (mask)", "budget"), ("5x", "the stage"));
        assert_eq!(line("evaluation", "severities"), ("1, 3, 5", "the suite"));
        assert_eq!(line("data", "validation"), ("0.1", "default"));
        assert!(all.values().all(|line| !line.help.is_empty()));
    }
}
