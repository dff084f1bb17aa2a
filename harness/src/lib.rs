//! The harness: data, networks, training, attacks, evaluation, runs and the command line.
//!
//! libtorch lives here and nowhere else in the project. Data flows one way: a suite's plan
//! (`rlnet_suites`) names cells, `run` computes them with the rooms below, and what comes
//! out are outcome rows and curves; no metric is computed here (that is `rlnet_reports`).

pub mod attack;
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod eval;
pub mod files;
pub mod nn;
pub mod progress;
pub mod pytorch;
pub mod request;
pub mod run;
pub mod stop;
pub mod store;
pub mod terminal;
pub mod trace;
pub mod train;
