//! A series of nights: every run of a folder adds its numbers to one Parquet file, which stays
//! when the runs are gone; steps in each number are found and drawn.

use crate::analysis::Analysis;
use crate::columns::{columns, read_records, write_records};
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::files;
use crate::format;
use crate::metrics::steps::{Segment, segments};
use crate::metrics::{BranchPolicy, Estimate, Quantity};
use crate::runs::Runs;
use crate::tables::markdown;
use rlnet_suites::Condition;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The series' file.
pub const FILE: &str = "history.parquet";

/// What to do about a damaged series.
const CURE: &str = "put a copy of it in its place, or move it away: the nights whose folders are there are then \
                    added anew, those that were deleted are lost with it";

/// One number of one night.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// The run's folder.
    pub night: String,
    /// When its first cell started, seconds since 1970.
    pub started: u64,
    /// Commit of the program that evaluated.
    pub commit: String,
    /// The model.
    pub model: String,
    /// How it is read.
    pub policy: String,
    /// `CA`, `NPA` (with its conditions where these are not the whole benchmark), `AdvA` with its
    /// attack, or an attack.
    pub measure: String,
    /// The share.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Images behind it.
    pub images: u64,
    /// What it was measured on, in full: images, their data, and the attack with all its parameters.
    /// Series of earlier versions do not say it.
    pub set: String,
}

/// A number over all nights, oldest first, with its segments.
#[derive(Debug, Clone)]
pub struct NumberHistory {
    /// Model, reading and measure.
    pub name: String,
    /// The nights.
    pub points: Vec<HistoryRow>,
    /// Stretches of equal level.
    pub segments: Vec<Segment>,
}

/// A series brought up to date.
#[derive(Debug, Clone)]
pub struct History {
    /// Every number's line.
    pub lines: Vec<NumberHistory>,
    /// Nights added now.
    pub added: Vec<String>,
    /// Folders that were left out, with the reason.
    pub left_out: Vec<String>,
}

/// Adds the runs in a folder's sub-folders to its series, and looks for steps.
///
/// # Errors
/// When the folder or the series cannot be read, or the series cannot be written.
pub fn update(dir: &Path) -> Result<History, ReportError> {
    let file = dir.join(FILE);
    let mut points: Vec<HistoryRow> = if file.is_file() {
        read_records(&file)?
    } else {
        Vec::new()
    };
    let (mut added, mut left_out) = (Vec::new(), Vec::new());
    for folder in runs(dir)? {
        let night = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if points.iter().any(|point| point.night == night) {
            continue;
        }
        match numbers(&folder, &night) {
            Ok(new) if new.is_empty() => left_out.push(format!("{night}: nothing is finished")),
            Ok(new) => {
                points.extend(new);
                added.push(night);
            }
            // One damaged night must not hide the others.
            Err(error) => left_out.push(format!("{night}: {error}")),
        }
    }
    if points.is_empty() {
        return Err(ReportError::Unfit {
            what: dir.display().to_string(),
            message: "it holds no series and no finished run; put run folders into it".into(),
        });
    }
    points.sort_by(|a, b| (a.started, &a.night).cmp(&(b.started, &b.night)));
    if !added.is_empty() {
        write_records(&file, &points)?;
    }
    Ok(History {
        lines: lines(points),
        added,
        left_out,
    })
}

impl History {
    /// Every step, in words, latest first.
    pub fn steps(&self) -> Vec<String> {
        let mut steps: Vec<(u64, String)> = Vec::new();
        for line in &self.lines {
            for pair in line.segments.windows(2) {
                let at = &line.points[pair[1].start];
                let commit = if at.commit.is_empty() {
                    String::new()
                } else {
                    format!(", commit {}", at.commit)
                };
                let said = format!(
                    "{}: {} % to {} % ({} points) from {}{commit}",
                    line.name,
                    format::percent(pair[0].level),
                    format::percent(pair[1].level),
                    format::points(pair[1].level - pair[0].level),
                    at.night
                );
                steps.push((at.started, said));
            }
        }
        steps.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        steps.into_iter().map(|(_, said)| said).collect()
    }

    /// Markdown summary: the latest level of every number, and every step.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| Number | Nights | Latest (%) | Level (%) | Since |\n| ------ | -----: | ---------: | --------: | ----- |\n",
        );
        for line in &self.lines {
            if let (Some(last), Some(segment)) = (line.points.last(), line.segments.last()) {
                text.push_str(&format!(
                    "| {} | {} | {} [{}, {}] | {} | {} |\n",
                    markdown::escape(&line.name),
                    line.points.len(),
                    format::percent(last.value),
                    format::percent(last.low),
                    format::percent(last.high),
                    format::percent(segment.level),
                    markdown::escape(&line.points[segment.start].night)
                ));
            }
        }
        let steps = self.steps();
        text.push_str(if steps.is_empty() {
            "\nNo steps.\n"
        } else {
            "\nSteps:\n\n"
        });
        for step in steps {
            text.push_str(&format!("- {}\n", markdown::escape(&step)));
        }
        text
    }

    /// Draws the series into `dir/history.svg` and `dir/history.png`.
    ///
    /// # Errors
    /// When drawing fails or a file cannot be written.
    pub fn draw(&self, dir: &Path) -> Result<Vec<PathBuf>, ReportError> {
        let figure: Figure = figures::history(&self.lines)?;
        let png = dir.join("history.png");
        files::write_atomic(&png, &figure.png)?;
        let mut written = vec![png];
        if let Some(svg) = figure.standalone() {
            let path = dir.join("history.svg");
            files::write_atomic(&path, svg.as_bytes())?;
            written.insert(0, path);
        }
        Ok(written)
    }
}

