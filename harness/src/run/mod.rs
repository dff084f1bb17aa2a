//! A plan of cells becomes files: content-addressed, atomic, resumable.

pub mod bring;
pub mod check;
pub mod claim;
pub mod compatibility;
pub mod corrupted;
pub mod difference;
pub mod directory;
pub mod estimate;
pub mod eta;
mod evaluate_cell;
pub mod evaluation;
mod examine;
pub mod execute;
pub mod failure;
pub mod files;
pub mod jobs;
pub mod live;
mod made;
pub mod prepare;
pub mod provenance;
mod room;
pub mod session;
pub mod shard;
pub mod shell;
pub mod slurm;
mod train_cell;
pub mod view;
pub mod work;

pub use corrupted::CorruptedSource;
pub use directory::RunDirectory;
pub use execute::{Executed, Executor, Part};
pub use prepare::Prepared;
