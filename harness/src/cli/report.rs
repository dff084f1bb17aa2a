//! `rlnet report`: tables and figures from outcome rows.

use crate::error::{Result, reporting};
use crate::request::{Global, heading};
use crate::run::difference::{ValueDifference, differences, open, outcomes};
use crate::store::remote::folders;
use crate::store::{OutputLocation, folder_only};
use crate::terminal::render::show;
use crate::terminal::{outln, print_json};
use clap::{Args, Subcommand};
use rlnet_reports::{Format, MeasuredCost, PrivateInference, by_image, render_over};
use rlnet_suites::protocol::{Link, NamedLink};
use serde_json::json;
use std::path::PathBuf;

/// The heading of options about the cost of private inference.
const COST: &str = "Private inference";

/// Write the report of one or more runs; needs neither data nor a device
///
/// Example: rlnet report out/cifar10-small --format html,latex
///
/// Example: rlnet report s3://bucket/nights/monday --out monday
///
/// Example: rlnet report diff out/a:rlnet/fog out/b:rlnet/fog
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Report {
    #[command(subcommand)]
    action: Option<Action>,
    /// Run directories, or the URLs that were their --out
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<OutputLocation>,
    /// Folder in which `report/` is written (default: the first run; for a URL its working folder)
    #[arg(long, value_name = "DIR", value_parser = folder_only, help_heading = heading::OUTPUT)]
    out: Option<PathBuf>,
    /// html, md, latex, csv, json, with commas (default: all)
    #[arg(long, value_delimiter = ',', value_name = "FORMAT", help_heading = heading::OUTPUT)]
    format: Vec<Format>,
    /// Also write the score of every image under each model (CSV), for tests of your own
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    by_image: Option<PathBuf>,
    /// Link between client and server, for the cost of private inference: lan, wan or mobile (default: it does not limit)
    #[arg(long, value_name = "LINK", conflicts_with_all = ["downlink", "uplink"], help_heading = COST)]
    link: Option<NamedLink>,
    /// Measurements of a real engine (JSON of tests/peers/private_inference.py), shown beside the model. Repeat the option
    /// for more files
    #[arg(long, value_name = "FILE", help_heading = COST)]
    measured: Vec<PathBuf>,
    /// Bandwidth from server to client in Mbit/s, in place of a named link (default: no limit)
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = COST)]
    downlink: Option<f64>,
    /// Bandwidth from client to server in Mbit/s
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = COST)]
    uplink: Option<f64>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the differences between two cells: their settings, how they were computed, their outcomes
    ///
    /// Example: rlnet report diff out/a:rlnet/fog out/b:rlnet/fog
    Diff {
        /// A cell's folder, or RUN:NAME
        a: String,
        /// Another cell's folder, or RUN:NAME
        b: String,
    },
}

/// Prints what differs between two cells.
fn diff(a: &str, b: &str, json: bool) -> Result<()> {
    let (left, right) = (open(a)?, open(b)?);
    let found = differences(&json!(left.1), &json!(right.1));
    let sides = outcomes(&left, &right)?;
    if json {
        let sides = sides.iter().map(|((condition, branch), side)| {
            json!({
                "condition": condition.to_string(), "branch": branch, "images": side.images,
                "right": side.right, "predictions": side.predictions, "rows": side.rows,
            })
        });
        print_json(&json!({"differences": found, "outcomes": sides.collect::<Vec<_>>()}));
        return Ok(());
    }
    let (settings, how): (Vec<&ValueDifference>, Vec<_>) =
        found.iter().partition(|one| !one.at.starts_with("provenance"));
    for (title, list) in [("settings", settings), ("computed", how)] {
        outln!("{title}: {}", if list.is_empty() { "the same" } else { "" });
        for ValueDifference { at, a, b } in list {
            outln!("  {at}: {a} | {b}");
        }
    }
    for ((condition, branch), side) in &sides {
        let percent = |right: usize| 100.0 * right as f64 / side.images as f64;
        outln!(
            "{}, branch {}: accuracy {:.2} % | {:.2} %; {} images, {} with another prediction, {} with other numbers",
            condition,
            branch,
            percent(side.right[0]),
            percent(side.right[1]),
            side.images,
            side.predictions,
            side.rows
        );
    }
    Ok(())
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
        if let Some(Action::Diff { a, b }) = &self.action {
            return diff(a, b, global.json);
        }
        let out = match &self.out {
            Some(out) => out.clone(),
            None => self.runs[0].folder(None)?,
        };
        let runs = folders(&self.runs.iter().collect::<Vec<_>>())?;
        let formats = if self.format.is_empty() {
            &Format::ALL
        } else {
            &self.format[..]
        };
        let link = self.link.map_or(
            Link {
                down: self.downlink,
                up: self.uplink,
                delay: 0.0,
            },
            Link::from,
        );
        let mut measured = Vec::new();
        for file in &self.measured {
            // A file that is named twice was measured once.
            for found in MeasuredCost::read(file).map_err(reporting)? {
                if !measured.contains(&found) {
                    measured.push(found);
                }
            }
        }
        if let Some(file) = &self.by_image {
            by_image::write(&runs, file).map_err(reporting)?;
        }
        let rendered =
            render_over(&runs, &out, formats, PrivateInference { link, measured }).map_err(reporting)?;
        show(&rendered, global.json);
        Ok(())
    }
}
