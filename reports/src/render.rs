//! A report, written into a folder: the page, the tables and the figures, each whole or not
//! at all.

use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::figures::Figure;
use crate::files;
use crate::html;
use crate::measured_cost::PrivateInference;
use crate::model_card;
use crate::report_format::Format;
use crate::runs::Runs;
use crate::sections::{self, Content, Place, SECTIONS, Section};
use crate::summary;
use crate::tables::for_people::{for_people, turned};
use crate::tables::{self, Table};
use std::path::{Path, PathBuf};

/// What was written, and what a terminal shows of it.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The page; the report's folder when no page was asked for.
    pub index: PathBuf,
    /// The report's folder.
    pub folder: PathBuf,
    /// Every file written.
    pub files: Vec<PathBuf>,
    /// The main table, for a terminal.
    pub markdown: String,
    /// Warnings, and the summary: the verdict and at most three more sentences.
    pub answer: Vec<String>,
    /// The main table with all its counts, for `--json`.
    pub json: serde_json::Value,
}

/// Reads runs and writes their report into `out/report`.
///
/// # Errors
/// When a folder is not a run, a file is damaged, the runs do not fit together, or a file
/// cannot be written.
pub fn render(dirs: &[PathBuf], out: &Path, formats: &[Format]) -> Result<Rendered, ReportError> {
    render_over(dirs, out, formats, PrivateInference::default())
}

/// As [`render`], with private inference costed over a link, and beside measurements.
///
/// # Errors
/// As [`render`].
pub fn render_over(
    dirs: &[PathBuf],
    out: &Path,
    formats: &[Format],
    private: PrivateInference,
) -> Result<Rendered, ReportError> {
    let mut analysis = Analysis::of(Runs::load(dirs)?)?;
    analysis.private = private;
    // An empty report would replace one that has numbers.
    if analysis.runs.records().is_empty() {
        let names: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        return Err(ReportError::Unfit {
            what: names.join(", "),
            message: format!(
                "none of the {} cells of its plan is done, so there is nothing to report; finish one first (a report \
                 that is there stays as it is)",
                analysis.runs.missing().len()
            ),
        });
    }
    write(&analysis, out, formats)
}

/// Writes the report of an analysis into `out/report`.
///
/// # Errors
/// When a file of a run cannot be read or a file of the report cannot be written.
pub fn write(analysis: &Analysis, out: &Path, formats: &[Format]) -> Result<Rendered, ReportError> {
    let folder = out.join("report");
    // Raw numbers need no drawings.
    let draw = formats
        .iter()
        .any(|format| !matches!(format, Format::Csv | Format::Json));
    let shown = sections::shown(analysis, SECTIONS, draw)?;
    let mut written = Vec::new();
    let mut put = |path: PathBuf, bytes: &[u8]| -> Result<PathBuf, ReportError> {
        files::write_atomic(&path, bytes)?;
        written.push(path.clone());
        Ok(path)
    };
    files::create_folder(&folder.join("tables"))?;
    for (section, content) in &shown {
        let Content::Table(table) = content else { continue };
        for format in formats {
            if let Some((extension, text)) = table_text(table, *format)? {
                let path = folder.join("tables").join(format!("{}.{extension}", section.id));
                put(path, text.as_bytes())?;
            }
        }
    }
    if formats.contains(&Format::Json) {
        files::create_folder(&folder.join("model_cards"))?;
        for card in model_card::cards(analysis) {
            let text = serde_json::to_string_pretty(&card.json)
                .map_err(|error| ReportError::make(format!("card `{}`", card.file), error))?;
            put(folder.join("model_cards").join(&card.file), text.as_bytes())?;
        }
    }
    let mut index = folder.clone();
    if draw {
        files::create_folder(&folder.join("figures"))?;
        for (_, content) in &shown {
            if let Content::Figure(figure) = content {
                put_figure(&folder.join("figures"), figure, &mut put)?;
            }
        }
        // The page last: whoever sees it sees what it links to.
        if formats.contains(&Format::Html) {
            let page = html::page(analysis, &shown, formats)?;
            index = put(folder.join("index.html"), page.as_bytes())?;
        }
    }
    let main = tables::accuracy::main(analysis);
    let mut json = main.json();
    let tables = shown.iter().filter_map(|(section, content)| match content {
        // Times and machines are not what was found: the same run twice tells the same.
        Content::Table(table) if section.place != Place::Provenance => {
            Some((section.id.to_owned(), table.json()))
        }
        Content::Table(_) | Content::Figure(_) => None,
    });
    json["tables"] = tables.collect::<serde_json::Map<_, _>>().into();
    let diagnosis = tables::diagnosis::diagnosis(analysis);
    if let (false, Some(fields)) = (diagnosis.rows.is_empty(), json.as_object_mut()) {
        fields.insert("diagnosis".to_owned(), diagnosis.json());
    }
    let allowed = html::allowed(analysis);
    if let (false, Some(fields)) = (allowed.is_empty(), json.as_object_mut()) {
        fields.insert("allowed".to_owned(), allowed.into());
    }
    if let (false, Some(fields)) = (analysis.flags.is_empty(), json.as_object_mut()) {
        let flags =
            serde_json::to_value(&analysis.flags).map_err(|error| ReportError::make("the flags", error))?;
        fields.insert("flags".to_owned(), flags);
    }
    Ok(Rendered {
        index,
        folder,
        files: written,
        markdown: terminal(&main, &shown),
        answer: [
            summary::scales(analysis),
            summary::notices(analysis),
            summary::sentences(analysis),
        ]
        .concat(),
        json,
    })
}

