//! `rlnet attack`: the catalogue of attacks.

use super::global::Global;
use super::{say, say_json};
use crate::error::Result;
use clap::{Args, Subcommand};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::{AttackEntry, CATALOGUE, Norm};
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
    let norm = entry
        .name
        .parse::<AttackSpec>()
        .map_or(Norm::Linf, |spec| spec.norm());
    json!({
        "name": entry.name,
        "title": entry.title,
        "source": entry.source,
        "params": params
            .map(|p| json!({"name": p.name, "default": p.preset.under(norm), "help": p.help}))
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
                    say(&format!("{:<10} {}", entry.name, entry.title));
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
                        param.name,
                        param.preset.under(attack.norm()),
                        param.help
                    ));
                }
            }
        }
        Ok(())
    }
}
