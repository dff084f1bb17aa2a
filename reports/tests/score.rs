//! docs/results/README.md: what became of the paper's claims and of open questions, made from the data of the pages; and
//! the tables of pages that stand on several trainings.
//!
//! `RLNET_BLESS=1 cargo test -p rlnet-reports --test reports score` writes them anew.

use crate::picture;
use crate::record::{Points, Record};
use rlnet_reports::format;
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
    #[serde(default)]
    table: Vec<Table>,
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
    /// The chapter of the page whose table of differences is read, where there is no `data`.
    section: Option<String>,
    /// A folder of files of `rlnet report --by-image`, one for each seed.
    data: Option<String>,
    model: Option<String>,
    reading: Option<String>,
    against: Option<String>,
    #[serde(default)]
    columns: Vec<String>,
    /// Trainings behind a chapter; those of a folder are counted.
    trainings: Option<usize>,
    conditions: Option<String>,
}

/// A table of a page, from a folder of files of `rlnet report --by-image`: it stands behind `<!-- ID -->`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: String,
    page: String,
    data: String,
    readings: Vec<String>,
    /// The file of its picture.
    picture: Option<String>,
    networks: Vec<Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    model: String,
    name: String,
    relus: u64,
    /// Its numbers are differences to this one, in points.
    against: Option<String>,
}

/// A chapter of a page, with the table of differences to a baseline as `rlnet report` writes it.
struct Chapter(String);

impl Chapter {
    fn read(page: &Path, heading: &str) -> Self {
        let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let mut chapters = text.split("\n## ");
        let found = chapters.find(|chapter| chapter.starts_with(heading));
        Self(
            found
                .unwrap_or_else(|| panic!("no {heading} in {}", page.display()))
                .to_owned(),
        )
    }

    /// Of a model, read in one way, in one measure.
    fn difference(&self, row: [&str; 3]) -> Points {
        let lines = self.0.lines().filter(|line| line.starts_with('|'));
        let mut cells = lines.map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect::<Vec<_>>()
        });
        let head = cells.find_map(|cells| cells.iter().position(|cell| *cell == "Difference (points)"));
        let at = head.expect("a table of differences");
        let found = cells.find(|cells| cells.len() > at && cells[..3] == row);
        let text = found.unwrap_or_else(|| panic!("no row {row:?}"))[at].replace('−', "-");
        let numbers: Vec<f64> = text
            .split(|c: char| !(c.is_ascii_digit() || "+-.".contains(c)))
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().expect("a number"))
            .collect();
        let [value, low, high] = numbers[..] else {
            panic!("{text}: a number and its interval")
        };
        Points::of(value, low, high)
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
            (None, Some(claim)) => format!("{} {}", format::points(claim.value / 100.0), claim.unit),
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
        let found: Box<dyn Fn(&String) -> Points> = match &self.section {
            Some(section) => {
                let chapter = Chapter::read(&folder().join(&page), section);
                Box::new(move |measure| Points {
                    trainings: self.trainings.expect("a number of trainings"),
                    ..chapter.difference([&model, &reading, measure])
                })
            }
            None => {
                assert!(self.trainings.is_none(), "{what}: its trainings are counted");
                let record = Record::read(&folder().join(text(&self.data)));
                Box::new(move |column| record.points(&model, self.against.as_deref(), &reading, column))
            }
        };
        let each = self.columns.iter().map(found);
        let ours = each.min_by(|a, b| a.value.total_cmp(&b.value)).expect("a column");
        let number = claim
            .filter(|_| self.published.is_none())
            .map(|claim| claim.value);
        format!(
            "| {what} | {published} | {} [{}, {}] | {} | {} | **{}** | [{}]({page}) |",
            format::points(ours.value / 100.0),
            format::points(ours.low / 100.0),
            format::points(ours.high / 100.0),
            text(&self.conditions),
            ours.trainings,
            verdict(ours, self.least, number),
            page.trim_end_matches(".md"),
        )
    }
}

/// The measures of a table, as columns of the files and as headings.
const MEASURES: [(&str, &str); 3] = [
    ("ca", "Clean (CA, %)"),
    ("npa", "Corrupted (NPA, %)"),
    ("adva", "Attacked (AdvA, %)"),
];

