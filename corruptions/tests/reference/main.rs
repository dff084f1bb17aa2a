//! Tests with reference data that lies outside of the crate: outputs of the original functions,
//! the CIFAR-10 test images, the original frost photographs.
//!
//! The data is looked for under `RLNET_SHARED` (else `shared` beside the repository), the CIFAR-10
//! images also under `RLNET_DATA`. A test whose data or feature is absent is reported as ignored;
//! with `RLNET_REQUIRE_DATA` set it runs, and fails.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod frost;
mod outputs;
mod published;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Trial};
use rlnet_corruptions::Textures;

/// A test and what it needs.
struct Test {
    name: &'static str,
    /// What it needs, in words, and whether that is there.
    needs: &'static str,
    ready: fn() -> bool,
    run: fn(),
}

const TESTS: [Test; 8] = [
    Test {
        name: "modern_stack_at_32",
        needs: "oracles, frost",
        ready: || outputs::ready() && frost::ready(),
        run: || outputs::modern(32),
    },
    Test {
        name: "modern_stack_at_64",
        needs: "oracles, frost",
        ready: || outputs::ready() && frost::ready(),
        run: || outputs::modern(64),
    },
    Test {
        name: "release_stack_where_it_differs",
        needs: "oracles",
        ready: outputs::ready,
        run: outputs::release,
    },
    Test {
        name: "the_two_stacks_differ_in_as_many_bytes_as_the_reference_found",
        needs: "oracles, frost",
        ready: || outputs::ready() && frost::ready(),
        run: outputs::differences,
    },
    Test {
        name: "all_deterministic_files_have_their_published_md5",
        needs: "CIFAR-10",
        ready: published::ready,
        run: published::all_deterministic_files,
    },
    Test {
        name: "golden_hashes_of_frost",
        needs: "frost",
        ready: frost::ready,
        run: frost::golden,
    },
    Test {
        name: "the_original_textures_say_so",
        needs: "frost",
        ready: frost::ready,
        run: frost::description,
    },
    Test {
        name: "a_truncated_photograph_is_refused",
        needs: "frost",
        ready: frost::ready,
        run: frost::truncated,
    },
];

fn main() {
    let required = std::env::var_os("RLNET_REQUIRE_DATA").is_some();
    let trials = TESTS.into_iter().map(|test| {
        let run = move || {
            (test.run)();
            Ok(())
        };
        Trial::test(test.name, run)
            .with_kind(format!("needs {}", test.needs))
            .with_ignored_flag(!required && !(test.ready)())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// `path` in the folder of reference data.
fn shared(path: &str) -> PathBuf {
    let root = std::env::var_os("RLNET_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    root.join(path)
}

/// The original frost photographs.
fn original_textures() -> Textures {
    Textures::from_dir(shared("data/frost")).unwrap()
}
