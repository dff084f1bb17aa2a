//! Networks from PyTorch's files, and into them. Nothing in a file is ever executed.
//!
//! `torch.save` writes a pickle beside raw numbers. A pickle is a program, and Python's reader
//! calls whatever functions it names; [`pickle`] knows the handful that `torch.save` needs for
//! tensors, takes them for data, and refuses every other by its name.

pub mod archive;
pub mod array;
pub mod code;
pub mod file;
pub mod import;
pub mod kind;
pub mod names;
pub mod pickle;
pub mod program;
pub mod script;

pub use file::TorchFile;
pub use import::{ImportRequest, Imported, import};
