//! A plan of cells becomes files: content-addressed, atomic, resumable.

pub mod audit;
pub mod bundle;
pub mod check;
pub mod claim;
pub mod compatibility;
mod contradiction;
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
pub mod heartbeat;
pub mod import_cell;
pub mod memory;
pub mod part;
pub mod prepare;
pub mod progress;
pub mod provenance;
mod reuse;
pub mod session;
pub mod shard;
pub mod shell;
#[cfg(feature = "slurm")]
pub mod slurm;
mod train_cell;
pub mod work;
pub mod worker_pool;

pub use claim::SharedClaims;
pub use corrupted::CorruptedSource;
pub use directory::RunDirectory;
pub use execute::{Executed, Executor, Participation};
pub use prepare::Prepared;
