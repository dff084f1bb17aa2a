//! `rlnet bundle`: the evidence of a run in one file.

use crate::error::{Error, Result};
use crate::request::{Global, heading, output_file};
use crate::run::bundle::Request;
use crate::terminal::{outln, print_json};
use clap::Args;
use rlnet_reports::bundle::Statement;
use rlnet_reports::format::count;
use rlnet_suites::division;
use rlnet_suites::io::file_checksum;
use serde_json::json;
use std::path::PathBuf;

/// Pack the evidence of a run into one file that others can check
///
/// Example: rlnet bundle out/cifar10-small --division closed-small --submitter 'A. Author'
///
/// Example: rlnet audit cifar10-small.zip --model out/cifar10-small:rlnet
///
/// A bundle holds all rows, the tables and model cards made from them, how each cell was computed, and the adversarial
/// examples of a few images, which are drawn by the rows' checksums. It does not hold the networks. Equal runs give
/// equal bytes. The name of the machine is left out.
#[derive(Debug, Args)]
pub struct Bundle {
    /// The run's folder
    run: PathBuf,
    /// The division whose rules it follows: open, closed or closed-small
    #[arg(long, value_name = "NAME", default_value = "open", value_parser = known, help_heading = heading::RUN)]
    division: String,
    /// Only the cells whose name matches, and the cells that they need: 'rlnet/*'
    #[arg(long, value_name = "PATTERN", help_heading = heading::RUN)]
    only: Option<String>,
    /// Images whose adversarial examples are shown (12 kB for each 32x32 image, attack and branch)
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = heading::RUN
    )]
    images: u16,
    /// Who submits it
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = STATEMENT)]
    submitter: String,
    /// Where the models or the paper can be found
    #[arg(long, value_name = "URL", default_value = "", help_heading = STATEMENT)]
    link: String,
    /// Images beyond the data set's training images that the models learnt from: none, or which
    #[arg(long, value_name = "TEXT", help_heading = STATEMENT)]
    extra_data: Option<String>,
    /// The file (default: NAME.zip, by the run's suite folder)
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    out: Option<PathBuf>,
}

/// The heading of what only its makers know.
const STATEMENT: &str = "Statement";

/// The name of a division.
fn known(text: &str) -> std::result::Result<String, String> {
    division::find(text)
        .map(|division| division.name.clone())
        .map_err(|error| error.to_string())
}

impl Bundle {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let out = match &self.out {
            Some(out) => out.clone(),
            None => {
                let folder = self
                    .run
                    .canonicalize()
                    .map_err(|error| Error::reading(&self.run, error))?;
                let name = folder
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                PathBuf::from(format!("{name}.zip"))
            }
        };
        output_file::check("--out", &out, &[])?;
        let request = Request {
            run: &self.run,
            only: self.only.as_deref(),
            images: usize::from(self.images),
            division: &self.division,
            statement: Statement {
                submitter: self.submitter.clone(),
                link: self.link.clone(),
                extra_data: self.extra_data.clone(),
            },
        };
        let packed = request.pack(&global.data_dir(), &out)?;
        let checksum = file_checksum(&out).map_err(|error| Error::reading(&out, error))?;
        let bytes = out.metadata().map_or(0, |file| file.len());
        if global.json {
            print_json(&json!({
                "file": out, "blake3": checksum, "bytes": bytes, "cells": packed.cells, "images": packed.sample.images,
            }));
        } else {
            outln!(
                "{}: {}, {}, {}\nblake3 {checksum}",
                out.display(),
                count(packed.cells, "evaluation"),
                count(packed.sample.images.len(), "drawn image"),
                rlnet_reports::format::bytes(bytes)
            );
        }
        Ok(())
    }
}
