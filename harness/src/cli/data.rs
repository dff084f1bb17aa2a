//! `rlnet data`: the known data sets, and whether they are on this machine.

use crate::data::{DataError, LoadOptions, NAMES, load, load_with};
use crate::error::Result;
use crate::request::Global;
use crate::terminal::{outln, print_json};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::Path;

/// List the known data sets, or check the files of one
#[derive(Debug, Args)]
pub struct DataCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the known data sets, and whether they are in the data folder
    ///
    /// Example: rlnet data list --data-dir ~/data
    List,
    /// Read every file of a data set and compare checksums with the official ones
    ///
    /// Example: rlnet data verify cifar10
    ///
    /// There are no official checksums for tiny-imagenet and imagefolder:PATH: every picture is
    /// decoded, and the checksum that is printed tells two copies apart.
    Verify {
        /// Name of the data set
        name: String,
    },
}

/// Whether a data set can be used, and what is in it.
pub struct State {
    /// Its name.
    pub name: &'static str,
    /// What is in it, or why it cannot be used.
    pub found: std::result::Result<Counts, DataError>,
}

/// What is in a data set.
pub struct Counts {
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// Classes.
    pub classes: usize,
    /// Side of its images in pixels.
    pub size: usize,
}

impl State {
    /// As JSON.
    pub fn json(&self) -> Value {
        match &self.found {
            Ok(found) => json!({
                "name": self.name, "found": true, "train": found.train, "test": found.test,
                "classes": found.classes, "size": found.size,
            }),
            Err(why) => json!({"name": self.name, "found": false, "why": why.to_string()}),
        }
    }
}

/// The state of every known data set; of training images only the number is read.
pub fn states(folder: &Path) -> Vec<State> {
    let options = LoadOptions {
        test_only: true,
        ..LoadOptions::default()
    };
    let state = |name: &&'static str| State {
        name,
        found: load_with(name, folder, options).map(|set| Counts {
            train: set.train_len,
            test: set.test.len(),
            classes: set.classes.len(),
            size: set.size,
        }),
    };
    NAMES.iter().map(state).collect()
}

impl DataCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let folder = global.data_dir();
        match &self.action {
            Action::List => {
                let states = states(&folder);
                if global.json {
                    print_json(&json!(states.iter().map(State::json).collect::<Vec<_>>()));
                    return Ok(());
                }
                for state in states {
                    let text = match &state.found {
                        Ok(found) => format!(
                            "{} training and {} test images, {} classes",
                            found.train, found.test, found.classes
                        ),
                        Err(error) => format!("not usable: {error}"),
                    };
                    outln!("{:<14} {text}", state.name);
                }
            }
            Action::Verify { name } => {
                let set = load(name, &folder)?;
                if global.json {
                    print_json(
                        &json!({"name": set.name, "checksum": set.checksum, "provenance": set.provenance, "train": set.train_len, "test": set.test.len(),
                            "size": set.size, "classes": set.classes.len()}),
                    );
                } else {
                    outln!(
                        "{name}: {}\n{} training and {} test images of {}, {} classes\n\
                         checksum {}",
                        set.provenance,
                        set.train_len,
                        set.test.len(),
                        format_args!("{0} x {0} pixels", set.size),
                        set.classes.len(),
                        set.checksum
                    );
                }
            }
        }
        Ok(())
    }
}
