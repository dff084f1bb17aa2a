//! Networks whose ReLUs can be masked and whose norms come in banks.

pub mod arch;
pub mod body;
pub mod budget;
pub mod build;
pub mod checkpoint;
pub mod dropped;
pub mod interval;
pub mod layers;
pub(crate) mod layout;
pub mod mask;
pub mod mask_file;
pub mod mobilenet;
pub mod model;
pub mod network;
pub mod params;
pub mod pass;
pub mod resnet;
mod suffix;
pub mod vgg;
pub mod vit;
pub mod wide_resnet;

#[cfg(test)]
mod tests;

pub use arch::Arch;
pub use build::Quirks;
pub use mask::ReluMask;
pub use network::{Bounded, Forward, Frozen, Network, NetworkSpec};
pub use pass::Taps;
