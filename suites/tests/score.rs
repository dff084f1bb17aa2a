//! docs/results/README.md: what became of the paper's claims and of open questions, made from the data of the pages.
//!
//! `RLNET_BLESS=1 cargo test -p rlnet-suites --test score` writes it anew.
#![allow(missing_docs, clippy::expect_used)]

use rlnet_suites::catalog;
use rlnet_suites::results::Literature;
use serde::Deserialize;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    claim: Option<String>,
    question: Option<String>,
    /// How the published number is written, where its number and unit do not say it.
    published: Option<String>,
    /// What ours has to exceed for the claim's direction, in points.
    #[serde(default)]
    least: f64,
    waits: Option<String>,
    page: Option<String>,
    data: Option<String>,
    model: Option<String>,
    reading: Option<String>,
    against: Option<String>,
    #[serde(default)]
    columns: Vec<String>,
    trainings: Option<u32>,
    conditions: Option<String>,
}

/// A number in points with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Points {
    value: f64,
    low: f64,
    high: f64,
}

impl Points {
    /// Less another of other images or networks: Newcombe's interval (Statistics in Medicine 17, 1998, method 10).
    fn less(self, other: Self) -> Self {
        let value = self.value - other.value;
        let down = (self.value - self.low).hypot(other.high - other.value);
        let up = (self.high - self.value).hypot(other.value - other.low);
        Self {
            value,
            low: value - down,
            high: value + up,
        }
    }
}

/// The rows of a page's data by column.
struct Data {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Data {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = text
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect());
        Self {
            head: lines.next().expect("a head"),
            rows: lines.collect(),
        }
    }

    fn field<'a>(&self, row: &'a [String], column: &str) -> &'a str {
        let place = self.head.iter().position(|name| name == column);
        &row[place.unwrap_or_else(|| panic!("no column {column}"))]
    }

    /// The one row of a model, in a reading or with one branch.
    fn points(&self, model: &str, reading: &str, column: &str) -> Points {
        let is = |row: &&Vec<String>| {
            self.field(row, "model") == model
                && [reading, "single branch"].contains(&self.field(row, "reading"))
        };
        let found: Vec<&Vec<String>> = self.rows.iter().filter(is).collect();
        let [row] = found[..] else {
            panic!("{} rows of {model}, {reading}", found.len())
        };
        let number = |name: &str| -> f64 {
            let text = self.field(row, name);
            100.0
                * text
                    .parse::<f64>()
                    .unwrap_or_else(|_| panic!("{name} of {model}: {text:?}"))
        };
        Points {
            value: number(column),
            low: number(&format!("{column}_low")),
            high: number(&format!("{column}_high")),
        }
    }
}

/// What an interval says of a claim that ours is above `least`, and as much as `published`.
fn verdict(ours: Points, least: f64, published: Option<f64>) -> &'static str {
    match published {
        Some(published) if ours.low >= published => "holds",
        _ if ours.high < least => "does not hold",
        _ if ours.low <= least => "cannot tell yet",
        Some(_) => "holds in direction, less of it",
        None => "holds",
    }
}

fn signed(value: f64) -> String {
    format!("{value:+.1}").replace('-', "−")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/results")
}

impl Row {
    fn line(&self, literature: &Literature) -> String {
        let claim = self.claim.as_ref().map(|claim| {
            let found = literature.claims.iter().find(|(known, _)| known.claim == *claim);
            &found.unwrap_or_else(|| panic!("no claim {claim:?}")).0
        });
        let what = match (claim, &self.question) {
            (Some(claim), None) => format!("{}: {}", claim.method, claim.claim),
            (None, Some(question)) => question.clone(),
            _ => panic!("a row is a claim or a question"),
        };
        let published = match (&self.published, claim) {
            (Some(text), _) => text.clone(),
            (None, Some(claim)) => format!("{} {}", signed(claim.value), claim.unit),
            (None, None) => "–".to_owned(),
        };
        if let Some(suite) = &self.waits {
            assert!(catalog::find(suite).is_some(), "no suite {suite}");
            return format!("| {what} | {published} | – | | | cannot tell yet | `rlnet run {suite}` |");
        }
        let text = |field: &Option<String>| {
            field
                .clone()
                .unwrap_or_else(|| panic!("{what}: a field is missing"))
        };
        let (page, model, reading) = (text(&self.page), text(&self.model), text(&self.reading));
        assert!(folder().join(&page).exists(), "{page}");
        let data = Data::read(&folder().join(text(&self.data)));
        let each = self.columns.iter().map(|column| {
            let own = data.points(&model, &reading, column);
            match &self.against {
                Some(against) => own.less(data.points(against, &reading, column)),
                None => own,
            }
        });
        let ours = each.min_by(|a, b| a.value.total_cmp(&b.value)).expect("a column");
        let number = claim
            .filter(|_| self.published.is_none())
            .map(|claim| claim.value);
        format!(
            "| {what} | {published} | {} [{}, {}] | {} | {} | **{}** | [{}]({page}) |",
            signed(ours.value),
            signed(ours.low),
            signed(ours.high),
            text(&self.conditions),
            self.trainings.expect("a number of trainings"),
            verdict(ours, self.least, number),
            page.trim_end_matches(".md"),
        )
    }
}

