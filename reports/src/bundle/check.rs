//! What is checked of a bundle without its models and without its data set.

use super::{Bundle, MANIFEST, draw, examples, rows, rules, stated};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::files;
use crate::format::{self, count};
use crate::run::Run;
use crate::runs::Runs;
use rlnet_suites::division;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something is wrong.
    Finding,
    /// It could not be looked at here.
    NotChecked,
}

impl Verdict {
    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Finding => "FINDING",
            Self::NotChecked => "not checked",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at: `files`, `rows`, `ball`, ...
    pub what: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen, or why nothing was.
    pub detail: String,
}

/// Findings that are written out, at most; the others are counted.
const SHOWN: usize = 4;

impl Check {
    /// Passed where nothing was found; `looked` says at what.
    pub fn of(what: &str, found: &[String], looked: impl Into<String>) -> Self {
        let detail = match found.len() {
            0 => looked.into(),
            n if n > SHOWN => format!("{}; and {} more", found[..SHOWN].join("; "), n - SHOWN),
            _ => found.join("; "),
        };
        let verdict = if found.is_empty() {
            Verdict::Ok
        } else {
            Verdict::Finding
        };
        Self {
            what: what.to_owned(),
            verdict,
            detail,
        }
    }

    /// Not looked at.
    pub fn skipped(what: &str, why: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            verdict: Verdict::NotChecked,
            detail: why.into(),
        }
    }
}

/// What was found, and the numbers, where they can be had.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// In the order of the table.
    pub checks: Vec<Check>,
    /// What the rows say; nothing where they cannot be read.
    pub analysis: Option<Analysis>,
}

/// Checks an unpacked bundle as far as its own files go.
///
/// # Errors
/// When a defect of this program keeps it from being looked at.
pub fn inspect(bundle: &Bundle) -> Result<Inspection, ReportError> {
    let listed = format!(
        "{} files with the checksums of {MANIFEST}",
        bundle.manifest.files.len()
    );
    let mut checks = vec![Check::of("files", &bundle.faults, listed)];
    let division = division::find(&bundle.manifest.division);
    let loaded = Runs::load(std::slice::from_ref(&bundle.folder)).and_then(|runs| {
        let rows = rows::contradictions(&runs.runs[0])?;
        Ok((runs, rows))
    });
    let (runs, (contradictions, known)) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let folder = format!("{}/", bundle.folder.display());
            checks.push(Check::of("rows", &[error.to_string().replace(&folder, "")], ""));
            for what in ["cells", "tables", "draw", "division"] {
                checks.push(Check::skipped(what, "the rows cannot be read"));
            }
            return Ok(Inspection {
                checks,
                analysis: None,
            });
        }
    };
    let run = &runs.runs[0];
    let looked = format!(
        "{} rows, as planned, each once, none that contradicts another",
        format::thousands(known.rows as u64)
    );
    checks.push(Check::of("rows", &contradictions, looked));
    checks.push(identities(run));
    let sample = sample(bundle, run)?;
    let analysis = Analysis::of(runs.clone())?;
    checks.push(tables(bundle, &analysis)?);
    checks.push(sample);
    checks.push(match division {
        Ok(division) => Check::of(
            "division",
            &rules::broken(division, bundle, run),
            format!("{}: {}", division.name, division.title),
        ),
        Err(error) => Check::of("division", &[error.to_string()], ""),
    });
    Ok(Inspection {
        checks,
        analysis: Some(analysis),
    })
}

/// Every cell is what its identity was made from, in the plan and in its record.
fn identities(run: &Run) -> Check {
    let recorded = run.records.iter().map(|record| &record.cell);
    let wrong = run
        .plan
        .cells
        .iter()
        .chain(recorded)
        .filter(|cell| !cell.is_itself());
    let wrong: Vec<String> = wrong
        .map(|cell| {
            format!(
                "{}: its settings are not those that its identity {} was made from",
                cell.name, cell.id
            )
        })
        .collect();
    Check::of(
        "cells",
        &wrong,
        format!(
            "{} cells with the settings of their identities",
            run.plan.cells.len()
        ),
    )
}

/// Every stated number is what the rows say.
fn tables(bundle: &Bundle, analysis: &Analysis) -> Result<Check, ReportError> {
    let computed = stated::claims(analysis);
    let (mut found, mut count) = (Vec::new(), 0);
    let stated = |name: &&String| name.starts_with("tables/") || name.starts_with("cards/");
    for name in bundle.manifest.files.keys().filter(stated) {
        let path = bundle.path(name);
        if !path.is_file() {
            continue;
        }
        match serde_json::from_slice::<Value>(&files::read(&path)?) {
            Ok(own) => {
                let (differ, compared) = stated::differences(name, &own, computed.get(name));
                found.extend(differ);
                count += compared;
            }
            Err(error) => found.push(format!("{name}: {error}")),
        }
    }
    if count == 0 && found.is_empty() {
        found.push("the bundle states no numbers".to_owned());
    }
    Ok(Check::of(
        "tables",
        &found,
        format!("{count} stated numbers, recomputed from the rows"),
    ))
}

/// The shown images are those that the draw gives, and every attack shows its own.
fn sample(bundle: &Bundle, run: &Run) -> Result<Check, ReportError> {
    let shown = &bundle.manifest.sample.images;
    let drawn = draw::draw(run, shown.len())?;
    let mut found = Vec::new();
    if shown.is_empty() {
        found.push("no image is shown".to_owned());
    }
    if drawn != *shown {
        found.push("the images shown are not those that the rows' checksums draw".to_owned());
    }
    let mut attacks = 0;
    for record in draw::attacked(run) {
        attacks += 1;
        if !bundle.manifest.files.contains_key(&examples(&record.cell.id)) {
            found.push(format!("{} shows no adversarial example", record.cell.name));
        }
    }
    Ok(Check::of(
        "draw",
        &found,
        format!(
            "{} of {}, drawn by the rows' checksums",
            count(shown.len(), "image"),
            count(attacks, "attack"),
        ),
    ))
}
