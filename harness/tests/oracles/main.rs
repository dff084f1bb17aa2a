//! Numbers from the reference implementations. Ignored where the reference data is absent.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod attacks;
mod attacks_2;
mod autoattack;
mod certify;
mod checkpoints;
mod deployed;
mod losses;
mod masks;
mod minimum_norm;
mod networks;
mod reference;
mod square_fab;
mod tiny_net;
mod verification;

#[test]
fn nothing_is_ignored_that_could_run() {
    rlnet_test_support::assert_still_absent(env!("RLNET_ABSENT"));
}
