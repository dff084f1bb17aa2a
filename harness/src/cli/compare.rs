//! `rlnet compare`: a gate between two runs.

use crate::error::{Error, Result, reporting};
use crate::request::{Global, heading, output_file};
use crate::store::OutputLocation;
use crate::store::remote::folders;
use crate::terminal::{print_json, print_line};
use clap::Args;
use rlnet_reports::gate;
use rlnet_suites::Gate;
use std::path::PathBuf;

/// Compare a run with an older one, image by image; exit code 1 if the gate fails
///
/// Example: rlnet compare nights/monday nights/tuesday --junit gate.xml
///
/// It reports which numbers changed more than chance explains, which images changed their
/// prediction, and whether weights, attack, data or arithmetic changed. If nothing can be tested,
/// for example because the older run has no finished cell, the exit code is 2.
#[derive(Debug, Args)]
pub struct Compare {
    /// The older run: its directory, or the URL that was its --out
    base: OutputLocation,
    /// The newer run
    current: OutputLocation,
    /// The gate: how much the newer run may lose (a TOML file like suites/gates/nightly.toml; default:
    /// the built-in gate `nightly`)
    #[arg(long, value_name = "FILE")]
    gate: Option<PathBuf>,
    /// Also write the result as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    junit: Option<PathBuf>,
}

impl Compare {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        if let Some(file) = &self.junit {
            output_file::check(
                "--junit",
                file,
                &self.gate.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
            )?;
        }
        let gate = match &self.gate {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| Error::reading(file, error))?;
                Gate::parse(&text, &file.display().to_string())?
            }
            None => Gate::parse(rlnet_suites::gate::NIGHTLY, "the gate nightly")?,
        };
        let runs = folders(&[&self.base, &self.current])?;
        let verdict = gate::compare(&runs[0], &runs[1], &gate).map_err(reporting)?;
        if let Some(file) = &self.junit {
            verdict.write_junit(file).map_err(reporting)?;
        }
        if global.json {
            print_json(&verdict.json());
        } else {
            print_line(verdict.markdown().trim_end());
        }
        match verdict.reasons.as_slice() {
            [] => Ok(()),
            [only] => Err(Error::Differs(format!("gate {} tripped: {only}", gate.name))),
            all => Err(Error::Differs(format!(
                "gate {} tripped for {} reasons:\n{}",
                gate.name,
                all.len(),
                all.join("\n")
            ))),
        }
    }
}
