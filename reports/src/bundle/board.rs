//! A board: the models of many bundles beside each other, as far as they were measured alike.
//!
//! Bundles are grouped by what they measured (the test images, the main attack), and ranked within a group by robust
//! accuracy where the attacker chooses the branch. A rank is one plus the number of models that are better beyond
//! chance; models that cannot be told apart share a range of ranks.

use super::board_page;
use super::{Audit, Bundle, Inspection, Verdict, audit_file};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::format;
use crate::metrics::BranchPolicy;
use crate::metrics::accuracy_count::by_image;
use crate::metrics::compare::LEVEL;
use crate::metrics::measured_on::Quantity;
use crate::metrics::paired_tests::{McNemar, holm};
use crate::runs::Runs;
use crate::tables::private::online_bytes;
use crate::tables::{Cell, Column, Kind, Table, Value};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::{Condition, Literature};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The reading that is ranked.
const READING: BranchPolicy = BranchPolicy::Worst;

/// A board.
#[derive(Debug)]
pub struct Board {
    /// Bundles that were measured alike, the largest group first.
    pub groups: Vec<Group>,
    /// Bundles that are not shown, each with why.
    pub refused: Vec<String>,
    /// Numbers of the literature, of the data sets of the groups; of all where there is no group.
    pub published: Table,
}

/// Models that were measured alike.
#[derive(Debug)]
pub struct Group {
    /// What they were measured on.
    pub title: String,
    /// A row a model.
    pub table: Table,
    /// Accuracy against ReLUs; nothing where no model has a record of its own.
    pub figure: Option<Figure>,
}

/// A bundle that has a place on a board.
struct Entry {
    bundle: Bundle,
    analysis: Analysis,
    audit: String,
}

impl Board {
    /// Makes a board of unpacked and inspected bundles.
    ///
    /// # Errors
    /// When a figure cannot be drawn, or a defect keeps rows from being read.
    pub fn of(bundles: Vec<(Bundle, Inspection)>) -> Result<Self, ReportError> {
        let (mut entries, mut refused) = (Vec::new(), Vec::new());
        for (bundle, inspection) in bundles {
            let name = bundle
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let found: Vec<String> = (inspection.checks.iter())
                .filter(|check| check.verdict == Verdict::Finding)
                .map(|check| format!("{}: {}", check.what, check.detail))
                .collect();
            let audit = audited(&bundle);
            match (found.as_slice(), audit, inspection.analysis) {
                ([], Ok(audit), Some(analysis)) => entries.push(Entry {
                    bundle,
                    analysis,
                    audit,
                }),
                ([], Err(why), _) => refused.push(format!("{name}: {why}")),
                (found, ..) => refused.push(format!("{name}: {}", found.join("; "))),
            }
        }
        let mut grouped: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            grouped.entry(key(&entry.analysis)).or_default().push(entry);
        }
        let mut groups = grouped
            .into_values()
            .map(Group::of)
            .collect::<Result<Vec<_>, _>>()?;
        groups.sort_by_key(|(group, _)| std::cmp::Reverse(group.table.rows.len()));
        let datasets: BTreeSet<String> = groups.iter().map(|(_, dataset)| dataset.clone()).collect();
        Ok(Self {
            groups: groups.into_iter().map(|(group, _)| group).collect(),
            refused,
            published: published(&datasets),
        })
    }

    /// The page: one file, no network.
    ///
    /// # Errors
    /// When the template fails: a defect of this program.
    pub fn page(&self, title: &str) -> Result<String, ReportError> {
        board_page::page(self, title)
    }

    /// Every number, for other programs.
    pub fn json(&self) -> serde_json::Value {
        let groups = self
            .groups
            .iter()
            .map(|group| json!({"title": group.title, "table": group.table.json()}));
        json!({
            "groups": groups.collect::<Vec<_>>(), "refused": self.refused, "published": self.published.json(),
        })
    }
}

/// What the record of an audit beside a bundle says of it.
///
/// # Errors
/// When it says that something was found.
fn audited(bundle: &Bundle) -> Result<String, String> {
    let read = std::fs::read(audit_file(&bundle.file)).ok();
    let Some(audit) = read.and_then(|bytes| serde_json::from_slice::<Audit>(&bytes).ok()) else {
        return Ok("not audited".to_owned());
    };
    let replayed = audit
        .checks
        .iter()
        .any(|check| check.what == "replay" && check.verdict == Verdict::Ok);
    match (audit.bundle == bundle.checksum, audit.clean) {
        (false, _) => Ok("not audited (there is an audit of other bytes)".to_owned()),
        (true, false) => Err("its audit found something (rlnet audit says what)".to_owned()),
        (true, true) if replayed => Ok("audited".to_owned()),
        (true, true) => Ok("not audited (the models were not shown the examples)".to_owned()),
    }
}

