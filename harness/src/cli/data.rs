//! `rlnet data`: the known data sets, and whether they are on this machine.

use crate::data::fetch::{self, Fetched};
use crate::data::installed::{Installed, installed};
use crate::data::load;
use crate::error::Result;
use crate::request::Global;
use crate::stop;
use crate::terminal::{outln, print_json};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// List the known data sets, fetch one, or check its files
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
    /// Fetch a data set's official archive into the data folder, check it, and unpack it
    ///
    /// Example: rlnet data fetch cifar10 --data-dir ~/data
    ///
    /// Also cifar10-c and cifar100-c, for --corrupted-dir. An archive that lies in the data folder is used instead of
    /// the network. A download that was interrupted goes on where it stopped.
    Fetch {
        /// Name of the data set
        name: String,
        /// A TOML file of archives in place of the program's own (harness/src/data/fetch/archives.toml), for
        /// mirrors of one's own
        #[arg(long, value_name = "FILE")]
        archives: Option<PathBuf>,
        /// Seconds to wait for a server's answer
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
        answer_within: u64,
    },
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
            Action::Fetch {
                name,
                archives,
                answer_within,
            } => {
                stop::on_signals()?;
                let all = fetch::archives(archives.as_deref())?;
                let fetched = fetch::fetch(&all, name, &folder, Duration::from_secs(*answer_within))?;
                let (place, what) = match &fetched {
                    Fetched::Present(place) => (place, "was there"),
                    Fetched::Unpacked(place) => (place, "unpacked from the archive beside it"),
                    Fetched::Downloaded(place) => (place, "downloaded, checked and unpacked"),
                };
                if global.json {
                    print_json(&json!({"name": name, "folder": place, "done": what}));
                } else {
                    outln!("{}: {what}", place.display());
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
