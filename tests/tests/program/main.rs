//! The program as a user runs it: what it prints, writes, refuses, and survives.
#![allow(clippy::expect_used, clippy::print_stderr)]

mod archives;
mod commands;
mod corrupt;
mod errors;
mod eval;
mod harness;
mod pictures;
mod resume;
