//! The page: one file with everything inside, no network, legible in light and dark, on a
//! phone and on paper.

use crate::analysis::Analysis;
use crate::base64;
use crate::error::ReportError;
use crate::figures::Figure;
use crate::glossary::{Definition, definitions};
use crate::metrics::BranchPolicy;
use crate::metrics::flags::Flag;
use crate::tables::{Cell, Kind, Table, Value as Said};
use crate::{format, report_format::Format, summary};
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;
use std::borrow::Cow;

const TEMPLATE: &str = include_str!("../templates/report.html");
/// Sorting and filtering of tables: the page's only script, inlined.
const SCRIPT: &str = include_str!("../templates/report.js");

/// Tables that come before the figures, unless they are long: then the figures come first.
const EARLY: [&str; 8] = [
    "knees",
    "reduction",
    "comparison",
    "bootstrap",
    "oracle_gap",
    "diagnosis",
    "joint",
    "published",
];
/// Tables below the figures.
const LATE: [&str; 16] = [
    "mce",
    "ce",
    "corruptions",
    "severities",
    "attacks",
    "attacks_one_by_one",
    "robustness",
    "minimum_norm",
    "overlap",
    "worst_class",
    "classes",
    "confusions",
    "calibration",
    "models",
    "layers",
    "similarity",
];
/// Rows of a long table: more than a screen (own choice).
const LONG: usize = 30;
/// Of more networks than this the main table's rows of single branches are in its files only.
const MANY: usize = 8;

#[derive(Serialize)]
struct PageTable {
    id: &'static str,
    title: String,
    caption: String,
    columns: Vec<PageColumn>,
    rows: Vec<Vec<PageCell>>,
    files: Vec<String>,
}

#[derive(Serialize)]
struct PageColumn {
    head: String,
    unit: &'static str,
    number: bool,
}

#[derive(Serialize)]
struct PageCell {
    text: String,
    interval: String,
    trace: String,
    number: bool,
    /// The same words as in the row above: written, but dimmed.
    again: bool,
}

#[derive(Serialize)]
struct PageFigure {
    id: &'static str,
    title: String,
    caption: String,
    alt: String,
    /// Data address of the picture, when there is no drawing.
    picture: Option<String>,
    size: (u32, u32),
    files: Vec<String>,
}

#[derive(Serialize)]
struct Missing {
    run: String,
    name: String,
    id: String,
}

#[derive(Serialize)]
struct Page {
    title: String,
    suites: Vec<String>,
    descriptions: Vec<String>,
    /// Pieces of text, and whether each is an interval.
    /// A list of them a sentence.
    answer: Vec<Vec<(String, bool)>>,
    data: Vec<String>,
    tables: Vec<PageTable>,
    /// Tables before the figures, and those below.
    early: Vec<&'static str>,
    late: Vec<&'static str>,
    figures: Vec<PageFigure>,
    definitions: Vec<Definition>,
    missing: Vec<Missing>,
    cells: usize,
    flags: Vec<Flag>,
    allowed: Vec<String>,
}

/// Writes the page.
///
/// # Errors
/// When the template fails: a defect of this program.
pub fn page(
    analysis: &Analysis,
    tables: &[Table],
    figures: &[Figure],
    formats: &[Format],
) -> Result<String, ReportError> {
    let failed = |error: minijinja::Error| ReportError::make("the page", format!("{error:#}"));
    let runs = &analysis.runs;
    let mut titles: Vec<String> = Vec::new();
    let mut descriptions: Vec<String> = Vec::new();
    for run in &runs.runs {
        if !titles.contains(&run.plan.title) {
            titles.push(run.plan.title.clone());
            descriptions.push(run.plan.description.trim().to_owned());
        }
    }
    let cells: usize = runs.runs.iter().map(|run| run.plan.cells.len()).sum();
    let is_long = |id: &&str| {
        let mut tables = tables.iter();
        tables.any(|table| table.id == *id && table.rows.len() > LONG)
    };
    let page = Page {
        title: titles.join("; "),
        suites: runs.runs.iter().map(|run| run.plan.suite.clone()).collect(),
        descriptions,
        answer: summary::sentences(analysis)
            .iter()
            .map(|text| pieces(text))
            .collect(),
        data: data(analysis),
        tables: tables
            .iter()
            .map(|table| page_table(&for_page(analysis, table), formats))
            .collect(),
        early: EARLY.into_iter().filter(|id| !is_long(id)).collect(),
        late: EARLY.into_iter().filter(is_long).chain(LATE).collect(),
        figures: figures.iter().map(page_figure).collect(),
        definitions: definitions(analysis),
        missing: missing(analysis),
        cells,
        flags: analysis.flags.clone(),
        allowed: allowed(analysis),
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report", TEMPLATE).map_err(failed)?;
    let template = environment.get_template("report").map_err(failed)?;
    let page = serde_json::to_value(&page).map_err(|error| ReportError::make("the page", error))?;
    // Drawings are markup made by this program: the only thing that is not escaped.
    let drawings = figures
        .iter()
        .filter_map(|figure| Some((figure.id, Value::from_safe_string(figure.inline()?))));
    template
        .render(context! { page => to_template(page), drawings => Value::from_pairs(drawings), script => Value::from_safe_string(SCRIPT.to_owned()) })
        .map_err(failed)
}

/// Cuts text into words and `[intervals]`, so that the page can set these apart.
fn pieces(text: &str) -> Vec<(String, bool)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, after) = after.split_once(']').unwrap_or((after, ""));
        pieces.push((before.to_owned(), false));
        pieces.push((format!("[{inside}]"), true));
        rest = after;
    }
    pieces.push((rest.to_owned(), false));
    pieces
}

