//! The reports say what a run means: outcome rows become metrics, tables, figures and a page.
//!
//! This crate reads a run directory and nothing else: no libtorch, no data set, no network.
//! Every number is a function of outcome rows, so nothing is ever re-run to get another one.

pub mod analysis;
pub mod bundle;
pub mod by_image;
pub mod columns;
pub mod error;
pub mod figures;
mod files;
pub mod format;
pub mod gate;
pub mod glossary;
pub mod history;
pub mod hosted_images;
pub mod html;
pub mod measured_cost;
pub mod metrics;
pub mod model;
pub mod model_card;
pub mod render;
pub mod report_format;
pub mod run;
mod run_files;
pub mod runs;
pub mod sections;
pub mod setup;
pub mod sources;
pub mod summary;
pub mod tables;

pub use analysis::Analysis;
pub use columns::{read_records, write_outcomes, write_records};
pub use error::ReportError;
pub use measured_cost::{CostLine, MeasuredCost, PrivateInference};
pub use render::{Rendered, main_table_json, render, render_over};
pub use report_format::Format;
pub use run::Run;
pub use run_files::UNSTABLE;
pub use runs::Runs;
pub use tables::Table;
