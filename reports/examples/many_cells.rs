//! How long a report of five hundred cells takes: `cargo run -p rlnet-reports --example
//! many_cells -- FOLDER [SHAPE]`. Prints the seconds of the report alone; the run is made first.
//! Shapes: `corruptions` (23 networks under corruptions and four attacks), `attacks` (one
//! network under 504 settings of an attack), `both` (23 networks under 22 attacks).

#[path = "../tests/synthetic/mod.rs"]
#[allow(dead_code)]
mod synthetic;

use rlnet_reports::{Analysis, Format, Runs, render};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        return usage();
    };
    let plan = match std::env::args().nth(2).as_deref() {
        None | Some("corruptions") => synthetic::many(),
        Some("attacks") => synthetic::one_under_attacks(),
        Some("both") => synthetic::many_under_attacks(),
        Some(_) => return usage(),
    };
    synthetic::write_run(&folder, &plan, |_| true);
    let dirs = [folder.clone()];
    let started = Instant::now();
    let loaded = Runs::load(&dirs).map(|runs| (started.elapsed(), Analysis::of(runs)));
    let analysed = started.elapsed();
    let rendered = render(&dirs, &folder, &Format::ALL);
    let whole = started.elapsed() - analysed;
    match (loaded, rendered) {
        (Ok((read, Ok(_))), Ok(_)) => {
            writeln!(
                std::io::stdout(),
                "{} cells: read {:.2} s, analysed {:.2} s, whole report {:.2} s",
                plan.cells.len(),
                read.as_secs_f64(),
                (analysed - read).as_secs_f64(),
                whole.as_secs_f64()
            )
            .ok();
            ExitCode::SUCCESS
        }
        (Err(error), _) | (_, Err(error)) | (Ok((_, Err(error))), _) => {
            writeln!(std::io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    writeln!(
        std::io::stderr(),
        "usage: many_cells FOLDER [corruptions | attacks | both]"
    )
    .ok();
    ExitCode::from(2)
}
