//! Makes a synthetic run and its report, to look at while working on the reports:
//! `cargo run -p rlnet-reports --example synthetic_report -- FOLDER [SUITE.toml]`

#[path = "../tests/synthetic/mod.rs"]
#[allow(dead_code)]
mod synthetic;

use rlnet_reports::{Format, render};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        writeln!(std::io::stderr(), "usage: synthetic_report FOLDER [SUITE.toml]").ok();
        return ExitCode::from(2);
    };
    let plan = match std::env::args().nth(2).map(std::fs::read_to_string) {
        None => synthetic::plan(&[]),
        Some(Ok(text)) => synthetic::plan_of(&text, &["data.test=500"]),
        Some(Err(error)) => {
            writeln!(std::io::stderr(), "the suite: {error}").ok();
            return ExitCode::from(2);
        }
    };
    synthetic::write_run(&folder, &plan, |_| true);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    match render(std::slice::from_ref(&folder), &folder, &Format::ALL) {
        Ok(rendered) => {
            writeln!(out, "{}\n{}", rendered.markdown, rendered.index.display()).ok();
            ExitCode::SUCCESS
        }
        Err(error) => {
            writeln!(err, "{error}").ok();
            ExitCode::FAILURE
        }
    }
}
