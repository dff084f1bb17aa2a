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
        // Whether what is compiled is that commit: looked at whenever a source changes.
        for folder in [
            "src",
            "../suites/src",
            "../reports/src",
            "../corruptions/src",
            "../Cargo.lock",
        ] {
            println!("cargo:rerun-if-changed={folder}");
        }
        let changes = Command::new("git")
            .args(["status", "--porcelain", "--untracked-files=no"])
            .output();
        let dirty = changes.is_ok_and(|changes| !changes.stdout.is_empty());
        println!("cargo:rustc-env=RLNET_DIRTY={dirty}");
    }
    dependencies();
    rlnet_test_support::declare(&["reference", "images", "cuda"]);
}

/// Hands on the locked versions of the libraries that numbers depend on.
fn dependencies() {
    const NAMED: [&str; 8] = [
        "tch",
        "torch-sys",
        "polars",
        "safetensors",
        "image",
        "mozjpeg",
        "rayon",
        "blake3",
    ];
    let lock = std::fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let quoted = |line: &str, key: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        value.strip_suffix('"').map(str::to_owned)
    };
    let mut found = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = quoted(line, "name").filter(|name| NAMED.contains(&name.as_str()))
            && let Some(version) = lines.next().and_then(|line| quoted(line, "version"))
        {
            found.push(format!("{name} {version}"));
        }
    }
    println!("cargo:rustc-env=RLNET_DEPENDENCIES={}", found.join(","));
}