/// JSON as the template engine has it (its own serde support is an extra feature).
fn to_template(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(yes) => Value::from(yes),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(n.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => {
            Value::from(items.into_iter().map(to_template).collect::<Vec<_>>())
        }
        serde_json::Value::Object(fields) => {
            Value::from_pairs(fields.into_iter().map(|(key, value)| (key, to_template(value))))
        }
    }
}

/// A table as the page has it: of many networks the main one has no rows of single branches.
fn for_page<'a>(analysis: &Analysis, table: &'a Table) -> Cow<'a, Table> {
    let runs = &analysis.runs;
    if table.id != "main" || runs.models.len() <= MANY {
        return Cow::Borrowed(table);
    }
    let one_of_several = |row: &[Cell]| {
        let several = |name: &str| runs.model(name).is_some_and(|model| model.branches.len() > 1);
        match row {
            [
                Cell {
                    value: Said::Text(name),
                    ..
                },
                Cell {
                    value: Said::Text(read),
                    ..
                },
                ..,
            ] => several(name) && ![BranchPolicy::Oracle.label(), BranchPolicy::Worst.label()].contains(read),
            _ => false,
        }
    };
    let mut short = table.clone();
    short.rows.retain(|row| !one_of_several(row));
    short
        .caption
        .push_str(" The rows of single branches are in this table's files.");
    Cow::Owned(short)
}

fn page_table(table: &Table, formats: &[Format]) -> PageTable {
    let columns = table.columns.iter().map(|column| PageColumn {
        head: column.head.clone(),
        unit: column.unit,
        number: column.kind != Kind::Text,
    });
    let mut above: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for row in &table.rows {
        let cells: Vec<PageCell> = row
            .iter()
            .zip(&table.columns)
            .enumerate()
            .map(|(i, (cell, column))| {
                let (text, interval) = cell.shown(column.kind);
                PageCell {
                    again: i == 0 && above.first() == Some(&text),
                    trace: match &cell.value {
                        crate::tables::Value::Absent(why) => why.clone(),
                        _ => cell.trace.clone(),
                    },
                    text,
                    interval,
                    number: column.kind != Kind::Text,
                }
            })
            .collect();
        above = cells.iter().map(|cell| cell.text.clone()).collect();
        rows.push(cells);
    }
    PageTable {
        id: table.id,
        title: table.title.clone(),
        caption: table.caption.clone(),
        columns: columns.collect(),
        rows,
        files: formats
            .iter()
            .filter_map(|format| format.extension())
            .map(|extension| format!("tables/{}.{extension}", table.id))
            .collect(),
    }
}

fn page_figure(figure: &Figure) -> PageFigure {
    let mut files = vec![format!("figures/{}.png", figure.id)];
    if figure.svg.is_some() {
        files.insert(0, format!("figures/{}.svg", figure.id));
    }
    let picture = match figure.svg {
        Some(_) => None,
        None => Some(format!("data:image/png;base64,{}", base64::encode(&figure.png))),
    };
    PageFigure {
        id: figure.id,
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        alt: figure.alt.clone(),
        picture,
        size: figure.size,
        files,
    }
}

fn missing(analysis: &Analysis) -> Vec<Missing> {
    let missing = analysis.runs.missing().into_iter();
    missing
        .map(|(run, cell)| Missing {
            run: run.plan.suite.clone(),
            name: cell.name.clone(),
            id: cell.id.0.clone(),
        })
        .collect()
}

/// Which images the numbers are about.
fn data(analysis: &Analysis) -> Vec<String> {
    let cells = analysis.runs.runs.iter().flat_map(|run| &run.plan.cells);
    let count = |n: Option<u32>, what: &str| match n {
        Some(n) => format!("the first {} {what} images", format::thousands(n.into())),
        None => format!("all {what} images"),
    };
    let mut all: Vec<String> = Vec::new();
    for cell in cells {
        let data = &cell.data;
        // Some stages may be trained on other images than the models are measured on.
        let measured = analysis.runs.runs.iter().filter_map(|run| run.plan.images());
        let other = measured.clone().all(|images| images.checksum != data.checksum);
        let said = format!(
            "{} {}: {} and {} (checksum {}).",
            if other {
                "Other stages: data set"
            } else {
                "Data set"
            },
            data.dataset,
            count(data.train, "training"),
            count(data.test, "test"),
            data.checksum
        );
        if !all.contains(&said) {
            all.push(said);
        }
    }
    all
}

/// Preflight findings that were let through by hand, each with its model.
pub(crate) fn allowed(analysis: &Analysis) -> Vec<String> {
    let records = analysis.runs.records();
    let mut all: Vec<String> = Vec::new();
    for (_, record) in records {
        for finding in &record.provenance.allowed {
            let said = format!("{}: {finding}", record.cell.model);
            if !all.contains(&said) {
                all.push(said);
            }
        }
    }
    all
}
