//! Makes a synthetic run and its report, to look at while working on the reports:
//! `cargo run -p rlnet-reports --example synthetic_report -- FOLDER`

#[path = "../tests/synthetic/mod.rs"]
#[allow(dead_code)]
mod synthetic;

use rlnet_reports::{Format, render};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        writeln!(std::io::stderr(), "usage: synthetic_report FOLDER").ok();
        return ExitCode::from(2);
    };
    synthetic::write_run(&folder, &synthetic::plan(&[]), |_| true);
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