/// Columns of accuracies per corruption that a terminal has room for.
const ROOM: usize = 4;

/// What a terminal shows: the main table with the terms that name its rows, and of few models the accuracy per
/// corruption.
fn terminal(main: &Table, shown: &[(&Section, Content)]) -> String {
    let main = for_people(main);
    let mut text = main.markdown();
    for term in tables::accuracy::MAIN.terms {
        let named =
            |cell: &tables::Cell| matches!(&cell.value, tables::Value::Text(text) if text == term.name);
        if main.rows.iter().flatten().any(named) {
            text.push_str(&format!("{}: {}\n", term.name, term.meaning));
        }
    }
    let corruptions = shown.iter().find_map(|(section, content)| match content {
        Content::Table(table) if section.id == tables::accuracy::CORRUPTIONS.id => Some(for_people(table)),
        _ => None,
    });
    if let Some(table) = corruptions.filter(|table| table.rows.len() <= ROOM) {
        text.push_str(&format!("\n{}", turned(&table, "Corruption").markdown()));
    }
    text
}

/// The main table with all its counts, for `--json`, without writing anything.
///
/// # Errors
/// As [`render`], but for writing.
pub fn main_table_json(dirs: &[PathBuf]) -> Result<serde_json::Value, ReportError> {
    let analysis = Analysis::of(Runs::load(dirs)?)?;
    Ok(tables::accuracy::main(&analysis).json())
}

fn table_text(table: &Table, format: Format) -> Result<Option<(&'static str, String)>, ReportError> {
    let text = match format {
        Format::Html => return Ok(None),
        Format::Markdown => for_people(table).markdown(),
        Format::Latex => for_people(table).latex(),
        Format::Csv => table.csv()?,
        Format::Json => table.json_text()?,
    };
    Ok(format.extension().map(|extension| (extension, text)))
}

fn put_figure(
    folder: &Path,
    figure: &Figure,
    put: &mut impl FnMut(PathBuf, &[u8]) -> Result<PathBuf, ReportError>,
) -> Result<(), ReportError> {
    if let Some(svg) = figure.standalone() {
        put(folder.join(format!("{}.svg", figure.id)), svg.as_bytes())?;
    }
    put(folder.join(format!("{}.png", figure.id)), &figure.png)?;
    Ok(())
}
