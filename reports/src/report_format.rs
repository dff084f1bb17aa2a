//! The forms in which a report can be written.

use rlnet_suites::SuiteError;
use rlnet_suites::error::suggest;
use std::fmt;
use std::str::FromStr;

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One self-contained page.
    Html,
    /// Tables as Markdown.
    Markdown,
    /// Tables as LaTeX.
    Latex,
    /// Tables as CSV, raw numbers.
    Csv,
    /// Tables as JSON, everything.
    Json,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Html, Self::Markdown, Self::Latex, Self::Csv, Self::Json];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Latex => "latex",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// The ending of the tables' files; the page has the tables inside.
    pub(crate) fn extension(self) -> Option<&'static str> {
        match self {
            Self::Html => None,
            Self::Markdown => Some("md"),
            Self::Latex => Some("tex"),
            Self::Csv => Some("csv"),
            Self::Json => Some("json"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        match text.trim().to_lowercase().as_str() {
            "markdown" => Ok(Self::Markdown),
            "tex" => Ok(Self::Latex),
            name => Self::ALL
                .into_iter()
                .find(|format| format.name() == name)
                .ok_or_else(|| SuiteError::value("format", text, suggest(name, Self::ALL.map(Self::name)))),
        }
    }
}
