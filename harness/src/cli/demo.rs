//! `rlnet demo`: a whole experiment on the embedded data set.

use super::run::Run;
use crate::error::Result;
use crate::request::{Global, heading};
use crate::store::OutputLocation;
use clap::Args;

/// Run a small experiment on the embedded data set: on a CPU, in minutes, without a download
///
/// Example: rlnet demo --out out/demo
///
/// It trains a teacher, a mask, a student and a SENet-style baseline, evaluates them on clean,
/// corrupted and attacked images, and writes the report. The same as `rlnet run demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder for results (default: out/demo), or the URL of an object store
    #[arg(long, value_name = "DIR|URL", help_heading = heading::OUTPUT)]
    out: Option<OutputLocation>,
}

impl Demo {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        Run::demo(self.out.clone()).run(global)
    }
}
