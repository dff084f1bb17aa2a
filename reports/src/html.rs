//! The page: one file with everything inside, no network, legible in light and dark, on a
//! phone and on paper. What stands on it, and where, is the slice of sections.

use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::figures::Figure;
use crate::glossary::Term;
use crate::metrics::BranchPolicy;
use crate::metrics::flags::{self, Flags};
use crate::report_format::Format;
use crate::sections::{Content, Place, Section};
use crate::setup::{Fact, facts};
use crate::summary;
use crate::tables::for_people::{for_people, is_of_branches, remove_column};
use crate::tables::{self, Cell, Kind, Table, Value as CellValue};
use base64::prelude::{BASE64_STANDARD, Engine};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use rlnet_suites::Branch;
use serde::Serialize;
use std::borrow::Cow;

const TEMPLATE: &str = include_str!("../templates/report.html");
/// What pages share: their head with its style, and the macros of tables and figures.
const PARTS: &str = include_str!("../templates/parts.html");
/// Sorting and filtering of tables: the page's only script, inlined.
const SCRIPT: &str = include_str!("../templates/report.js");

/// Of more networks than this the main table's rows of single branches are in its files only.
const MANY: usize = 8;
/// A table with more columns than this has its intervals in tooltips only.
const DENSE: usize = 13;

/// A table as templates have it.
#[derive(Serialize)]
pub(crate) struct PageTable {
    id: &'static str,
    title: String,
    caption: String,
    dense: bool,
    columns: Vec<PageColumn>,
    rows: Vec<Vec<PageCell>>,
    /// Terms that name rows, explained below a table that is not folded.
    legend: Vec<Term>,
    files: Vec<String>,
}

#[derive(Serialize)]
struct PageColumn {
    head: String,
    unit: &'static str,
    number: bool,
    meaning: &'static str,
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

/// A figure as templates have it.
#[derive(Serialize)]
pub(crate) struct PageFigure {
    id: &'static str,
    title: String,
    caption: String,
    alt: String,
    /// The drawing as SVG markup, made by this program; rows of pictures have none.
    drawing: Option<String>,
    strips: Vec<PageStrip>,
    /// Names of its files, where it has some.
    pub(crate) files: Vec<String>,
}

#[derive(Serialize)]
struct PageStrip {
    label: String,
    size: (u32, u32),
    /// Its data address.
    address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Table(PageTable),
    Figure(PageFigure),
}

#[derive(Serialize)]
struct Missing {
    name: String,
    id: String,
}

#[derive(Serialize, Default)]
struct Page {
    title: String,
    suites: Vec<String>,
    /// What the scale of each run is and changed.
    scales: Vec<String>,
    branches: bool,
    descriptions: Vec<String>,
    verdict: String,
    /// What follows the verdict.
    summary: Vec<String>,
    notices: Vec<String>,
    facts: Vec<Fact>,
    first: Vec<Item>,
    grid: Vec<Item>,
    numbers: Vec<Item>,
    provenance: Vec<Item>,
    terms: Vec<Term>,
    missing: Vec<Missing>,
    cells: usize,
    flags: Vec<Flags>,
    allowed: Vec<String>,
}

/// Writes the page.
///
/// # Errors
/// When the template fails: a defect of this program.
pub fn page(
    analysis: &Analysis,
    shown: &[(&Section, Content)],
    formats: &[Format],
) -> Result<String, ReportError> {
    let page = Page::of(analysis, shown, formats);
    rendered(TEMPLATE, context! { page => Value::from(Serde(&page)) })
}

/// A page of a template, which may use the parts that pages share, and has the script of their tables.
///
/// # Errors
/// When the template fails: a defect of this program.
pub(crate) fn rendered(template: &str, values: Value) -> Result<String, ReportError> {
    let failed = |error: minijinja::Error| ReportError::make("the page", format!("{error:#}"));
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("parts", PARTS).map_err(failed)?;
    let script = Value::from_safe_string(SCRIPT.to_owned());
    environment
        .render_str(template, context! { script, ..values })
        .map_err(failed)
}

impl Page {
    fn of(analysis: &Analysis, shown: &[(&Section, Content)], formats: &[Format]) -> Self {
        let runs = &analysis.runs;
        let mut summary = summary::sentences(analysis);
        let mut page = Self {
            suites: runs.runs.iter().map(|run| run.plan.suite.clone()).collect(),
            verdict: summary.remove(0),
            summary,
            scales: summary::scales(analysis),
            branches: analysis.has_branches(),
            notices: summary::notices(analysis),
            facts: facts(analysis),
            cells: runs.runs.iter().map(|run| run.plan.cells.len()).sum(),
            missing: missing(analysis),
            flags: flags::together(&analysis.flags),
            allowed: allowed(analysis),
            ..Self::default()
        };
        let mut titles: Vec<&str> = Vec::new();
        for run in &runs.runs {
            if !titles.contains(&run.plan.title.as_str()) {
                titles.push(&run.plan.title);
                page.descriptions.push(run.plan.description.trim().to_owned());
            }
        }
        page.title = titles.join("; ");
        for (section, content) in shown {
            for term in section.terms {
                if !page.terms.contains(term) && (page.branches || !is_of_branches(term)) {
                    page.terms.push(*term);
                }
            }
            let item = match content {
                Content::Table(table) => {
                    let unfolded = matches!(section.place, Place::FirstScreen | Place::Grid);
                    let table = for_page(analysis, table);
                    Item::Table(PageTable {
                        id: section.id,
                        ..page_table(&table, section.terms, unfolded, formats)
                    })
                }
                Content::Figure(figure) => Item::Figure(page_figure(figure)),
            };
            match section.place {
                Place::FirstScreen => page.first.push(item),
                Place::Grid => page.grid.push(item),
                Place::Numbers => page.numbers.push(item),
                Place::Provenance => page.provenance.push(item),
            }
        }
        // Without its own picture the first screen has the first of the grid.
        let is_figure = |item: &Item| matches!(item, Item::Figure(_));
        if !page.first.iter().any(is_figure)
            && let Some(at) = page.grid.iter().position(is_figure)
        {
            page.first.insert(0, page.grid.remove(at));
        }
        page
    }
}

/// A table as the page has it: as [`for_people`]. The main table has no mCE, which is 100 minus NPA, and of
/// many networks no rows of single branches.
fn for_page<'a>(analysis: &Analysis, table: &'a Table) -> Cow<'a, Table> {
    let mut shown = for_people(table);
    let is_main = table.id == tables::accuracy::MAIN.id;
    let at = shown.columns.iter().position(|column| column.key == "reading");
    if let (Some(at), true) = (at, is_main && analysis.runs.models.len() > MANY) {
        let whole = [
            BranchPolicy::Fixed(Branch::Single),
            BranchPolicy::Oracle,
            BranchPolicy::Worst,
        ];
        let is = |row: &[Cell], policy: &BranchPolicy| matches!(&row[at].value, CellValue::Text(text) if *text == policy.label());
        let own = shown.to_mut();
        own.rows.retain(|row| whole.iter().any(|policy| is(row, policy)));
        own.caption
            .push_str(" The rows of single branches are in this table's files.");
    }
    if is_main {
        remove_column(shown.to_mut(), "mce");
    }
    shown
}