impl Table {
    /// Every network under every branch policy that it has.
    fn rows(&self, record: &Record) -> Vec<(&Network, String, Vec<Option<Points>>)> {
        let readings = self.readings.iter().map(String::as_str).chain([Record::SINGLE]);
        let readings: Vec<&str> = readings.collect();
        let all = self
            .networks
            .iter()
            .flat_map(|network| readings.iter().map(move |reading| (network, *reading)));
        let row = |(network, reading): (&'_ Network, &str)| {
            let of =
                |(column, _)| record.try_points(&network.model, network.against.as_deref(), reading, column);
            MEASURES.map(of).to_vec()
        };
        all.map(|(network, reading)| (network, reading.to_owned(), row((network, reading))))
            .filter(|(_, _, found)| found.iter().any(Option::is_some))
            .collect()
    }

    fn svg(&self, record: &Record) -> String {
        let mut last = "";
        let mut rows = Vec::new();
        for (network, reading, found) in self.rows(record) {
            let panels = found
                .into_iter()
                .zip(MEASURES)
                .map(|(points, (column, _))| Some((points?, record.each(&network.model, &reading, column))));
            rows.push(picture::Row {
                name: match reading.as_str() {
                    Record::SINGLE => network.name.clone(),
                    reading => format!("{}, {reading}", network.name),
                },
                first: network.name != last,
                panels: panels.collect(),
            });
            last = &network.name;
        }
        picture::draw(&MEASURES.map(|(_, head)| head), &rows)
    }

    fn markdown(&self, record: &Record) -> String {
        let differences = self.networks.iter().all(|network| network.against.is_some());
        let unit = if differences { "points" } else { "%" };
        let heads = MEASURES.map(|(_, head)| head.replace('%', unit));
        let mut text = format!(
            "| Network | Read through | ReLUs | {} | Trainings |\n",
            heads.join(" | ")
        );
        text += "|---|---|---:|---:|---:|---:|---:|\n";
        for (network, reading, found) in self.rows(record) {
            let trainings = found
                .iter()
                .flatten()
                .map(|points| points.trainings)
                .max()
                .unwrap_or(0);
            let shown = found
                .into_iter()
                .map(|points| points.map_or_else(|| "–".to_owned(), |points| points.shown(!differences)));
            let (name, relus) = (&network.name, format::thousands(network.relus));
            let shown = shown.collect::<Vec<_>>().join(" | ");
            writeln!(text, "| {name} | {reading} | {relus} | {shown} | {trainings} |").expect("text");
        }
        text
    }

    /// The files that it is in, each as it should be: the page with this table in its place, and the picture.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let record = Record::read(&folder().join(&self.data));
        let file = folder().join(&self.page);
        let old = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mark = format!("<!-- {} -->\n", self.id);
        let begin = old
            .find(&mark)
            .unwrap_or_else(|| panic!("no {mark} in {}", self.page))
            + mark.len();
        let end = old[begin..].find("\n\n").map_or(old.len(), |end| begin + end + 1);
        let page = format!("{}{}{}", &old[..begin], self.markdown(&record), &old[end..]);
        let picture = self
            .picture
            .iter()
            .map(|picture| (folder().join(picture), self.svg(&record)));
        [(file, page)].into_iter().chain(picture).collect()
    }
}

fn score() -> Score {
    let text = fs::read_to_string(folder().join("score.toml")).expect("score.toml");
    toml::from_str(&text).expect("rows")
}

fn page() -> String {
    let score = score();
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
        "\nIntervals are of 95 %, over test images; of several trainings also over trainings. A row of one training says nothing of others. A claim *holds* where the whole \
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
fn tables_are_what_the_scores_of_the_images_say() {
    for table in score().table {
        for (file, now) in table.files() {
            if std::env::var_os("RLNET_BLESS").is_some() {
                fs::write(&file, &now).expect("a file");
            }
            let found = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(found, now, "{}: RLNET_BLESS=1 writes it anew", file.display());
        }
    }
}

#[test]
fn a_verdict_follows_from_the_interval() {
    let points = |low: f64, high: f64| Points::of((low + high) / 2.0, low, high);
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
}
