//! A plan of cells becomes files: content-addressed, atomic, resumable.

pub mod corrupted;
pub mod directory;
pub mod execute;
pub mod files;
pub mod prepare;
pub mod provenance;

pub use corrupted::CorruptedSource;
pub use directory::RunDirectory;
pub use execute::{Executed, Executor};
pub use prepare::Prepared;
