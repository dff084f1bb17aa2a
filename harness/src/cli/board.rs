//! `rlnet board`: the models of many bundles on one page.

use crate::error::{Error, Result, reporting};
use crate::files::{create_folder, scratch, write_atomic};
use crate::progress::announce;
use crate::request::{Global, heading, output_file};
use crate::terminal::{outln, print_json, print_line};
use clap::Args;
use rlnet_reports::bundle::board::Board as Made;
use rlnet_reports::bundle::{inspect, unpack};
use std::path::PathBuf;

/// Put the models of many bundles on one page
///
/// Example: rlnet board submissions
///
/// Every bundle (*.zip) of the folder is checked without models and data; one with a finding is left out, with
/// the reason. Whether its models were shown its examples is read from the record of rlnet audit --record
/// beside it. The page needs no network.
#[derive(Debug, Args)]
pub struct Board {
    /// The folder with the bundles
    folder: PathBuf,
    /// The page's title
    #[arg(long, value_name = "TEXT", default_value = "Robust accuracy with few ReLUs", help_heading = heading::OUTPUT)]
    title: String,
    /// The page (default: DIR/index.html)
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    out: Option<PathBuf>,
}

impl Board {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let entries = std::fs::read_dir(&self.folder).map_err(|error| Error::reading(&self.folder, error))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "zip"));
        files.sort_unstable();
        let out = self.out.clone().unwrap_or_else(|| self.folder.join("index.html"));
        output_file::check(
            "--out",
            &out,
            &files.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        )?;
        let folder = scratch()?;
        let mut bundles = Vec::new();
        let mut unread = Vec::new();
        for file in &files {
            announce(&format!("reading {}", file.display()));
            // Models of one name are told apart by the folder.
            let place = folder.path().join(file.file_stem().unwrap_or_default());
            create_folder(&place)?;
            match unpack(file, &place) {
                Ok(bundle) => {
                    let inspection = inspect(&bundle).map_err(reporting)?;
                    bundles.push((bundle, inspection));
                }
                Err(error) => unread.push(error.to_string()),
            }
        }
        let mut board = Made::of(bundles).map_err(reporting)?;
        board.refused.extend(unread);
        write_atomic(&out, board.page(&self.title).map_err(reporting)?.as_bytes())?;
        if global.json {
            print_json(&board.json());
        } else {
            for group in &board.groups {
                print_line(group.table.markdown());
            }
            for why in &board.refused {
                outln!("not shown: {why}");
            }
            outln!("Board: {}", out.display());
        }
        Ok(())
    }
}
