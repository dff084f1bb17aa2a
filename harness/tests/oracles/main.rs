//! Numbers from the reference implementations. Skipped, loudly, where they are not at hand.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod attacks;
mod autoattack;
mod checkpoints;
mod losses;
mod masks;
mod minimum_norm;
mod networks;
mod shared;
mod square_fab;
mod tiny_net;
