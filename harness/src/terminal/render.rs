//! The report at the end of a command: rendered, or found as it was rendered of the same cells.

use super::{print_json, print_line};
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::run::{Executed, RunDirectory};
use rlnet_reports::{Format, Rendered, render};
use rlnet_suites::Plan;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Renders the report of a run directory, unless it is there of these very cells, and prints its
/// main table and its place.
///
/// # Errors
/// When the rows cannot be read, or the report cannot be written.
pub fn finish(directory: &RunDirectory, plan: &Plan, json: bool, executed: &Executed) -> Result<()> {
    // Another suite may share the directory: the report is of this one.
    let _own = directory.own_plan(plan)?;
    let (out, of) = (directory.root(), directory.state(plan)?);
    let report = match TerminalReport::find(out, &of) {
        Some(report) => report,
        None => {
            let report = TerminalReport::new(of, &render(&[out.to_path_buf()], out, &Format::ALL)?);
            let bytes = serde_json::to_vec(&report).map_err(Error::internal)?;
            write_atomic(&TerminalReport::file(out), &bytes)?;
            report
        }
    };
    report.print(json);
    if executed.computed + executed.shared == 0 && !json {
        print_line("Every cell was done before; nothing was computed.");
    }
    Ok(())
}

/// Prints a report that was rendered now.
pub fn show(rendered: &Rendered, json: bool) {
    TerminalReport::new(String::new(), rendered).print(json);
}

/// What the terminal shows of a report, kept beside its page.
#[derive(Debug, Serialize, Deserialize)]
struct TerminalReport {
    /// The state of the cells that it is of.
    of: String,
    /// The main table, the summary, and where the page is.
    text: String,
    json: serde_json::Value,
}

impl TerminalReport {
    fn new(of: String, rendered: &Rendered) -> Self {
        let mut text = format!("{}\n", rendered.markdown);
        for sentence in &rendered.answer {
            text += &format!("{sentence}\n");
        }
        Self {
            of,
            text: text + &format!("Report: {}", rendered.index.display()),
            json: rendered.json.clone(),
        }
    }

    fn file(out: &Path) -> PathBuf {
        out.join("report").join("drawn.json")
    }

    /// The report that is there, when it is of these cells.
    fn find(out: &Path, of: &str) -> Option<Self> {
        let report: Self = serde_json::from_slice(&std::fs::read(Self::file(out)).ok()?).ok()?;
        (report.of == of && out.join("report").join("index.html").exists()).then_some(report)
    }

    fn print(&self, json: bool) {
        if json {
            print_json(&self.json);
        } else {
            print_line(&self.text);
        }
    }
}