/// What bundles must have in common to stand in one table.
fn key(analysis: &Analysis) -> String {
    let data = analysis.runs.runs[0].plan.images();
    let images = |data: &DataSpec| format!("{} {:?} {:?}", data.checksum, data.test, data.images);
    let attack = analysis.runs.headline.as_ref().map(ToString::to_string);
    format!(
        "{} {}",
        data.map(images).unwrap_or_default(),
        attack.unwrap_or_default()
    )
}

impl Group {
    /// The group, and its data set.
    fn of(entries: Vec<Entry>) -> Result<(Self, String), ReportError> {
        let folders: Vec<PathBuf> = entries.iter().map(|entry| entry.bundle.folder.clone()).collect();
        let analysis = match entries.as_slice() {
            [only] => only.analysis.clone(),
            _ => Analysis::of(Runs::load(&folders)?)?,
        };
        let data = analysis.runs.runs[0].plan.images();
        let dataset = data.map(|data| data.dataset.clone()).unwrap_or_default();
        let title = format!(
            "{dataset}, {} test images, AdvA: {}",
            format::thousands(crate::setup::images(&analysis)),
            analysis
                .runs
                .headline
                .as_ref()
                .map_or_else(|| "no attack".to_owned(), ToString::to_string)
        );
        let places = places(&analysis);
        let mut order: Vec<usize> = (0..analysis.runs.models.len()).collect();
        order.sort_by(|a, b| share(&analysis, *b).total_cmp(&share(&analysis, *a)));
        let rows: Vec<Vec<Cell>> = order
            .iter()
            .map(|&at| row(&analysis, at, &places[at], &entries[analysis.runs.models[at].run]))
            .collect();
        let corruptions = analysis
            .columns
            .set(&Quantity::Npa)
            .map(|set| format!(" NPA: {}.", set.said()));
        let table = Table::new(
            "board",
            title.clone(),
            format!(
                "Percent of test images classified correctly, with 95 % intervals; of networks with several branches an \
                 image counts only if every branch is right, but for the column of AdvA with the branch known. Rank: one \
                 plus the number of models whose AdvA is higher beyond chance (McNemar's exact test on the same images, \
                 Holm's adjustment, {LEVEL}), to the rank that it could have at worst; models whose ranges overlap may \
                 be tied.{} Online: estimated from the ReLUs (see the report of a run), not measured.",
                corruptions.unwrap_or_default()
            ),
            columns(),
            rows,
        );
        let shown: Vec<(usize, bool)> = order
            .iter()
            .map(|&at| (at, entries[analysis.runs.models[at].run].audit == "audited"))
            .collect();
        let figure = figures::fronts::figure(&analysis, &shown, READING)?;
        Ok((Self { title, table, figure }, dataset))
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::text("model", "Model"),
        Column::text("rank", "Rank"),
        Column::integer("relus", "ReLUs"),
        Column::share("ca", "CA"),
        Column::share("npa", "NPA"),
        Column::share("adva", "AdvA"),
        Column::share("adva_known", "AdvA, branch known"),
        Column::new("online", "Online", "MB", Kind::Number(1)),
        Column::text("bundle", "Bundle"),
        Column::text("division", "Division"),
        Column::text("extra", "Extra data"),
        Column::text("audit", "Audit"),
    ]
}

