//! Noise: every value changed on its own.

pub(crate) mod gaussian;
pub(crate) mod impulse;
pub(crate) mod shot;
pub(crate) mod speckle;
