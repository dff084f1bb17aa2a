//! The sections of a report: one slice, from which the page and the files of tables and figures
//! are made. A section is a table or a figure; its file says where it stands on the page, what it
//! shows and which terms it needs. To add one: write its file and add a line to [`SECTIONS`].

use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::glossary::Term;
use crate::tables::for_people::unmarked;
use crate::tables::{self, Table};

/// Where a section stands on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the first screen, beside the other sections of this place.
    FirstScreen,
    /// In the grid below it, in the order of the slice.
    Grid,
    /// Folded, under "All numbers".
    Numbers,
    /// Folded, under "Provenance".
    Provenance,
}

/// What a section shows.
#[derive(Debug, Clone, Copy)]
pub enum Show {
    /// A table; one without rows is left out.
    Table(fn(&Analysis) -> Table),
    /// A figure; nothing where the runs have no data for it.
    Figure(fn(&Analysis) -> Result<Option<Figure>, ReportError>),
}

/// A table or a figure of the report.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Name of its files and of its place on the page (`table-ID` or `figure-ID`).
    pub id: &'static str,
    /// Where it stands on the page.
    pub place: Place,
    /// What it shows.
    pub show: Show,
    /// Terms that a reader of it may want explained.
    pub terms: &'static [Term],
}

/// Every section, in the order of the page.
pub const SECTIONS: &[Section] = &[
    figures::relus::SECTION,
    tables::accuracy::MAIN,
    figures::cost::SECTION,
    figures::measured::SECTION,
    figures::deployed::SECTION,
    figures::corruptions::SECTION,
    figures::radius::SECTION,
    figures::optimality::SECTION,
    figures::examples::SECTION,
    figures::severity::SECTION,
    figures::carried::SECTION,
    figures::confusion::SECTION,
    figures::bracket::SECTION,
    figures::layers::SECTION,
    figures::masks::SECTION,
    figures::training::SECTION,
    tables::trainings::SECTION,
    tables::comparison::SECTION,
    tables::comparison::BOOTSTRAP,
    tables::comparison::ORACLE_GAP,
    tables::matched_pairs::SECTION,
    tables::reduction::KNEES,
    tables::reduction::SECTION,
    tables::diagnosis::SECTION,
    tables::robust::JOINT,
    tables::published::SECTION,
    tables::errors::MCE,
    tables::errors::CE,
    tables::carried::SECTION,
    tables::accuracy::CORRUPTIONS,
    tables::accuracy::SEVERITIES,
    tables::sequences::SECTION,
    tables::sequences::ORDER,
    tables::attacks::SECTION,
    tables::attacks::ONE_BY_ONE,
    tables::certified::SECTION,
    tables::unstable::SECTION,
    tables::external::SECTION,
    tables::robust::CURVES,
    tables::robust::MINIMA,
    tables::optimality::SECTION,
    tables::optimality::GLOBAL,
    tables::optimality::UNIONS,
    tables::overlap::SECTION,
    tables::classes::WORST,
    tables::classes::SECTION,
    tables::confusion::SECTION,
    tables::calibration::SECTION,
    tables::cost::MODELS,
    tables::cost::LAYERS,
    tables::private::BUYS,
    tables::measured::MEASURED,
    tables::measured::LINES,
    tables::deployed::SECTION,
    tables::similarity::SECTION,
    tables::provenance::IDENTITIES,
    tables::provenance::TRAINING,
    tables::searches::SECTION,
    tables::provenance::CELLS,
];

/// What a section shows of some runs.
#[derive(Debug, Clone)]
pub enum Content {
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
}

impl Content {
    /// With what is said of branches only where there are some.
    fn unmarked(mut self, branches: bool) -> Self {
        let texts = match &mut self {
            Self::Table(table) => vec![&mut table.title, &mut table.caption],
            Self::Figure(figure) => vec![&mut figure.caption, &mut figure.alt],
        };
        for text in texts {
            *text = unmarked(text, branches);
        }
        self
    }
}

/// The sections that have something to show, each with it. Figures are drawn on request only.
///
/// # Errors
/// When a file of a run cannot be read, or drawing fails.
pub fn shown<'a>(
    analysis: &Analysis,
    sections: &'a [Section],
    draw: bool,
) -> Result<Vec<(&'a Section, Content)>, ReportError> {
    let mut all = Vec::new();
    for section in sections {
        let content = match section.show {
            Show::Table(table) => Some(table(analysis))
                .filter(|table| !table.rows.is_empty())
                .map(Content::Table),
            Show::Figure(figure) if draw => figure(analysis)?.map(Content::Figure),
            Show::Figure(_) => None,
        };
        all.extend(content.map(|content| (section, content.unmarked(analysis.has_branches()))));
    }
    Ok(all)
}