fn row(analysis: &Analysis, at: usize, rank: &str, entry: &Entry) -> Vec<Cell> {
    let model = &analysis.runs.models[at];
    let manifest = &entry.bundle.manifest;
    let triple = |policy| analysis.triple(&model.name, policy);
    let shares: Vec<Cell> = match (triple(READING), triple(BranchPolicy::Oracle)) {
        (Some(worst), Some(oracle)) => [&worst.ca, &worst.natural.npa, &worst.adva, &oracle.adva]
            .into_iter()
            .zip([&worst.policy, &worst.policy, &worst.policy, &oracle.policy])
            .map(|(known, policy)| Cell::share(known, &policy.label()))
            .collect(),
        _ => (0..4).map(|_| Cell::absent("no rows")).collect(),
    };
    let (relus, online) = match &model.record {
        Some(record) => (
            Cell::integer(record.kept()),
            Cell::number(
                online_bytes(record).map(|bytes| bytes / 1e6),
                "the protocol's profile is damaged",
            ),
        ),
        None => (
            Cell::of(Value::Absent(model.without_record())),
            Cell::of(Value::Absent(model.without_record())),
        ),
    };
    let file = entry
        .bundle
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let submitted = match manifest.statement.submitter.as_str() {
        "" => file,
        submitter => format!("{file}, {submitter}"),
    };
    let mut cells = vec![Cell::text(&model.name), Cell::text(rank), relus];
    cells.extend(shares);
    cells.extend([
        online,
        Cell {
            value: Value::Text(submitted),
            trace: manifest.statement.link.clone(),
        },
        Cell::text(&manifest.division),
        Cell::text(manifest.statement.extra_data.as_deref().unwrap_or("not stated")),
        Cell::text(&entry.audit),
    ]);
    cells
}

/// Robust accuracy; below all others where there is none.
fn share(analysis: &Analysis, at: usize) -> f64 {
    let triple = analysis.triple(&analysis.runs.models[at].name, READING);
    triple
        .and_then(|triple| triple.adva.as_ref().ok())
        .map_or(-1.0, |share| share.value)
}

/// The rank of each model, or the range of ranks that chance allows.
fn places(analysis: &Analysis) -> Vec<String> {
    let count = analysis.runs.models.len();
    let Some(attack) = analysis.runs.headline.clone().map(Condition::Attack) else {
        return vec![String::new(); count];
    };
    let answers: Vec<_> = analysis
        .comparable()
        .map(|(_, matrix)| by_image(matrix, READING))
        .collect();
    let known: Vec<usize> = (0..count).filter(|&at| share(analysis, at) >= 0.0).collect();
    let mut pairs = Vec::new();
    for (i, &a) in known.iter().enumerate() {
        for &b in &known[i + 1..] {
            if let (Some(this), Some(other)) = (answers[a].get(&attack), answers[b].get(&attack)) {
                pairs.push((a, b, McNemar::of(this, other)));
            }
        }
    }
    let raw: Vec<f64> = pairs.iter().map(|(.., test)| test.p).collect();
    let (mut better, mut worse) = (vec![0; count], vec![0; count]);
    for ((a, b, test), p) in pairs.iter().zip(holm(&raw)) {
        if p < LEVEL {
            let (above, below) = if test.only_this > test.only_other {
                (*a, *b)
            } else {
                (*b, *a)
            };
            worse[above] += 1;
            better[below] += 1;
        }
    }
    let rank = |at: usize| {
        let (best, last) = (1 + better[at], known.len() - worse[at]);
        match (known.contains(&at), best == last) {
            (false, _) => "\u{2013}".to_owned(),
            (true, true) => best.to_string(),
            (true, false) => format!("{best} to {last}"),
        }
    };
    (0..count).map(rank).collect()
}

/// The literature's numbers, of some data sets or of all.
fn published(datasets: &BTreeSet<String>) -> Table {
    // The files are checked by their tests; a board without them is still a board.
    let literature = Literature::load().unwrap_or_default();
    let shown = literature.results.iter();
    let shown = shown.filter(|(result, _)| datasets.is_empty() || datasets.contains(&result.dataset));
    let rows = shown.map(|(result, source)| {
        vec![
            Cell::text(&result.method),
            Cell::text(&result.dataset),
            Cell::text(&result.arch),
            result
                .relus
                .map_or_else(|| Cell::absent("all, or not said"), Cell::integer),
            Cell::text(&result.measure),
            Cell::of(Value::Number(result.value)),
            Cell::text(source.seen.name()),
            Cell {
                value: Value::Text(source.title.clone()),
                trace: source.place.clone(),
            },
            Cell::text("published, no rows"),
        ]
    });
    Table::new(
        "published",
        "Published numbers",
        "Numbers of papers, as they were printed: without rows there is no interval, no rank and nothing to audit. \
         Original: read in the paper or its code; second-hand: quoted by somebody else; derived: worked out.",
        vec![
            Column::text("method", "Method"),
            Column::text("dataset", "Data set"),
            Column::text("arch", "Architecture"),
            Column::integer("relus", "ReLUs"),
            Column::text("measure", "Measure"),
            Column::new("value", "Paper", "%", Kind::Number(2)),
            Column::text("seen", "Seen"),
            Column::text("source", "Source"),
            Column::text("audit", "Audit"),
        ],
        rows.collect(),
    )
}
