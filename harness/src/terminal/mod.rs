//! What commands print: lines and JSON on stdout, reports, the state of a run directory.

pub mod inspect;
mod print;
pub mod render;
pub mod status;

pub(crate) use print::outln;
pub use print::{flush, note_failure, print_json, print_line};
