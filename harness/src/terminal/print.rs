//! Stdout, whose failures are kept until the end of the command.

use crate::error::{Error, Result};
use std::fmt::Display;
use std::io::Write;
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
        Some(error) => Err(Error::Work(format!(
            "writing to stdout: {error}; the output is incomplete, run the same command again"
        ))),
    }
}

/// Prints a line on stdout; [`flush`] reports a failure.
pub fn print_line(text: impl Display) {
    note_failure(writeln!(std::io::stdout(), "{text}"));
}

/// Prints a value as JSON on stdout.
pub fn print_json(value: &serde_json::Value) {
    print_line(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a formatted line on stdout.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::terminal::print_line(format_args!($($argument)*))
    };
}
pub(crate) use outln;
