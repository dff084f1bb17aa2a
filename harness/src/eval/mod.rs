//! A [`Classifier`](crate::attack::Classifier) under a condition gives outcome rows, never
//! metrics.

pub mod attack_cache;
pub mod augmented;
mod batch;
pub mod bounded;
mod certified;
pub mod corrupted;
pub mod evaluate;
pub mod examples;
pub mod external;
pub mod foreign_verdicts;
pub mod input;
pub mod judge;
pub mod model_source;
pub mod networks;
pub mod preflight;
pub mod probe;
pub mod saved;
pub mod similarity;
pub mod unstable;
pub mod verdict;

pub use attack_cache::AttackCache;
pub use corrupted::CorruptedImages;
pub use evaluate::{Evaluated, Part, evaluate};
pub use input::EvaluationInput;
pub use networks::Networks;
pub use saved::Saved;
