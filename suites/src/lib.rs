//! The vocabulary of the project: what can be asked and what was seen.
//!
//! A [`Suite`] (TOML) is resolved into a [`Plan`] of [`Cell`]s; evaluating a cell gives
//! [`Outcome`] rows. This crate knows names, ranges, defaults and identities, and nothing
//! of how anything is computed: no libtorch, no images, no files but the text it is handed.

pub mod attack;
pub mod bounds;
pub mod branch;
pub mod catalog;
pub mod cell;
pub mod compatibility;
pub mod condition;
pub mod corrupted;
pub mod corruption;
pub mod dataset;
pub mod dialect;
pub mod division;
pub mod epsilon;
pub mod error;
pub mod eval_request;
pub mod explain;
pub mod external;
pub mod fixed_point;
pub mod gate;
pub mod images;
pub mod io;
pub mod objective;
pub mod outcome;
pub mod plan;
pub mod protocol;
pub mod published;
mod replicates;
mod resolve;
pub mod results;
pub mod scale;
mod scale_changes;
pub mod schema;
pub mod settings;
pub mod single_stage;
pub mod slurm;
pub mod suite;
pub mod train;
pub mod view;
mod words;

pub use attack::AttackSpec;
pub use branch::{Branch, NormBanks};
pub use cell::{
    Cell, CellId, CellRecord, CellSpec, EvaluateSpec, LayerRecord, LinearRecord, ModelRecord, Provenance,
    ReluCount,
};
pub use condition::Condition;
pub use corrupted::{Corrupted, CorruptedFiles};
pub use dialect::Quirk;
pub use epsilon::Epsilon;
pub use error::SuiteError;
pub use eval_request::{EvalRequest, EvalSubject};
pub use fixed_point::FixedPoint;
pub use gate::Gate;
pub use images::ImageRanges;
pub use outcome::{CurvePoint, GradientProbe, LayerValue, MaskShare, Outcome, Ranking};
pub use plan::Plan;
pub use protocol::Profile;
pub use results::Literature;
pub use rlnet_corruptions::{Family, Sequence};
pub use scale_changes::AtScale;
pub use slurm::Slurm;
pub use suite::Suite;
pub use train::TrainSpec;
