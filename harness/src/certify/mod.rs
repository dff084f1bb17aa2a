//! What no attack can do: lower bounds of a network's margins over a whole ball.
//!
//! A network is taken apart into a [`Graph`] of operations (a branch of this program's networks with its norms
//! folded, or a TorchScript or ONNX file that is read and not executed). [`interval`] sends boxes through it, [`crown`]
//! carries linear bounds backwards, [`search`] optimises their slopes and splits units, [`exact`] solves programs where
//! few units are left. [`verify()`] puts them together into a [`Verdict`]. Nothing here knows of data sets, files of a run or reports.
//!
//! **Soundness.** Bounds are computed in the graph's own kind (single precision, unless it is turned into double)
//! and every bound is lowered by [`rounding`] times the sum of the magnitudes of the terms that it was added up
//! from, at every layer whose bounds are used further on. The ball is widened by [`region::WIDER`] a value, more
//! than rounding can move an attack's point beyond it.

pub mod crown;
pub mod exact;
pub mod graph;
pub mod interval;
pub mod onnx;
pub mod region;
pub mod search;
pub mod torchscript;
pub mod trace;
pub mod verify;

#[cfg(test)]
mod tests;

pub use graph::Graph;
pub use region::Region;
pub use verify::{Verdict, verify};

use tch::Kind;

/// What a bound is lowered by, as a share of the magnitudes of its terms: 128 units in the last place in single
/// precision. Measured (`rounding_is_far_below_what_is_set_aside`): less than a tenth of it is used.
pub fn rounding(kind: Kind) -> f64 {
    match kind {
        Kind::Double => 2.0_f64.powi(-46),
        _ => 2.0_f64.powi(-17),
    }
}
