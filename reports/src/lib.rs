//! The reports say what a run means: outcome rows become metrics, tables, figures and a page.
//!
//! This crate reads a run directory and nothing else: no libtorch, no data set, no network.
//! Every number is a query over outcome rows, so nothing is ever re-run to get another one.

pub mod error;
mod files;
pub mod metrics;
pub mod run;
pub mod runs;
pub mod store;

pub use error::ReportError;
pub use run::Run;
pub use runs::Runs;
pub use store::{read_curves, read_outcome_rows, read_outcomes, write_curves, write_outcomes};
