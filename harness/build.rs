//! Gives our binaries and tests an rpath to libtorch (the one torch-sys emits reaches only
//! its own targets), and the program the commit it was built from.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
    // The log of HEAD changes with every commit and checkout; a source archive has none.
    println!("cargo:rerun-if-changed=../.git/logs/HEAD");
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    if let Some(commit) = commit.ok().filter(|run| run.status.success()) {
        let commit = String::from_utf8_lossy(&commit.stdout);
        println!("cargo:rustc-env=RLNET_COMMIT={}", commit.trim());
    }
}
