//! The command line: one file a subcommand, which parses, calls and prints.

mod attack;
mod audit;
mod bench;
mod board;
mod bundle;
mod compare;
mod corrupt;
mod data;
mod demo;
mod doctor;
mod eval;
mod export;
mod history;
mod import;
mod model;
mod report;
mod run;
mod suite;
mod train;

use crate::error::{Error, Result};
use crate::request::{Global, words};
use crate::terminal::{flush, has_colour, note_failure, print_error};
use crate::trace::panicked;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Train and evaluate ReLU-reduced networks for private inference
///
/// Example: rlnet demo
///
/// Example: rlnet eval model.pt --dataset cifar10 --attack autoattack --corruptions benchmark
///
/// RLNet training, common corruptions, attacks through every norm branch, and reports with
/// confidence intervals. Exit codes: 0 done, 1 the work failed, 2 bad usage or bad input, 3 stopped
/// on request (run the same command to resume), 4 out of memory.
#[derive(Debug, Parser)]
#[command(name = "rlnet", version, max_term_width = 100, disable_help_flag = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Declares the subcommands, each with the type of its arguments.
macro_rules! commands {
    ($($name:ident($arguments:ty),)+) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($name($arguments),)+
        }

        impl Command {
            fn run(&self, global: &Global) -> Result<()> {
                match self {
                    $(Self::$name(command) => command.run(global),)+
                }
            }
        }
    };
}

commands! {
    Demo(demo::Demo),
    Run(run::Run),
    Train(train::TrainCommand),
    // Its options are many.
    Eval(Box<eval::Eval>),
    Report(report::Report),
    Compare(compare::Compare),
    History(history::History),
    Bundle(bundle::Bundle),
    Audit(audit::Audit),
    Board(board::Board),
    Suite(suite::SuiteCommand),
    Model(model::ModelCommand),
    Export(export::Export),
    Import(import::Import),
    Attack(attack::AttackCommand),
    Corrupt(corrupt::CorruptCommand),
    Data(data::DataCommand),
    Bench(Box<bench::Bench>),
    Doctor(doctor::Doctor),
}

/// Parses the command line and runs it. Exit code 0: done; 1: the work failed; 2: bad usage
/// or bad input; 3: stopped on request, and can be resumed; 4: out of memory.
pub fn main() -> u8 {
    run(words::own())
}

/// [`main`] with these words in place of the process's own, the program's name first.
pub fn main_with(words: Vec<OsString>) -> u8 {
    run(words::instead(words))
}

fn run(words: &[OsString]) -> u8 {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(has_colour())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("RLNET_LOG")
                // object_store logs every retry.
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,object_store=warn")),
        )
        .without_time()
        .with_target(false)
        .init();
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(answer) => return usage(&answer),
    };
    if matches!(
        cli.command,
        Command::Demo(_) | Command::Run(_) | Command::Train(_) | Command::Eval(_) | Command::Bench(_)
    ) {
        cli.global.bound_spinning();
    }
    // tch's plain operations panic on a libtorch error. Nobody should have to read a
    // backtrace: a panic becomes one line and exit code 1.
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| cli.command.run(&cli.global))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown cause");
        let message = panicked(text);
        Err(match Error::torch("libtorch", &message) {
            Error::Torch(_) => Error::Internal(format!(
                "{message}; this is a bug of rlnet, please report it with the command you ran"
            )),
            other => other,
        })
    });
    exit(outcome.and_then(|()| flush()), 0)
}

/// Help, the version, or what is wrong with the command line.
fn usage(answer: &clap::Error) -> u8 {
    note_failure(answer.print());
    exit(flush(), u8::try_from(answer.exit_code()).unwrap_or(2))
}

/// The exit code of a command that ends, which is `code` unless it failed.
fn exit(outcome: Result<()>, code: u8) -> u8 {
    match outcome {
        Ok(()) => code,
        Err(error) => {
            print_error(&error);
            error.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::Parser;
    use clap::error::{ContextKind, ErrorKind};
    use rlnet_test_support::documents::{commands, pages};

    /// Whether a page may write this, though it is no whole command: it speaks of a command or an option by its name
    /// alone, or with a letter for its value.
    fn names_only(error: &clap::Error) -> bool {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingSubcommand
            | ErrorKind::MissingRequiredArgument => true,
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
                value.is_none_or(|value| value.chars().all(|c| c.is_ascii_uppercase()))
            }
            _ => false,
        }
    }

    #[test]
    fn every_command_of_the_documents_is_one_of_the_program() {
        let mut count = 0;
        for page in pages() {
            let text = std::fs::read_to_string(&page).expect("a page");
            for line in commands(&text) {
                // What stands behind > is the shell's. Words in quotes are one.
                let own = line.split(" > ").next().unwrap_or(&line);
                let parts = own.split(['\'', '"']).enumerate();
                let arguments: String = parts
                    .map(|(at, part)| match at % 2 {
                        0 => part.to_owned(),
                        _ => part.replace(' ', "_"),
                    })
                    .collect();
                // A form with choices in it (`suite list|show`), and names that stand for others, are no commands:
                // their first word is one.
                let form = arguments.contains([']', '|']) || arguments.ends_with("...");
                let words = arguments
                    .split_whitespace()
                    .take(if form { 1 } else { usize::MAX });
                if let Err(error) = Cli::try_parse_from(std::iter::once("rlnet").chain(words)) {
                    assert!(names_only(&error), "{}: rlnet {line}: {error}", page.display());
                }
                count += 1;
            }
        }
        assert!(
            count > 100,
            "{count} commands: the pages have another form than this test reads"
        );
    }
}