/// A table for a page. Of one that is not folded, terms that name rows are explained below it.
pub(crate) fn page_table(table: &Table, terms: &[Term], unfolded: bool, formats: &[Format]) -> PageTable {
    let meaning = |name: &str| {
        let term = terms.iter().find(|term| term.name == name);
        term.map_or("", |term| term.meaning)
    };
    let mut above = String::new();
    let mut rows = Vec::new();
    for row in &table.rows {
        let mut cells: Vec<PageCell> = (row.iter().zip(&table.columns))
            .map(|(cell, column)| {
                let (text, interval) = cell.shown(column.kind);
                PageCell {
                    again: false,
                    trace: match &cell.value {
                        CellValue::Absent(why) => why.to_string(),
                        CellValue::Text(name) if cell.trace.is_empty() => meaning(name).to_owned(),
                        _ => cell.trace.clone(),
                    },
                    text,
                    interval,
                    number: column.kind != Kind::Text,
                }
            })
            .collect();
        if let Some(first) = cells.first_mut() {
            first.again = first.text == above;
            above.clone_from(&first.text);
        }
        rows.push(cells);
    }
    let names_a_row = |term: &&Term| {
        let mut cells = table.rows.iter().flatten();
        unfolded && cells.any(|cell| matches!(&cell.value, CellValue::Text(text) if text == term.name))
    };
    PageTable {
        id: table.id,
        title: table.title.clone(),
        caption: table.caption.clone(),
        dense: table.columns.len() > DENSE,
        columns: (table.columns.iter())
            .map(|column| PageColumn {
                head: column.head.clone(),
                unit: column.unit,
                number: column.kind != Kind::Text,
                meaning: meaning(&column.head),
            })
            .collect(),
        rows,
        legend: terms.iter().filter(names_a_row).copied().collect(),
        files: formats
            .iter()
            .filter_map(|format| format.extension())
            .map(|extension| format!("tables/{}.{extension}", table.id))
            .collect(),
    }
}

/// A figure for a page.
pub(crate) fn page_figure(figure: &Figure) -> PageFigure {
    let svg = figure.svg.as_ref().map(|_| format!("figures/{}.svg", figure.id));
    let png = format!("figures/{}.png", figure.id);
    PageFigure {
        id: figure.id,
        title: figure.title.to_owned(),
        caption: figure.caption.clone(),
        alt: figure.alt.clone(),
        drawing: figure.inline(),
        strips: (figure.strips.iter())
            .map(|strip| PageStrip {
                label: strip.label.clone(),
                size: strip.size,
                address: format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&strip.png)),
            })
            .collect(),
        files: svg.into_iter().chain([png]).collect(),
    }
}

fn missing(analysis: &Analysis) -> Vec<Missing> {
    (analysis.runs.missing().into_iter())
        .map(|(_, cell)| Missing {
            name: cell.name.clone(),
            id: cell.id.0.clone(),
        })
        .collect()
}

/// Preflight findings that were let through by hand, each with its model.
pub(crate) fn allowed(analysis: &Analysis) -> Vec<String> {
    let models = analysis.runs.models.iter();
    let findings = models.flat_map(|model| model.allowed.iter().map(move |found| (model, found)));
    findings
        .map(|(model, found)| format!("{}: {found}", model.name))
        .collect()
}
