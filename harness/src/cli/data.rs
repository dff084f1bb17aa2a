//! `rlnet data`: the known data sets, and whether they are on this machine.

use crate::data::installed::{Installed, installed};
use crate::data::load;
use crate::error::Result;
use crate::request::Global;
use crate::terminal::{outln, print_json};
use clap::{Args, Subcommand};
use serde_json::json;

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

impl DataCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let folder = global.data_dir();
        match &self.action {
            Action::List => {
                let sets = installed(&folder);
                if global.json {
                    print_json(&sets.iter().map(Installed::json).collect::<Vec<_>>());
                    return Ok(());
                }
                for set in sets {
                    let text = match &set.found {
                        Ok(found) => format!(
                            "{} training and {} test images, {} classes",
                            found.train, found.test, found.classes
                        ),
                        Err(error) => format!("not usable: {error}"),
                    };
                    outln!("{:<14} {text}", set.name);
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
