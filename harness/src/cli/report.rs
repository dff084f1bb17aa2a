//! `rlnet report`: tables and figures from outcome rows.

use super::global::Global;
use super::run::show;
use crate::error::{Error, Result};
use clap::Args;
use rlnet_reports::{Format, render};
use std::path::PathBuf;

/// Draw the report of one or more runs; needs neither data nor a device
///
/// Example: rlnet report out/cifar10-small --format html,latex
#[derive(Debug, Args)]
pub struct Report {
    /// Run directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder that gets `report/` (default: the first run)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// html, md, latex, csv, json (default: all)
    #[arg(long, value_delimiter = ',', value_name = "FORMAT")]
    format: Vec<Format>,
}

impl Report {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let out = self.out.as_ref().unwrap_or(&self.runs[0]);
        let formats = if self.format.is_empty() {
            &Format::ALL
        } else {
            &self.format[..]
        };
        let rendered = render(&self.runs, out, formats).map_err(|error| Error::Input(error.to_string()))?;
        show(&rendered, global.json);
        Ok(())
    }
}
