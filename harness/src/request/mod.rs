//! What a user typed, as the work needs it: option groups that several commands share, and the
//! cells, models, files and conditions that options name.

pub mod cells;
pub mod conditions;
mod corrupted_folders;
pub mod execution_options;
mod global;
mod model_options;
pub mod output_file;
mod picture_options;
pub mod stage;
pub mod stage_options;
pub mod words;

pub use corrupted_folders::CorruptedFolders;
pub use execution_options::ExecutionOptions;
pub use global::Global;
pub use model_options::{ModelOptions, OpenedModel, ReadingOptions, channels};
pub use picture_options::PictureOptions;

/// Headings of options in `--help`.
pub mod heading {
    /// The model.
    pub const MODEL: &str = "Model";
    /// The images.
    pub const DATA: &str = "Data";
    /// Attacks.
    pub const ATTACKS: &str = "Attacks";
    /// Corruptions.
    pub const CORRUPTIONS: &str = "Corruptions";
    /// Settings of training.
    pub const TRAINING: &str = "Training";
    /// How the work runs.
    pub const RUN: &str = "Run";
    /// What is there, without work.
    pub const INSPECT: &str = "Inspect";
    /// Where results go.
    pub const OUTPUT: &str = "Output";
    /// Options of every command.
    pub const GLOBAL: &str = "Global options";
}
