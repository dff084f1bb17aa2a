//! `rlnet report`: tables and figures from outcome rows.

use super::global::Global;
use super::run::show;
use crate::error::{Error, Result};
use clap::Args;
use rlnet_reports::metrics::Link;
use rlnet_reports::{Format, render_over};
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
    /// Mbit/s from server to client, for the cost of private inference (default: not limiting)
    #[arg(long, value_name = "RATE", value_parser = rate)]
    downlink: Option<f64>,
    /// Mbit/s from client to server, likewise
    #[arg(long, value_name = "RATE", value_parser = rate)]
    uplink: Option<f64>,
}

/// A rate above zero.
fn rate(text: &str) -> std::result::Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "a number of Mbit/s above 0, as 100".to_owned())
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
        let link = Link {
            down: self.downlink,
            up: self.uplink,
        };
        let rendered =
            render_over(&self.runs, out, formats, link).map_err(|error| Error::Input(error.to_string()))?;
        show(&rendered, global.json);
        Ok(())
    }
}
