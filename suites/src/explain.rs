//! Where each setting of a suite comes from, and what it means.

use crate::cell::Cell;
use crate::error::SuiteError;
use crate::plan::PlanContext;
use crate::settings::{self, Section, Setting};
use crate::suite::Suite;
use crate::train::TrainSpec;
use serde::Serialize;
use toml::{Table, Value};

/// One setting, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    let mut all = Vec::new();
    let stages = table.get("train").and_then(Value::as_array).into_iter().flatten();
    for stage in stages.filter_map(Value::as_table) {
        let name = stage.get("name").and_then(Value::as_str).unwrap_or_default();
        let cell = plan.cells.iter().find(|cell| cell.name == name);
        if let Some(spec) = cell.and_then(Cell::trained) {
            all.push((
                format!("train {name} ({})", spec.stage.name()),
                explain_stage(spec, stage, &table)?,
            ));
        }
    }
    for (section, heading) in [(Section::Data, "data"), (Section::Evaluation, "evaluation")] {
        let table = inner(&table, heading);
        let lines = settings::of(section).iter().map(|setting| {
            let written = table.and_then(|table| table.get(setting.key));
            let from = if written.is_some() { "the suite" } else { "default" };
            line(setting, written, from)
        });
        all.push((heading.to_owned(), lines.collect()));
    }
    Ok(all)
}

/// The settings of a stage: those of `[[train]]` that it has or inherits, then the others.
fn explain_stage(spec: &TrainSpec, stage: &Table, suite: &Table) -> Result<Vec<Explained>, SuiteError> {
    let (training, network) = (inner(suite, "training"), inner(suite, "network"));
    let resolved = Value::try_from(spec)
        .ok()
        .and_then(|value| value.as_table().cloned())
        .unwrap_or_default();
    let builds = stage.contains_key("teacher") || stage.contains_key("mask");
    let mut lines = Vec::new();
    for setting in settings::of(Section::Train) {
        let (key, written) = (setting.key, stage.contains_key(setting.key));
        // A budget, a teacher and a mask are stages' own; the rest is inherited.
        let inherited = ["views", "norm", "arch", "allocation"].contains(&key);
        if ["name", "stage", "with"].contains(&key) || !(written || inherited) {
            continue;
        }
        let from = match key {
            _ if written => "the stage",
            "arch" | "norm" | "views" if builds => "inherited",
            _ if has(network, key) => "[network]",
            _ => "default",
        };
        lines.push(line(setting, resolved.get(key).or(stage.get(key)), from));
    }
    let resolved = spec.settings()?;
    let own = inner(stage, "with");
    for setting in settings::of(Section::Stage) {
        let key = setting.key;
        let by_mode = |table| PARTS.contains(&key) && has(table, "mode");
        let (from, section) = if has(own, key) {
            ("with", own)
        } else if by_mode(own) {
            ("mode", None)
        } else if has(training, key) {
            ("[training]", training)
        } else if by_mode(training) {
            ("mode", None)
        } else {
            ("default", None)
        };
        let written = section.and_then(|table| table.get(key));
        lines.push(line(setting, resolved.get(key).or(written), from));
    }
    Ok(lines)
}

fn line(setting: &Setting, value: Option<&Value>, from: &'static str) -> Explained {
    Explained {
        key: setting.key,
        value: value.map_or_else(|| setting.default.to_string(), settings::shown),
        from,
        help: setting.help,
    }
}

fn inner<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    table.get(key).and_then(Value::as_table)
}

fn has(table: Option<&Table>, key: &str) -> bool {
    table.is_some_and(|table| table.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn explained(sets: &[&str]) -> BTreeMap<(String, &'static str), Explained> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text = crate::catalog::STAGES;
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
