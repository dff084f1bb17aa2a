//! The corruptions beside reference data: outputs of the original functions, the published archives, the original frost
//! photographs.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod frost;
mod outputs;
mod photographs;
mod published;
mod sequences;
#[path = "../../../corruptions/tests/support/mod.rs"]
mod support;

use rlnet_corruptions::Textures;

/// The original frost photographs.
fn original_textures() -> Textures {
    Textures::from_dir(rlnet_test_support::reference("data/frost")).unwrap()
}

#[test]
fn nothing_is_ignored_that_could_run() {
    rlnet_test_support::assert_still_absent(env!("RLNET_ABSENT"));
}
