//! Networks whose ReLUs can be masked and whose norms come in banks.

pub mod arch;
pub mod budget;
pub mod checkpoint;
pub mod layers;
pub mod mask;
pub mod model;
pub mod network;
pub mod params;
pub mod resnet;

pub use arch::Arch;
pub use mask::ReluMask;
pub use network::{Forward, Frozen, Network, NetworkSpec};
