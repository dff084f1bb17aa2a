//! `rlnet demo`: the whole story, on the embedded data set.

use super::run::Run;
use crate::error::Result;
use crate::request::Global;
use crate::store::Place;
use clap::Args;

/// The whole story on the embedded data set, on a CPU, in minutes; no download
///
/// Teacher, mask, student and a SENet-style baseline, judged on clean, corrupted and attacked
/// images, to a report. The same as `rlnet run demo`.
///
/// Example: rlnet demo --out out/demo
#[derive(Debug, Args)]
pub struct Demo {
    /// Where results go (default: out/demo): a folder, or the URL of an object store
    #[arg(long, value_name = "DIR|URL")]
    out: Option<Place>,
}

impl Demo {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        Run::demo(self.out.clone()).run(global)
    }
}
