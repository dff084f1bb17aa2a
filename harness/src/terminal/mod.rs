//! What commands print: lines and JSON on stdout, reports, the state of a run directory.

pub mod inspect;
mod print;
pub mod render;
pub mod status;

pub(crate) use print::outln;
pub use print::{flush, has_colour, note_failure, print_error, print_json, print_line};
