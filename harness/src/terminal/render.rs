//! A report that is there, so that one of the same cells is not drawn again.

use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::run::{Executed, RunDirectory};
use crate::terminal::{print_json, print_line};
use rlnet_reports::{Format, Rendered, render};
use rlnet_suites::Plan;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Draws the report of a run directory, unless it is of these very cells already, and says where
/// it is.
pub fn finish(directory: &RunDirectory, plan: &Plan, json: bool, executed: &Executed) -> Result<()> {
    // Another suite may share the directory: the report is of this one.
    let _own = directory.own_plan(plan)?;
    let of = directory.state(plan)?;
    let drawn = match Drawn::find(directory.root(), &of) {
        Some(drawn) => drawn,
        None => {
            let out = directory.root();
            let rendered = render(&[out.to_path_buf()], out, &Format::ALL)?;
            let drawn = Drawn::new(of, &rendered);
            drawn.keep(out)?;
            drawn
        }
    };
    drawn.show(json);
    if executed.computed + executed.shared == 0 && !json {
        print_line("Every cell was done before; nothing was computed.");
    }
    Ok(())
}

/// A drawn report on the terminal: the main table, the answer, the page.
pub fn show(rendered: &Rendered, json: bool) {
    if json {
        print_json(&rendered.json);
        return;
    }
    print_line(&text(rendered));
}

/// What a drawn report says on the terminal, and of which cells it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drawn {
    of: String,
    text: String,
    json: serde_json::Value,
}

impl Drawn {
    fn file(out: &Path) -> PathBuf {
        out.join("report").join("drawn.json")
    }

    /// The report that is there, when it is of these cells.
    pub fn find(out: &Path, of: &str) -> Option<Self> {
        let drawn: Self = serde_json::from_slice(&std::fs::read(Self::file(out)).ok()?).ok()?;
        (drawn.of == of && out.join("report").join("index.html").exists()).then_some(drawn)
    }

    /// A report drawn now, of cells in this state.
    pub fn new(of: String, rendered: &Rendered) -> Self {
        Self {
            of,
            text: text(rendered),
            json: rendered.json.clone(),
        }
    }

    /// Keeps it beside the page.
    pub fn keep(&self, out: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(Error::internal)?;
        write_atomic(&Self::file(out), &bytes)
    }

    /// On the terminal, or as JSON.
    pub fn show(&self, json: bool) {
        if json {
            print_json(&self.json);
        } else {
            print_line(&self.text);
        }
    }
}

/// The main table, the answer, where the page is.
pub fn text(rendered: &Rendered) -> String {
    let mut text = format!("{}\n", rendered.markdown);
    for sentence in &rendered.answer {
        text += &format!("{sentence}\n");
    }
    text + &format!("Report: {}", rendered.index.display())
}
