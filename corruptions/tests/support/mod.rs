//! Where the reference data lies, if it is here at all.

#![allow(dead_code, clippy::print_stderr, clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;

use rlnet_corruptions::Textures;

/// `$RLNET_SHARED`, or `shared` beside the repository.
pub fn shared(path: &str) -> PathBuf {
    let root = std::env::var_os("RLNET_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    root.join(path)
}

/// Says that the running test is skipped; not by `eprintln!`, which the test runner keeps to itself.
pub fn skipped(why: impl std::fmt::Display) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").ok();
}

/// `path` under the shared folder if it exists; says what is skipped if not.
pub fn find(path: &str, what: &str) -> Option<PathBuf> {
    let full = shared(path);
    if full.exists() {
        return Some(full);
    }
    skipped(format_args!("{what}: {} is not there", full.display()));
    None
}

/// The original frost photographs, if they are there.
pub fn original_textures(what: &str) -> Option<Textures> {
    Some(Textures::from_dir(find("data/frost", what)?).unwrap())
}
