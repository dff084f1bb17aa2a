//! The words of this program's command, the program's name first.

use std::ffi::OsString;
use std::sync::OnceLock;

static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Those that the process was started with, unless others stand in for them.
pub fn own() -> &'static [OsString] {
    WORDS.get_or_init(|| std::env::args_os().collect())
}

/// Lets `words` stand in for those of the process; the first to be asked decides.
pub fn instead(words: Vec<OsString>) -> &'static [OsString] {
    WORDS.get_or_init(|| words)
}
