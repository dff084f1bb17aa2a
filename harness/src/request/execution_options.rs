//! How a process takes part in a run and for how long, what it did, and how to resume.

use super::{heading, words};
use crate::error::{Error, Result};
use crate::run::shard::ATTACKED;
use crate::run::shell::quoted;
use crate::run::{Executed, Participation};
use crate::stop;
use clap::Args;
use rlnet_reports::format::count;
use std::time::Duration;

/// How a process takes part in a run, and for how long.
#[derive(Debug, Clone, Args)]
pub struct ExecutionOptions {
    /// Stop after N minutes. The current step or batch is finished and saved, and the exit code is 3;
    /// run the same command to resume
    #[arg(long, value_name = "N", help_heading = heading::RUN)]
    minutes: Option<f64>,
    /// Images of one attack that a process claims at a time; results do not depend on it
    #[arg(
        long,
        value_name = "N",
        default_value_t = ATTACKED as u32,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = heading::RUN
    )]
    shard: u32,
}

impl ExecutionOptions {
    /// Listens to whatever may ask to stop.
    pub fn listen(&self) -> Result<()> {
        stop::on_signals()?;
        self.minutes.map_or(Ok(()), stop::after_minutes)
    }

    /// As the run needs it.
    pub fn part(&self) -> Participation {
        Participation {
            shard: self.shard as usize,
            ..Participation::default()
        }
    }
}

impl Default for ExecutionOptions {
    fn default() -> Self {
        Self {
            minutes: None,
            shard: ATTACKED as u32,
        }
    }
}

/// What a run did, in a line.
pub fn summary(name: &str, executed: &Executed, took: Duration) -> String {
    let shared = match executed.shared {
        0 => String::new(),
        shared => format!(", {shared} by other processes"),
    };
    let left = match executed.left {
        0 => String::new(),
        left => format!(", {left} left to other processes"),
    };
    format!(
        "{name}: {} computed{shared}, {} done before{left} ({:.0} s)",
        count(executed.computed, "cell"),
        executed.found,
        took.as_secs_f64()
    )
}

/// Adds to a stop the command that resumes the work: the same one.
pub fn with_resume_hint(error: Error) -> Error {
    match error {
        Error::Stopped(why) => {
            let words: Vec<String> = words::own()
                .iter()
                .map(|word| quoted(word.to_string_lossy().into_owned()))
                .collect();
            Error::Stopped(format!("{why}\nto resume: {}", words.join(" ")))
        }
        other => other,
    }
}
