//! Stdout, whose failures are kept until the end of the command.

use crate::error::{Error, Result, STOPPED};
use serde::Serialize;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

/// The first failure of stdout, if there was one.
static FAILED: OnceLock<std::io::Error> = OnceLock::new();

/// Keeps the first failure of stdout. A reader that has gone away (`| head`) is none.
pub fn note_failure(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = FAILED.set(error);
    }
}

/// Flushes stdout.
///
/// # Errors
/// When stdout did not take all that was printed.
pub fn flush() -> Result<()> {
    note_failure(std::io::stdout().flush());
    match FAILED.get() {
        None => Ok(()),
        Some(error) => Err(Error::External(format!(
            "writing to stdout: {error}; the output is incomplete, run the same command again"
        ))),
    }
}

/// Prints a line on stdout; [`flush`] reports a failure.
pub fn print_line(text: impl Display) {
    note_failure(writeln!(std::io::stdout(), "{text}"));
}

/// Prints a value as JSON on stdout.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print_line(text),
        Err(error) => note_failure(Err(error.into())),
    }
}

/// Whether stderr takes colours: a terminal, unless NO_COLOR is set.
pub fn has_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
}

/// Prints on stderr why a command ended.
pub fn print_error(error: &Error) {
    let (word, colour) = match error {
        _ if error.exit_code() == STOPPED => ("stopped", 33),
        _ => ("error", 31),
    };
    let word = if has_colour() {
        format!("\x1b[1;{colour}m{word}\x1b[0m")
    } else {
        word.to_owned()
    };
    let _ = writeln!(std::io::stderr(), "{word}: {error}");
}

/// Prints a formatted line on stdout.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::terminal::print_line(format_args!($($argument)*))
    };
}
pub(crate) use outln;
