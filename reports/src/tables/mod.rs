//! Tables: typed cells with their provenance, written as Markdown, CSV, LaTeX, JSON and
//! (by the page's template) HTML. What a table says is in one file a topic.

pub mod accuracy;
pub mod attacks;
mod by_branch;
pub mod calibration;
pub mod carried;
pub mod certified;
pub mod classes;
pub mod comparison;
pub mod confusion;
pub mod cost;
mod csv;
pub mod deployed;
pub mod diagnosis;
pub mod errors;
pub mod external;
pub(crate) mod for_people;
mod json;
mod latex;
pub(crate) mod markdown;
pub mod matched_pairs;
pub mod measured;
pub mod optimality;
pub mod overlap;
pub mod private;
pub mod provenance;
pub mod published;
pub mod reduction;
pub mod robust;
pub mod searches;
pub mod sequences;
pub mod similarity;
pub mod trainings;
pub mod unstable;

use crate::error::ReportError;
use crate::format;
use crate::metrics::mce::Ratio;
use crate::metrics::{Difference, Estimate, Known, Unknown};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// What a column holds; it decides alignment and the raw columns of CSV files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Words.
    Text,
    /// A share with interval and counts.
    Share,
    /// A difference of shares with interval.
    Points,
    /// A ratio or a difference of ratios, in percent, with interval.
    Ratio,
    /// A p-value.
    P,
    /// A whole number.
    Integer,
    /// Any other number, with so many decimals.
    Number(u8),
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Name in CSV and JSON files.
    pub key: String,
    /// Heading.
    pub head: String,
    /// Unit, for the heading.
    pub unit: &'static str,
    /// What it holds.
    pub kind: Kind,
}

impl Column {
    /// A column.
    pub fn new(key: impl Into<String>, head: impl Into<String>, unit: &'static str, kind: Kind) -> Self {
        Self {
            key: key.into(),
            head: head.into(),
            unit,
            kind,
        }
    }

    /// A column of words.
    pub fn text(key: impl Into<String>, head: impl Into<String>) -> Self {
        Self::new(key, head, "", Kind::Text)
    }

    /// A column of shares, in percent.
    pub fn share(key: impl Into<String>, head: impl Into<String>) -> Self {
        Self::new(key, head, "%", Kind::Share)
    }

    /// A column of whole numbers.
    pub fn integer(key: impl Into<String>, head: impl Into<String>) -> Self {
        Self::new(key, head, "", Kind::Integer)
    }

    /// Heading and unit.
    pub fn title(&self) -> String {
        if self.unit.is_empty() {
            self.head.clone()
        } else {
            format!("{} ({})", self.head, self.unit)
        }
    }
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A share.
    Share(Estimate),
    /// A difference of shares.
    Points(Difference),
    /// A ratio, or a difference of ratios.
    Ratio(Ratio),
    /// A p-value.
    P(f64),
    /// A whole number.
    Integer(u64),
    /// Any other number.
    Number(f64),
    /// Nothing, and why.
    Absent(Unknown),
}

/// A cell: what it says and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What it says.
    pub value: Value,
    /// Where it comes from: counts, condition, branch, cells.
    pub trace: String,
}

impl Cell {
    /// A cell that needs no trace.
    pub fn of(value: Value) -> Self {
        Self {
            value,
            trace: String::new(),
        }
    }

    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Value::Text(text.into()))
    }

    /// A share, or why it is not there.
    pub fn share(known: &Known<Estimate>, source: &str) -> Self {
        match known {
            Ok(estimate) => Self {
                trace: format!(
                    "{} of {} {}, {source}",
                    format::thousands(estimate.right),
                    format::thousands(estimate.answers),
                    if estimate.answers == estimate.images {
                        "images".to_owned()
                    } else {
                        format!("answers on {} images", format::thousands(estimate.images))
                    }
                ),
                value: Value::Share(estimate.clone()),
            },
            Err(unknown) => Self::of(Value::Absent(unknown.clone())),
        }
    }

    /// A number that may be missing, with its reason.
    pub fn number(known: Option<f64>, why: &str) -> Self {
        known.map_or_else(|| Self::absent(why), |number| Self::of(Value::Number(number)))
    }

    /// Nothing, and why.
    pub fn absent(why: impl Into<String>) -> Self {
        Self::of(Value::Absent(Unknown::because(why)))
    }

    /// A whole number.
    pub fn integer(number: impl Into<u64>) -> Self {
        Self::of(Value::Integer(number.into()))
    }

    /// The number as text, and its interval.
    pub fn shown(&self, kind: Kind) -> (String, String) {
        let range = |low: String, high: String| format!("[{low}, {high}]");
        match &self.value {
            Value::Text(text) => (text.clone(), String::new()),
            Value::Share(e) => (
                format::percent(e.value),
                range(format::percent(e.low), format::percent(e.high)),
            ),
            Value::Points(d) => (
                format::points(d.value),
                range(format::points(d.low), format::points(d.high)),
            ),
            Value::Ratio(r) => (
                format::percent(r.value),
                range(format::percent(r.low), format::percent(r.high)),
            ),
            Value::P(p) => (format::p_value(*p), String::new()),
            Value::Integer(n) => (format::thousands(*n), String::new()),
            Value::Number(x) => match kind {
                Kind::Number(digits) => (format::number(*x, usize::from(digits)), String::new()),
                _ => (x.to_string(), String::new()),
            },
            Value::Absent(Unknown::Unfinished(_)) => ("unfinished".to_owned(), String::new()),
            Value::Absent(Unknown::Because(_)) => ("\u{2013}".to_owned(), String::new()),
        }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name of its files.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// Definitions needed to read it.
    pub caption: String,
    /// Columns; the first ones of kind text name the row.
    pub columns: Vec<Column>,
    /// Rows, one cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// Where people are shown a part only: everything, for CSV and JSON.
    pub whole: Option<Arc<dyn Whole>>,
}

/// All rows of a table too large to be shown, made while they are written: the overlap of 500
/// attacks has 125,000 of them for every network and branch.
pub trait Whole: fmt::Debug + Send + Sync {
    /// Columns; they may be more than those shown.
    fn columns(&self) -> &[Column];
    /// Makes one row after the other.
    fn each(&self, take: &mut dyn FnMut(Vec<Cell>));
}

impl Table {
    /// A table of rows that are shown whole.
    pub fn new(
        id: &'static str,
        title: impl Into<String>,
        caption: impl Into<String>,
        columns: Vec<Column>,
        rows: Vec<Vec<Cell>>,
    ) -> Self {
        Self {
            id,
            title: title.into(),
            caption: caption.into(),
            columns,
            rows,
            whole: None,
        }
    }

    /// GitHub-flavoured Markdown.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// CSV with raw numbers, interval ends and counts in columns of their own.
    ///
    /// # Errors
    /// When the writer fails: a defect of this program.
    pub fn csv(&self) -> Result<String, ReportError> {
        csv::write(self).map_err(|error| ReportError::make(format!("table `{}`", self.id), error))
    }

    /// LaTeX with booktabs.
    pub fn latex(&self) -> String {
        latex::write(self)
    }

    /// JSON of the rows that are shown, with all their counts.
    pub fn json(&self) -> serde_json::Value {
        json::write(self)
    }

    /// JSON with everything, as text; of a table that is shown in part, a row a line.
    ///
    /// # Errors
    /// When the writer fails: a defect of this program.
    pub fn json_text(&self) -> Result<String, ReportError> {
        json::text(self).map_err(|error| ReportError::make(format!("table `{}`", self.id), error))
    }
}
