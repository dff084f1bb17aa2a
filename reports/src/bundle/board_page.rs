//! The page of a board, in the look of a report.

use super::board::Board;
use crate::error::ReportError;
use crate::glossary::{self, Term};
use crate::html::{self, PageFigure, PageTable};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

const TEMPLATE: &str = include_str!("../../templates/board.html");

/// Terms of a board's columns.
const TERMS: &[Term] = &[
    glossary::CA,
    glossary::NPA,
    glossary::ADVA,
    glossary::RELUS,
    glossary::INTERVAL,
    glossary::WORST,
];

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    groups: Vec<PageGroup>,
    refused: &'a [String],
    published: PageTable,
    terms: &'static [Term],
}

#[derive(Serialize)]
struct PageGroup {
    table: PageTable,
    figure: Option<PageFigure>,
}

/// Writes the page.
///
/// # Errors
/// When the template fails: a defect of this program.
pub(super) fn page(board: &Board, title: &str) -> Result<String, ReportError> {
    let groups = board.groups.iter().map(|group| PageGroup {
        table: html::page_table(&group.table, TERMS, true, &[]),
        figure: group.figure.as_ref().map(|figure| {
            let mut figure = html::page_figure(figure);
            // A board is one file.
            figure.files.clear();
            figure
        }),
    });
    let page = Page {
        title,
        groups: groups.collect(),
        refused: &board.refused,
        published: html::page_table(&board.published, &[], false, &[]),
        terms: TERMS,
    };
    html::rendered(TEMPLATE, context! { page => Value::from(Serde(&page)) })
}
