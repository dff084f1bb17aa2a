//! `rlnet history`: a series of nightly runs.

use crate::error::{Result, reporting};
use crate::request::Global;
use crate::terminal::{outln, print_json, print_line};
use clap::Args;
use rlnet_reports::history;
use serde_json::json;
use std::path::PathBuf;

/// Collect the numbers of nightly runs, find sudden changes, and plot them
///
/// Example: rlnet history nights
///
/// It adds every finished run in a sub-folder of DIR to DIR/history.parquet, which stays when runs
/// are deleted, and plots DIR/history.svg and history.png.
#[derive(Debug, Args)]
pub struct History {
    /// Folder of run directories
    dir: PathBuf,
}

impl History {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let found = history::update(&self.dir).map_err(reporting)?;
        let files = found.draw(&self.dir).map_err(reporting)?;
        if global.json {
            let lines: Vec<_> = found
                .lines
                .iter()
                .map(|line| {
                    let pieces: Vec<_> = line
                        .segments
                        .iter()
                        .map(|segment| {
                            json!({
                                "from": line.points[segment.start].night,
                                "nights": segment.end - segment.start,
                                "level": segment.level,
                            })
                        })
                        .collect();
                    json!({"name": line.name, "nights": line.points.len(), "pieces": pieces})
                })
                .collect();
            print_json(&json!({
                "added": found.added, "left_out": found.left_out, "lines": lines,
                "steps": found.steps(), "files": files,
            }));
            return Ok(());
        }
        print_line(found.markdown().trim_end());
        for night in &found.left_out {
            outln!("Left out: {night}");
        }
        outln!(
            "{} nights added; plotted in {}",
            found.added.len(),
            self.dir.join("history.svg").display()
        );
        Ok(())
    }
}
