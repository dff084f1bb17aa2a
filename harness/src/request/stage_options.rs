//! The settings of a training stage as options: one for every entry of the table of settings.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use rlnet_suites::settings::{Kind, Setting};
use rlnet_suites::single_stage;
use toml::Value;

/// Settings of a stage that were given as options.
#[derive(Debug, Clone, Default)]
pub struct StageOptions {
    /// Each as `key=value`, the value as in a suite.
    pub sets: Vec<String>,
    /// The architecture, which must be the teacher's in some stages.
    pub arch: Option<String>,
}

/// The settings that have an option here; `--seed` is an option of every command.
fn settings() -> impl Iterator<Item = &'static Setting> {
    single_stage::settings().filter(|setting| !["seed", "budget"].contains(&setting.key))
}

fn option(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .value_name(value_name(setting.kind))
        .value_parser(parser(setting.kind))
        .help(format!("{} [default: {}]", setting.help, setting.default))
        .help_heading("Settings of the stage");
    if setting.kind.is_list() {
        arg.value_delimiter(',').action(ArgAction::Append)
    } else {
        arg
    }
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Whole(..) | Kind::Wholes(..) => "N",
        Kind::Number(_) | Kind::Numbers(_) => "NUMBER",
        Kind::Attack => "ATTACK",
        _ => "NAME",
    }
}

fn parser(kind: Kind) -> ValueParser {
    // Only the form is checked here; the suite that is written has the ranges.
    let whole = |text: &str| text.parse::<u64>().map(|_| text.to_owned());
    let number = |text: &str| text.parse::<f64>().map(|_| text.to_owned());
    match kind {
        Kind::Words(words) | Kind::WordList(words) => PossibleValuesParser::new(words).into(),
        Kind::Whole(..) | Kind::Wholes(..) => ValueParser::new(whole),
        Kind::Number(_) | Kind::Numbers(_) => ValueParser::new(number),
        _ => ValueParser::string(),
    }
}

/// Values as a suite has them.
fn written(kind: Kind, values: &[&String]) -> String {
    let numeric = matches!(
        kind,
        Kind::Whole(..) | Kind::Wholes(..) | Kind::Number(_) | Kind::Numbers(_)
    );
    let items: Vec<String> = values
        .iter()
        .map(|text| {
            if numeric {
                (*text).clone()
            } else {
                Value::from(text.as_str()).to_string()
            }
        })
        .collect();
    if kind.is_list() {
        format!("[{}]", items.join(","))
    } else {
        items.concat()
    }
}

impl Args for StageOptions {
    fn augment_args(command: Command) -> Command {
        command.args(settings().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for StageOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = settings().filter_map(|setting| {
            let values: Vec<&String> = matches.get_many::<String>(setting.key)?.collect();
            Some(format!("{}={}", setting.key, written(setting.kind, &values)))
        });
        Ok(Self {
            sets: given.collect(),
            arch: matches.get_one::<String>("arch").cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Result<Vec<String>, Error> {
        let command = StageOptions::augment_args(Command::new("train").no_binary_name(true));
        let matches = command.try_get_matches_from(args)?;
        StageOptions::from_arg_matches(&matches).map(|options| options.sets)
    }

    #[test]
    fn every_setting_of_a_stage_is_an_option_with_its_meaning_and_default() {
        let command = StageOptions::augment_args(Command::new("train"));
        for setting in settings() {
            let option = command.get_arguments().find(|arg| arg.get_id() == setting.key);
            let help = option.and_then(Arg::get_help).expect(setting.key).to_string();
            assert!(help.contains(setting.help) && help.contains(&setting.default.to_string()));
        }
        for key in [
            "epochs",
            "batch",
            "lr",
            "attack",
            "arch",
            "norm",
            "views",
            "weight_decay",
        ] {
            assert!(settings().any(|setting| setting.key == key), "{key}");
        }
    }

    #[test]
    fn options_become_what_a_suite_would_say() {
        let args =
            "--lr 1 --weight-decay 0.1 --views clean,adversarial --attack pgd:steps=3 --milestones 0.5";
        let sets = given(&args.split(' ').collect::<Vec<_>>()).expect("options");
        assert_eq!(
            sets,
            [
                "views=[\"clean\",\"adversarial\"]",
                "lr=1",
                "milestones=[0.5]",
                "weight_decay=0.1",
                "attack=\"pgd:steps=3\"",
            ]
        );
        for (bad, hint) in [
            ("--norm duall", "dual"),
            ("--lr much", "invalid float"),
            ("--epochs few", "invalid digit"),
        ] {
            let error = given(&bad.split(' ').collect::<Vec<_>>())
                .expect_err(bad)
                .to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }
}
