//! The program as a user runs it: what it prints, writes, refuses, and survives.
#![allow(clippy::expect_used, clippy::print_stderr)]

mod adaptive;
mod adversarial_images;
mod archives;
mod batches;
mod before_work;
mod bench;
mod branches;
mod browser;
mod bundles;
mod certify;
mod commands;
mod corrupt;
mod corruptions_python;
mod cut_off;
mod data_fetch;
mod documented;
mod errors;
mod eval;
mod fork_server;
mod front_door;
mod gate;
mod given_images;
mod gradients;
mod identity;
mod image_folders;
mod masks;
mod model_names;
mod outputs;
mod packaging;
mod pictures;
mod private_inference;
mod proxy;
mod pytorch;
mod replay;
mod reports_add_up;
mod resume;
mod served;
mod sets;
mod settings;
mod slurm;
mod store;
mod suites;
mod supply_chain;
mod support;
mod torchscript;
mod train;
mod unused_options;

#[test]
fn nothing_is_ignored_that_could_run() {
    rlnet_test_support::assert_still_absent(env!("RLNET_ABSENT"));
}