fn page() -> String {
    let text = fs::read_to_string(folder().join("score.toml")).expect("score.toml");
    let score: Score = toml::from_str(&text).expect("rows");
    let literature = Literature::load().expect("published numbers");
    let mut page = String::from(
        "# What holds\n\n\
         Which claims of the paper hold in what was trained here, and which questions are open?\n\n\
         | What | Published | Here, points | Conditions | Trainings | Verdict | Page |\n\
         |---|---:|---:|---|---:|---|---|\n",
    );
    for row in &score.row {
        writeln!(page, "{}", row.line(&literature)).expect("text");
    }
    page.push_str(
        "\nIntervals are of 95 %, over test images; a row of one training says nothing of other trainings. A claim *holds* where the whole \
         interval is at the published number or above it, *in direction* where it is above zero only, and *does not hold* where the whole \
         interval is below zero (or below what a row says). The networks here are smaller and trained for less time than the paper's, so a \
         verdict is of these conditions.\n\n\
         This page is made from [score.toml](score.toml) and the data of the pages that it names; a test compares them.\n",
    );
    page
}

#[test]
fn the_score_is_what_the_data_of_the_pages_says() {
    let (file, now) = (folder().join("README.md"), page());
    if std::env::var_os("RLNET_BLESS").is_some() {
        fs::write(&file, &now).expect("a file");
    }
    assert_eq!(
        now,
        fs::read_to_string(&file).unwrap_or_default(),
        "RLNET_BLESS=1 writes it anew"
    );
}

#[test]
fn a_verdict_follows_from_the_interval() {
    let points = |low: f64, high: f64| Points {
        value: (low + high) / 2.0,
        low,
        high,
    };
    for (ours, least, published, wanted) in [
        (points(2.0, 4.0), 0.0, Some(1.5), "holds"),
        (points(1.0, 4.0), 0.0, Some(1.5), "holds in direction, less of it"),
        (points(-1.0, 4.0), 0.0, Some(1.5), "cannot tell yet"),
        (points(-4.0, -1.0), 0.0, Some(1.5), "does not hold"),
        (points(-4.0, -1.0), -5.0, None, "holds"),
        (points(-6.0, -1.0), -5.0, None, "cannot tell yet"),
        (points(-8.0, -6.0), -5.0, None, "does not hold"),
    ] {
        assert_eq!(verdict(ours, least, published), wanted, "{ours:?}");
    }
    // Newcombe's example (a): 56 of 70 and 48 of 80; 0.2 with the interval 0.0524 to 0.3339.
    let (one, two) = (points_of(56.0, 70.0), points_of(48.0, 80.0));
    let found = one.less(two);
    let near = |a: f64, b: f64| (a - b).abs() < 5e-3;
    assert!(
        near(found.value, 20.0) && near(found.low, 5.24) && near(found.high, 33.39),
        "{found:?}"
    );
}

/// A share with Wilson's interval, in points.
fn points_of(right: f64, n: f64) -> Points {
    const Z: f64 = 1.959_963_984_540_054;
    let (p, z2) = (right / n, Z * Z);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Points {
        value: 100.0 * p,
        low: 100.0 * (centre - half),
        high: 100.0 * (centre + half),
    }
}
