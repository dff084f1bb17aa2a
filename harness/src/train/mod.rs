//! The three stages of the method, and the baselines, through one loop.

pub mod adam;
mod average;
mod certified;
mod coordinate_descent;
pub mod curves;
pub mod dialect;
mod gates;
mod hysteresis;
mod inner_attack;
mod liet;
pub mod loss;
mod mask_update;
pub mod optimizer;
mod overfitting;
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
