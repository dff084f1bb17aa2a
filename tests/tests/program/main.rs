//! The program as a user runs it: what it prints, writes, refuses, and survives.
#![allow(clippy::expect_used, clippy::print_stderr)]

mod adaptive;
mod archives;
mod batches;
mod branches;
mod browser;
mod commands;
mod corrupt;
mod errors;
mod eval;
mod harness;
mod idle;
mod masks;
mod named;
mod nights;
mod outputs;
mod pictures;
mod portable;
mod pytorch;
mod replay;
mod resume;
mod slurm;
mod store;
mod suites;
mod train;
