//! `rlnet attack`: the catalogue of attacks.

mod replay;

use crate::error::Result;
use crate::request::Global;
use crate::terminal::{outln, print_json};
use clap::{Args, Subcommand};
use replay::Replay;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::adaptive::NamedAttack;
use rlnet_suites::attack::{self, AttackEntry, Norm, adaptive, diagnosis, group, members};
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
        /// Its name, a full specification, or a group: adaptive, diagnosis, diagnosis-l2
        attack: String,
    },
    Replay(Replay),
}

/// An attack in the list.
fn line(entry: &AttackEntry) -> String {
    format!("{:<13} {}", entry.name, entry.title)
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
            Action::Replay(replay) => return replay.run(global),
            Action::List if global.json => print_json(&json!(attack::all().map(value).collect::<Vec<_>>())),
            Action::List => {
                for entry in attack::all() {
                    outln!("{}", line(entry));
                }
                outln!(
                    "\nAdapted to norm branches and masks (all of them: {}):",
                    adaptive::GROUP
                );
                for named in adaptive::ATTACKS {
                    outln!("{:<18} {}\n{:<18} {}", named.name, named.spec, "", named.asks);
                }
                outln!(
                    "\nCan a robust number be trusted (all of them: {}, in L2 {}; or rlnet eval --diagnose):",
                    diagnosis::GROUP,
                    diagnosis::GROUP_L2
                );
                for asked in diagnosis::ATTACKS {
                    outln!("{:<41} {}", asked.spec, asked.asks);
                }
            }
            Action::Show { attack } => return show(attack, global.json),
        }
        Ok(())
    }
}

/// One attack with its parameters; of a group every attack with what it asks.
fn show(text: &str, json: bool) -> Result<()> {
    let Some(asked) = members(text.split(':').next().unwrap_or_default().trim()) else {
        return show_one(&text.parse()?, json);
    };
    // Parameters behind a group's name are set in each of them.
    let members: Vec<(AttackSpec, &NamedAttack)> = group(text)?.into_iter().zip(asked).collect();
    if json {
        let member = |(attack, named): &(AttackSpec, &NamedAttack)| json!({"name": named.name, "attack": attack, "asks": named.asks});
        print_json(&json!(members.iter().map(member).collect::<Vec<_>>()));
        return Ok(());
    }
    for (attack, named) in members {
        outln!("{:<18} {attack}\n{:<18} {}", named.name, "", named.asks);
    }
    Ok(())
}

fn show_one(attack: &AttackSpec, json: bool) -> Result<()> {
    let entry = attack.entry();
    if json {
        print_json(&value(entry));
        return Ok(());
    }
    outln!(
        "{}: {}\nsource: {}\nin full: {attack}",
        entry.name,
        entry.title,
        entry.source
    );
    for param in entry.params {
        outln!(
            "  {:<9} default {:<8} {}",
            param.name,
            param.preset.under(attack.norm()),
            param.help
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_listed_by_what_its_entry_says() {
        static NEW: AttackEntry = AttackEntry {
            name: "nearest",
            title: "Looks for the nearest adversarial",
            source: "this test",
            ..*attack::CATALOGUE[0]
        };
        assert_eq!(line(&NEW), "nearest       Looks for the nearest adversarial");
        let value = value(&NEW);
        assert_eq!(
            (&value["name"], &value["source"]),
            (&json!("nearest"), &json!("this test"))
        );
        assert_eq!(value["params"].as_array().map(Vec::len), Some(NEW.params.len()));
    }
}
