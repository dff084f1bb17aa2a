//! `rlnet attack`: the catalogue of attacks.

use super::global::Global;
use super::{say, say_json};
use crate::error::Result;
use clap::{Args, Subcommand};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::{AttackEntry, CATALOGUE};
use serde_json::json;

/// Every attack with its parameters, defaults and source
#[derive(Debug, Args)]
pub struct AttackCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All attacks, a line each
    ///
    /// Example: rlnet attack list
    List,
    /// One attack with its parameters
    ///
    /// Example: rlnet attack show pgd
    Show {
        /// Its name, or a full specification
        attack: AttackSpec,
    },
}

fn value(entry: &AttackEntry) -> serde_json::Value {
    let params = entry.params.iter();
    json!({
        "name": entry.name,
        "title": entry.title,
        "source": entry.source,
        "params": params
            .map(|p| json!({"name": p.name, "default": p.default, "help": p.help}))
            .collect::<Vec<_>>(),
    })
}

impl AttackCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        match &self.action {
            Action::List if global.json => say_json(&json!(CATALOGUE.iter().map(value).collect::<Vec<_>>())),
            Action::List => {
                for entry in CATALOGUE {
                    say(&format!("{:<8} {}", entry.name, entry.title));
                }
            }
            Action::Show { attack } if global.json => say_json(&value(attack.entry())),
            Action::Show { attack } => {
                let entry = attack.entry();
                say(&format!(
                    "{}: {}\nsource: {}\nin full: {attack}",
                    entry.name, entry.title, entry.source
                ));
                for param in entry.params {
                    say(&format!(
                        "  {:<9} default {:<8} {}",
                        param.name, param.default, param.help
                    ));
                }
            }
        }
        Ok(())
    }
}
