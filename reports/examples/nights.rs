//! Draws a history with a step at its thirteenth night, to look at while working on the figure:
//! `cargo run -p rlnet-reports --example nights -- FOLDER`

#[path = "../tests/synthetic/mod.rs"]
#[allow(dead_code)]
mod synthetic;

use rlnet_reports::history;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        writeln!(std::io::stderr(), "usage: nights FOLDER").ok();
        return ExitCode::from(2);
    };
    for number in 0..20 {
        // Two nights were missed.
        if ![7, 8].contains(&number) {
            synthetic::nights::night(&folder, number, if number < 13 { 0.80 } else { 0.74 });
        }
    }
    let drawn = history::update(&folder).and_then(|found| {
        let files = found.draw(&folder)?;
        Ok((found.markdown(), files))
    });
    match drawn {
        Ok((text, files)) => {
            writeln!(std::io::stdout(), "{text}\n{}", files[0].display()).ok();
            ExitCode::SUCCESS
        }
        Err(error) => {
            writeln!(std::io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}
