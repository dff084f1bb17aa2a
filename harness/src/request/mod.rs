//! What a user typed, as the work needs it: option groups that several commands share, and the
//! cells, models, files and conditions that options name.

pub mod cells;
pub mod conditions;
mod corrupted_folders;
pub mod execution_options;
mod global;
pub mod output_file;
pub mod stage;

pub use corrupted_folders::CorruptedFolders;
pub use execution_options::ExecutionOptions;
pub use global::Global;
