//! A [`Classifier`](crate::attack::Classifier) under a condition gives outcome rows, never
//! metrics.

pub mod evaluate;
pub mod examples;
pub mod judge;
pub mod preflight;

pub use evaluate::{Evaluated, EvaluationInput, evaluate};
