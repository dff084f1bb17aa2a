//! What differs between two cells: what was asked, where and how it was computed, and what came out.

use crate::error::{Error, Result};
use rlnet_reports::read_records;
use rlnet_suites::{Branch, CellRecord, CellSpec, Condition, Outcome};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueDifference {
    /// Where: `spec.lr`, `provenance.threads`.
    pub at: String,
    /// The first cell's; JSON's null where it has none.
    pub a: Value,
    /// The second's.
    pub b: Value,
}

/// The leaves in which two values differ.
pub fn differences(a: &Value, b: &Value) -> Vec<ValueDifference> {
    let mut found = Vec::new();
    walk("", a, b, &mut found);
    found
}

fn walk(at: &str, a: &Value, b: &Value, found: &mut Vec<ValueDifference>) {
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let place = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                let of =
                    |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                walk(&place, &of(left), &of(right), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(ValueDifference {
            at: at.to_owned(),
            a: a.clone(),
            b: b.clone(),
        }),
    }
}

/// Outcome rows of one condition and branch, side by side.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RowComparison {
    /// Images in both cells.
    pub images: usize,
    /// Those that are right.
    pub right: [usize; 2],
    /// Images with another prediction.
    pub predictions: usize,
    /// Images any of whose numbers differs.
    pub rows: usize,
}

/// A finished cell as it lies on the disk: its folder, or a run directory and a cell's name or id
/// (`out/demo:rlnet/fog`).
///
/// # Errors
/// When there is no such cell, or its record cannot be read.
pub fn open(text: &str) -> Result<(PathBuf, CellRecord)> {
    let folder = match (Path::new(text).join("cell.json").exists(), in_run(text)) {
        (false, Some((run, name))) => named(Path::new(run), name)?,
        _ => PathBuf::from(text),
    };
    let path = folder.join("cell.json");
    let bytes = fs::read(&path).map_err(|error| {
        Error::reading(
            &path,
            format!("{error}; name a cell's folder, or RUN:NAME as out/demo:rlnet/fog"),
        )
    })?;
    let record = serde_json::from_slice(&bytes).map_err(|error| Error::reading(&path, error))?;
    Ok((folder, record))
}

/// The run directory and the name in `RUN:NAME`, where there is such a run.
pub fn in_run(text: &str) -> Option<(&str, &str)> {
    // Names of attacks have colons of their own, and so may folders.
    text.match_indices(':')
        .map(|(at, _)| (&text[..at], &text[at + 1..]))
        .find(|(run, _)| Path::new(run).join("plan.json").exists())
}

fn named(run: &Path, name: &str) -> Result<PathBuf> {
    let path = run.join("plan.json");
    let bytes = fs::read(&path).map_err(|error| Error::reading(&path, error))?;
    let plan: rlnet_suites::Plan =
        serde_json::from_slice(&bytes).map_err(|error| Error::reading(&path, error))?;
    let found = plan
        .cells
        .iter()
        .find(|cell| cell.name == name || cell.id.0 == name);
    let cell = found.ok_or_else(|| {
        let names = plan.cells.iter().map(|cell| cell.name.as_str());
        let hint = rlnet_suites::error::suggest(name, names);
        Error::Missing(format!("{} has no cell {name}; {hint}", run.display()))
    })?;
    let folder = run.join("cells").join(&cell.id.0);
    if !folder.join("cell.json").exists() {
        return Err(Error::Missing(format!(
            "{}: its cell {name} ({}) is planned and not done; run it first",
            run.display(),
            cell.id
        )));
    }
    Ok(folder)
}

/// Compares the rows of two evaluation cells, for the conditions that both have.
///
/// # Errors
/// When the rows of one cannot be read.
pub fn outcomes(
    a: &(PathBuf, CellRecord),
    b: &(PathBuf, CellRecord),
) -> Result<BTreeMap<(Condition, Branch), RowComparison>> {
    let evaluated = |cell: &(PathBuf, CellRecord)| matches!(cell.1.cell.spec, CellSpec::Evaluate(_));
    if !evaluated(a) || !evaluated(b) {
        return Ok(BTreeMap::new());
    }
    let rows = |(folder, _): &(PathBuf, CellRecord)| {
        let rows: Vec<Outcome> = read_records(&folder.join("outcomes.parquet"))?;
        let keyed = rows
            .into_iter()
            .map(|row| ((row.condition.clone(), row.branch, row.image), row));
        Ok::<_, Error>(keyed.collect::<BTreeMap<_, Outcome>>())
    };
    let (a, b) = (rows(a)?, rows(b)?);
    let mut sides: BTreeMap<(Condition, Branch), RowComparison> = BTreeMap::new();
    for ((condition, branch, image), left) in &a {
        let Some(right) = b.get(&(condition.clone(), *branch, *image)) else {
            continue;
        };
        let side = sides.entry((condition.clone(), *branch)).or_default();
        side.images += 1;
        side.right[0] += usize::from(left.prediction == left.label);
        side.right[1] += usize::from(right.prediction == right.label);
        side.predictions += usize::from(left.prediction != right.prediction);
        side.rows += usize::from(left != right);
    }
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_that_differ_are_named_by_their_path() {
        let a = json!({"spec": {"lr": 0.1, "seed": 0}, "same": [1, 2]});
        let b = json!({"spec": {"lr": 0.2, "seed": 0, "new": true}, "same": [1, 2]});
        let found = differences(&a, &b);
        let places: Vec<&str> = found.iter().map(|one| one.at.as_str()).collect();
        assert_eq!(places, ["spec.lr", "spec.new"]);
        assert_eq!((&found[1].a, &found[1].b), (&Value::Null, &json!(true)));
        assert!(differences(&a, &a).is_empty());
    }
}
