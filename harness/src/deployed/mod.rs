//! A branch of a network as a private-inference engine computes it: as a list of operations (a plan, ONNX), and in
//! the engine's arithmetic.

mod classifier;
pub mod onnx;
pub mod plan;
pub mod protobuf;
mod ring;
pub mod vnnlib;
pub mod widths;

pub use classifier::FixedPointModel;
