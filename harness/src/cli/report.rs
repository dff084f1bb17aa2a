//! `rlnet report`: tables and figures from outcome rows.

use super::global::Global;
use super::{say, say_json};
use crate::error::{Error, Result};
use clap::Args;
use super::pending::{Format, render};
use std::path::PathBuf;

/// Draw the report of one or more runs; needs neither data nor a device
///
/// Example: rlnet report out/cifar10-small --format html,latex
#[derive(Debug, Args)]
pub struct Report {
    /// Run directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the report goes (default: report/ in the first run)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// html, md, latex, csv, json (default: all)
    #[arg(long, value_delimiter = ',', value_name = "FORMAT")]
    format: Vec<Format>,
}

impl Report {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let out = self.out.clone().unwrap_or_else(|| self.runs[0].join("report"));
        let formats = if self.format.is_empty() {
            Format::ALL
        } else {
            &self.format
        };
        let rendered =
            render(&self.runs, &out, formats).map_err(|error| Error::Input(error.to_string()))?;
        if global.json {
            say_json(&rendered.main_table_json);
        } else {
            say(&rendered.main_table_markdown);
            say(&format!("Report: {}", rendered.index.display()));
        }
        Ok(())
    }
}
