//! `rlnet data`: what data sets are known, and whether they are here.

use super::global::Global;
use super::{say, say_json};
use crate::data::{LoadOptions, NAMES, load, load_with};
use crate::error::{Error, Result};
use clap::{Args, Subcommand};
use serde_json::json;

/// Known data sets; check the files of one
#[derive(Debug, Args)]
pub struct DataCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Known data sets, and whether they are in the data folder
    ///
    /// Example: rlnet data list --data-dir ~/data
    List,
    /// Read every file of a data set and compare checksums with the official ones
    ///
    /// Of tiny-imagenet and imagefolder:PATH no official ones exist: every picture is decoded,
    /// and the checksum tells two copies apart.
    ///
    /// Example: rlnet data verify cifar10
    Verify {
        /// Name of the data set
        name: String,
    },
}

impl DataCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let folder = global.data_dir();
        match &self.action {
            Action::List => {
                let options = LoadOptions {
                    test_only: true,
                    ..LoadOptions::default()
                };
                let found: Vec<_> = NAMES
                    .iter()
                    .map(|name| (*name, load_with(name, &folder, options)))
                    .collect();
                if global.json {
                    let items = found
                        .iter()
                        .map(|(name, dataset)| json!({"name": name, "found": dataset.is_ok()}));
                    say_json(&json!(items.collect::<Vec<_>>()));
                    return Ok(());
                }
                for (name, dataset) in found {
                    let state = match dataset {
                        Ok(set) => format!(
                            "{} training and {} test images, {} classes",
                            set.train_len,
                            set.test.len(),
                            set.classes.len()
                        ),
                        Err(error) => format!("not usable: {error}"),
                    };
                    say(&format!("{name:<14} {state}"));
                }
            }
            Action::Verify { name } => {
                let set = load(name, &folder).map_err(|error| Error::Input(error.to_string()))?;
                if global.json {
                    say_json(
                        &json!({"name": set.name, "checksum": set.checksum, "provenance": set.provenance, "train": set.train_len, "test": set.test.len(),
                            "size": set.size, "classes": set.classes.len()}),
                    );
                } else {
                    say(&format!(
                        "{name}: {}\n{} training and {} test images of {}, {} classes\n\
                         checksum {}",
                        set.provenance,
                        set.train_len,
                        set.test.len(),
                        format_args!("{0} x {0} pixels", set.size),
                        set.classes.len(),
                        set.checksum
                    ));
                }
            }
        }
        Ok(())
    }
}
