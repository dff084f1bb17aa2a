//! The three stages of the method, and the baselines, through one loop.

pub mod adam;
mod average;
mod certified;
pub mod curves;
pub mod dialect;
pub mod loss;
mod mask_update;
pub mod optimizer;
pub mod passes;
pub mod score;
pub mod sensitivity;
pub mod sgd;
pub mod snl;
pub mod stage;
pub mod state;
pub mod step;
pub mod tensorboard;
pub mod validate;

#[cfg(test)]
mod tests;

pub use stage::{StageInput, Trained, train};
