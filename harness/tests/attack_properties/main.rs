//! What must hold of every attack, on models small enough to know the truth.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod catalogue;
mod closed_forms;
mod gradients;
mod linear_region;
mod minimum_norm;
mod toys;
mod waits;