/// Sub-folders that are runs, by name.
fn runs(dir: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let entries = std::fs::read_dir(dir).map_err(|source| ReportError::io("read", dir, source))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.join("plan.json").is_file())
        .collect();
    found.sort();
    Ok(found)
}

/// The numbers of one run.
fn numbers(folder: &Path, night: &str) -> Result<Vec<HistoryRow>, ReportError> {
    let analysis = Analysis::of(Runs::load(&[folder.to_owned()])?)?;
    let records = analysis.runs.records();
    let started = records.iter().map(|(_, record)| record.provenance.started).min();
    let latest = records.iter().max_by_key(|(_, record)| record.provenance.started);
    let commit = latest.map_or_else(String::new, |(_, record)| record.provenance.commit.clone());
    let attacks = analysis.runs.attacks();
    let data = analysis.runs.runs.iter().find_map(|run| run.plan.images());
    let data = data.map_or("", |data| data.checksum.as_str());
    let mut points = Vec::new();
    for triple in &analysis.triples {
        let trainings = match analysis.trainings(&triple.model) {
            0 | 1 => String::new(),
            several => format!(", {several} trainings"),
        };
        let mut add = |measure: String, quantity: &Quantity, estimate: &Estimate| {
            let on = analysis.columns.set(quantity);
            let on = on.map(|on| {
                format!(
                    "{}, images {} of data {data}{trainings}",
                    on.said(),
                    on.positions()
                )
            });
            points.push(HistoryRow {
                set: on.unwrap_or_default(),
                night: night.to_owned(),
                started: started.unwrap_or_default(),
                commit: commit.clone(),
                model: triple.model.clone(),
                policy: triple.policy.label(),
                measure,
                value: estimate.value,
                low: estimate.low,
                high: estimate.high,
                images: estimate.images,
            });
        };
        // A number over other conditions is another number, with a line of its own.
        let npa = match analysis.columns.set(&Quantity::Npa) {
            Some(set) if !set.is_whole_benchmark() => format!("NPA over {}", set.said()),
            _ => "NPA".to_owned(),
        };
        let mut known = vec![
            ("CA".to_owned(), Quantity::Accuracy(Condition::Clean), &triple.ca),
            (npa, Quantity::Npa, &triple.natural.npa),
        ];
        if let Some(attack) = &analysis.runs.headline {
            let name = format!("AdvA ({})", analysis.names.get(attack));
            let quantity = Quantity::Accuracy(Condition::Attack(attack.clone()));
            known.push((name, quantity, &triple.adva));
        }
        for (name, quantity, known) in known {
            if let Ok(estimate) = known {
                add(name, &quantity, estimate);
            }
        }
        let Some(model) = analysis.runs.model(&triple.model) else {
            continue;
        };
        if triple.policy == BranchPolicy::Oracle {
            continue;
        }
        for attack in attacks
            .iter()
            .filter(|attack| Some(*attack) != analysis.runs.headline.as_ref())
        {
            let condition = Condition::Attack(attack.clone());
            if let Ok(estimate) = analysis.tally.accuracy(model, triple.policy, &condition) {
                add(
                    analysis.names.get(attack),
                    &Quantity::Accuracy(condition),
                    &estimate,
                );
            }
        }
    }
    Ok(points)
}

/// The lines: one for each number and each set that it was measured on. Nights of earlier versions, which
/// do not say their set, belong to the one set of their number and count, where there is one.
fn lines(points: Vec<HistoryRow>) -> Vec<NumberHistory> {
    let name = |point: &HistoryRow| format!("{}, {}, {}", point.model, point.policy, point.measure);
    let mut sets: BTreeMap<String, BTreeMap<u64, BTreeSet<String>>> = BTreeMap::new();
    for point in &points {
        let counts = sets.entry(name(point)).or_default();
        let known = counts.entry(point.images).or_default();
        known.extend(Some(point.set.clone()).filter(|set| !set.is_empty()));
    }
    let mut groups: BTreeMap<String, Vec<HistoryRow>> = BTreeMap::new();
    for point in points {
        let counts = &sets[&name(&point)];
        let on = match counts.len() {
            1 => String::new(),
            _ => format!(" on {} images", point.images),
        };
        let which = match (counts[&point.images].len(), point.set.as_str()) {
            (0 | 1, _) => String::new(),
            (_, "") => " (what on is not recorded)".to_owned(),
            (_, set) => format!(" ({set})"),
        };
        let name = format!("{}{on}{which}", name(&point));
        groups.entry(name).or_default().push(point);
    }
    let line = |(name, points): (String, Vec<HistoryRow>)| {
        let values: Vec<f64> = points.iter().map(|point| point.value).collect();
        let images = points.iter().map(|point| point.images).max().unwrap_or(1);
        NumberHistory {
            name,
            segments: segments(&values, 1.0 / images.max(1) as f64),
            points,
        }
    };
    groups.into_iter().map(line).collect()
}

columns! { impl for HistoryRow, "a history", CURE;
    night: String,
    started: u64,
    commit: String,
    model: String,
    policy as "reading": String,
    measure: String,
    value: f64,
    low: f64,
    high: f64,
    images: u64,
    set: String = String::new(),
}
